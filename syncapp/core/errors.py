"""What can go wrong, as one family.

What happens to a *change* is a fate (`Refused` here is how a rule says no to one
change). What breaks the *conversation* is a `SyncError`: it travels as an `error`
frame, settles nothing, and the sender keeps what it sent.
"""

from __future__ import annotations

from typing import ClassVar


class SyncError(Exception):
    """A frame that was not accepted, told to the peer with a code and a sentence.

    `close_code` is the WebSocket close code that follows, or None when the socket stays.
    """

    code: ClassVar[str] = "internal"
    sentence: ClassVar[str] = "Something went wrong on the server. Nothing was lost; try again."
    retryable: ClassVar[bool] = False
    close_code: ClassVar[int | None] = None

    def __init__(self, sentence: str | None = None, *, retry_after_ms: int | None = None) -> None:
        self.message = sentence or self.sentence
        self.retry_after_ms = retry_after_ms
        super().__init__(self.message)


class Internal(SyncError):
    """A fault of ours: logged with its traceback, told without it."""

    retryable = True


class BadFrame(SyncError):
    code = "bad_frame"
    sentence = "This frame is not part of the protocol."


class HostileFrame(BadFrame):
    """Not even text or JSON of our shape: answered, then the socket is closed."""

    close_code = 4400


class TooLarge(SyncError):
    code = "too_large"
    sentence = "This frame is larger than the server accepts."
    close_code = 4413


class TooMany(SyncError):
    code = "too_many"
    sentence = "This frame holds more rows than the server accepts at once."


class TooFast(SyncError):
    code = "too_fast"
    sentence = "Too many frames in a short time."
    retryable = True
    close_code = 4429


class OutOfTurn(SyncError):
    """A frame that is fine in itself, at a moment when it may not come."""

    code = "out_of_turn"
    sentence = "This frame may not come at this moment."


class NoHello(SyncError):
    code = "no_hello"
    sentence = "The first frame must be a hello, within 10 seconds."
    close_code = 4408


class SignIn(SyncError):
    code = "sign_in"
    sentence = "Sign in to sync. Your changes are safe on this device."
    close_code = 4401


class NotYours(SyncError):
    """An unknown household and one of somebody else answer alike."""

    code = "not_yours"
    sentence = "There is no such household for you."
    close_code = 4403


class Forbidden(SyncError):
    code = "forbidden"
    sentence = "You may read this household, but not change it."


class UpgradeNeeded(SyncError):
    code = "upgrade_needed"
    sentence = "This app is too old to sync. Update it; your changes stay on this device."
    close_code = 4426


class Restarting(SyncError):
    code = "restarting"
    sentence = "Connect again."
    retryable = True
    close_code = 1012


class Maintenance(SyncError):
    code = "maintenance"
    sentence = "This household is being maintained. Your changes are safe; sync resumes by itself."
    retryable = True
    close_code = 1012


class Busy(SyncError):
    code = "busy"
    sentence = "The household is busy. Try again in a moment."
    retryable = True


class DatabaseAway(SyncError):
    code = "db_unavailable"
    sentence = "The database cannot be reached. Your changes are safe; try again in a moment."
    retryable = True


class CreationLimit(SyncError):
    code = "creation_limit"
    sentence = "Too many new households today. Try again tomorrow."
    retryable = True
    close_code = 4403


class EmailUnverified(SyncError):
    code = "email_unverified"
    sentence = "Confirm your e-mail address before you create a household."
    close_code = 4403


class Refused(Exception):
    """One change, or one value, that cannot be accepted; the conversation goes on.

    `field` is the wire name, or None when the whole change is meant.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.message = message
        self.field = field
        super().__init__(message)


# Why a change can be refused. The sentence a person reads comes with the refusal.
REFUSAL_CODES = (
    "unknown",  # the server knows no such entity (yet): the device parks the change
    "read_only",  # an entity or field that only the server writes
    "row_missing",  # an edit of a row that the server does not have (any more)
    "depends",  # a follower of a create that was refused
    "required",
    "type",
    "text",  # NUL or a lone surrogate
    "too_long",
    "choice",
    "range",
    "digits",
    "iban",
    "image",
    "reference",
    "invalid",  # refused by a validator of the model
    "row_too_large",
    "stamp_foreign",  # a stamp of a node that is not this device's
)

FRAME_ERRORS: tuple[type[SyncError], ...] = (
    Internal,
    BadFrame,
    TooLarge,
    TooMany,
    TooFast,
    OutOfTurn,
    NoHello,
    SignIn,
    NotYours,
    Forbidden,
    UpgradeNeeded,
    Restarting,
    Maintenance,
    Busy,
    DatabaseAway,
    CreationLimit,
    EmailUnverified,
)
