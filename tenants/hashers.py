"""Passwords that were hashed elsewhere, until their owner signs in for the first time."""

from __future__ import annotations

import re

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher, make_password
from django.utils.crypto import constant_time_compare

# Cost 12 takes a quarter of a second to check; beyond, a stranger could make us busy.
_WELL_FORMED = re.compile(r"\$2[aby]\$(0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}\Z")
_BYTES_MAX = 72  # bcrypt looks no further, and the library refuses more


class ImportedBcrypt(BCryptPasswordHasher):
    """bcrypt as the FinWise 0.4 app makes it. Not preferred: a sign-in hashes anew."""

    algorithm = "bcrypt"

    def encode(self, password: str, salt: bytes) -> str:
        """Raises ValueError for what bcrypt cannot take."""
        data = bcrypt.hashpw(password.encode()[:_BYTES_MAX], salt)
        return f"{self.algorithm}${data.decode('ascii')}"

    def verify(self, password: str, encoded: str) -> bool:
        salt = encoded.partition("$")[2].encode("ascii")
        try:
            is_right = constant_time_compare(encoded, self.encode(password, salt))
        except ValueError:
            is_right = False
        if not is_right:
            # As slow as for everybody else: a quick no would tell that there is such an account.
            # The right one is hashed anew in any case.
            make_password(password)
        return is_right


def imported(bcrypt_hash: object) -> str | None:
    """What to store as a person's password for this hash, or None if it is not well-formed."""
    if not isinstance(bcrypt_hash, str) or not _WELL_FORMED.match(bcrypt_hash):
        return None
    return f"{ImportedBcrypt.algorithm}${bcrypt_hash}"
