"""Django's sessions in the database, for cookies that anybody may write."""

from __future__ import annotations

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessions


class SessionStore(DatabaseSessions):
    """Looks up what can be the number of a session, and nothing else."""

    def _validate_session_key(self, key: str | None) -> bool:
        # A quoted cookie may hold any byte: PostgreSQL refuses a NUL, and that would be a
        # traceback in our log for everybody who sends one.
        return bool(key and key.isascii() and key.isalnum()) and super()._validate_session_key(key)
