"""The pure heart of the sync: no Django, no sockets, no clock of its own, no I/O."""
