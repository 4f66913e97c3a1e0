"""Translators for the wire formats of older clients. Pure: to and from `core.messages`."""
