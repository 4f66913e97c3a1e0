"""Pages for people who look after households: how each is, and Sync now."""
