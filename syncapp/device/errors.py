"""What a person at the device has to hear: a code, and a sentence that says what is safe."""

from __future__ import annotations

from typing import ClassVar


class DeviceError(Exception):
    """Something this device could not do. Nothing was half done."""

    code: ClassVar[str] = "device"

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class RowMissing(DeviceError):
    """There is no such row on this device, or it is deleted."""

    code = "row_missing"


class RowExists(DeviceError):
    code = "row_exists"


class NotAllowed(DeviceError):
    """This person may read the household, but not change it."""

    code = "forbidden"


class ValueRefused(DeviceError):
    """A value that the household does not take; `field` is its wire name, or None."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code  # type: ignore[misc]  # that of the rule, not of the class
        self.field = field
        super().__init__(f"{field}: {message}" if field else message)


class StoreError(DeviceError):
    """The file in which the device keeps everything could not be read or written."""

    code = "store"


class StoreFull(StoreError):
    code = "store_full"


class StoreBusy(StoreError):
    code = "store_busy"


class StoreDamaged(StoreError):
    code = "store_damaged"


class StoreTooNew(StoreError):
    code = "store_too_new"


class StoreMismatch(StoreError):
    """The store belongs to another household than the one that was asked for."""

    code = "store_mismatch"
