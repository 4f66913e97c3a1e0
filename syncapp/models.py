"""The engine's tables in each household's schema, and the base of every synced table.

No foreign keys between them and none out of the schema: a household's schema can be
dumped, restored and moved alone. The engine reads and writes them through
`repository.py`; triggers (`sql/triggers.sql`) notice every other write.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import BrinIndex
from django.db import models


def _stamp_field(**options: Any) -> models.CharField:
    # Collation C: text order is stamp order only byte by byte.
    return models.CharField(max_length=35, default="", db_collation="C", **options)


class LiveRows(models.Manager):
    """Rows that exist; tombstones stay out of sight."""

    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().filter(sync_exists=True)


class SyncedModel(models.Model):
    """A table that travels. Deleting leaves a tombstone; every write is stamped.

    `sync_stamps`: stamp by wire name, "*" for every field not named. Written by the engine
    or the triggers, never by hand: what such a write brings along is ignored.
    """

    id = models.UUIDField(
        primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False
    )
    sync_exists = models.BooleanField(default=True, db_default=True, editable=False)
    sync_stamps = models.JSONField(default=dict, db_default={}, editable=False)
    sync_seq = models.BigIntegerField(default=0, db_default=0, editable=False)

    objects: ClassVar[models.Manager] = LiveRows()
    with_tombstones: ClassVar[models.Manager] = models.Manager()

    SYNC_COLUMNS = ("sync_exists", "sync_stamps", "sync_seq")

    class Meta:
        abstract = True
        # The place in the order in which devices read.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sync_seq", "id"], name="%(class)s_sync_order")
        ]

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any) -> SyncedModel:
        instance = super().from_db(db, field_names, values)
        instance._loaded = dict(zip(field_names, values, strict=False))
        return instance

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write only the fields that differ from what was loaded.

        So a form that was open for an hour does not overwrite what others changed since.
        """
        loaded = getattr(self, "_loaded", None)
        if loaded is not None and not self._state.adding and not kwargs.get("force_insert"):
            wanted = kwargs.get("update_fields")
            changed = [
                field.attname
                for field in self._meta.concrete_fields
                if field.attname in loaded
                and field.attname not in self.SYNC_COLUMNS
                and not field.primary_key
                and getattr(self, field.attname) != loaded[field.attname]
                and (wanted is None or field.name in wanted or field.attname in wanted)
            ]
            if not changed:
                return
            kwargs["update_fields"] = changed
        super().save(*args, **kwargs)
        self._loaded = {
            field.attname: getattr(self, field.attname)
            for field in self._meta.concrete_fields
            if field.attname in self.__dict__
        }


class SyncHead(models.Model):
    """The one row that orders a household; see `core.records.Head`."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=32)
    seq = models.BigIntegerField(default=0)
    fingerprint = models.CharField(max_length=16)
    stamp = _stamp_field()
    horizon = _stamp_field()
    compactions = models.BigIntegerField(default=0)
    compacted_seq = models.BigIntegerField(default=0)

    class Meta:
        db_table = "sync_head"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(id=1), name="sync_head_is_one_row")
        ]


class SyncTransaction(models.Model):
    """One small row for each seq, kept 90 days: tells a restored database from this one."""

    seq = models.BigIntegerField(primary_key=True)
    fingerprint = models.CharField(max_length=16)
    device_id = models.UUIDField(null=True)
    at_ms = models.BigIntegerField()
    # How many rows it changed, for the operator's chart. A write by hand counts as one.
    changes = models.IntegerField(default=1, db_default=1)

    class Meta:
        db_table = "sync_transaction"
        indexes: ClassVar[list[models.Index]] = [
            # Times ascend with the rows: a few bytes for many pages, and no work for a push.
            BrinIndex(fields=["at_ms"], name="sync_transaction_time", pages_per_range=16)
        ]


class Device(models.Model):
    """A device of this household; see `core.records.Device`."""

    id = models.UUIDField(primary_key=True)
    user_id = models.UUIDField()
    node = models.CharField(max_length=16, unique=True)
    former_nodes = models.JSONField(default=list)
    name = models.CharField(max_length=120, default="")
    app = models.CharField(max_length=120, default="")
    last_number = models.BigIntegerField(default=0)
    acknowledged = models.BigIntegerField(default=0)
    read_seq = models.BigIntegerField(default=0)
    last_seen_ms = models.BigIntegerField(default=0)
    reset = models.CharField(max_length=10, default="")
    is_healing = models.BooleanField(default=False)
    is_revoked = models.BooleanField(default=False)
    pending = models.BigIntegerField(default=0)
    oldest_pending_ms = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    parked = models.BigIntegerField(default=0)
    clock_offset_ms = models.BigIntegerField(default=0)
    protocol = models.CharField(max_length=40, default="finwise.sync.v1")
    told_ms = models.BigIntegerField(default=0)
    left_ms = models.BigIntegerField(default=0)

    class Meta:
        db_table = "sync_device"

    def __str__(self) -> str:
        return self.name or str(self.id)


class Member(models.Model):
    """The mirror of a membership, read by every push under the head's lock."""

    user_id = models.UUIDField(primary_key=True)
    role = models.CharField(max_length=10)

    class Meta:
        db_table = "sync_member"


class Fate(models.Model):
    """The whole answer to one change, kept until its device has settled it.

    `key`: a number here, an entry's id in a dialect.
    """

    pk = models.CompositePrimaryKey("device_id", "key")
    device_id = models.UUIDField()
    key = models.CharField(max_length=64)
    number = models.BigIntegerField(default=0)
    stamp = _stamp_field()
    digest = models.CharField(max_length=16)
    result = models.TextField()
    at_ms = models.BigIntegerField()

    class Meta:
        db_table = "sync_fate"


class Shown(models.Model):
    """What a device of an older protocol was shown of a row; see `dialects.shown.Shown`."""

    pk = models.CompositePrimaryKey("device_id", "entity", "row_id")
    device_id = models.UUIDField()
    entity = models.CharField(max_length=40)
    row_id = models.UUIDField()
    told_ms = models.BigIntegerField()
    last_stamp = _stamp_field()
    last_entry_ms = models.BigIntegerField(default=0)
    versions = models.JSONField(default=list)

    class Meta:
        db_table = "sync_shown"


class Conflict(models.Model):
    """A value overruled by a newer one whose author had not seen it; never changes."""

    id = models.UUIDField(primary_key=True)
    entity = models.CharField(max_length=40)
    row_id = models.UUIDField()
    field = models.CharField(max_length=40)
    winning_value = models.JSONField(null=True)
    winning_stamp = _stamp_field()
    winning_device = models.UUIDField(null=True)
    winning_user = models.UUIDField(null=True)
    losing_value = models.JSONField(null=True)
    losing_stamp = _stamp_field()
    losing_device = models.UUIDField(null=True)
    losing_user = models.UUIDField(null=True)
    at_ms = models.BigIntegerField()
    sync_seq = models.BigIntegerField()

    class Meta:
        db_table = "sync_conflict"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sync_seq", "id"], name="sync_conflict_order")
        ]


class Refusal(models.Model):
    """That a change was refused, for people who look after a household; never its values.

    `key`: as in `Fate`, which goes when the device has settled it. This stays 90 days.
    """

    pk = models.CompositePrimaryKey("device_id", "key")
    device_id = models.UUIDField()
    key = models.CharField(max_length=64)
    entity = models.CharField(max_length=40, default="")
    row_id = models.UUIDField(null=True)
    field = models.CharField(max_length=40, default="")
    code = models.CharField(max_length=40)
    at_ms = models.BigIntegerField()

    class Meta:
        db_table = "sync_refusal"


class SyncRequest(models.Model):
    """Somebody asked all connected devices to sync. Only the newest few are kept."""

    id = models.UUIDField(primary_key=True)
    by = models.CharField(max_length=150)
    at_ms = models.BigIntegerField()

    class Meta:
        db_table = "sync_request"


class SyncReport(models.Model):
    """A device that was asked to sync, and what it answered. `at_ms` is 0 until it has."""

    pk = models.CompositePrimaryKey("request_id", "device_id")
    request_id = models.UUIDField()
    device_id = models.UUIDField()
    at_ms = models.BigIntegerField(default=0)
    outcome = models.CharField(max_length=10, default="")
    sent = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    pending = models.BigIntegerField(default=0)

    class Meta:
        db_table = "sync_report"


class Delivery(models.Model):
    """How many changes reached a device within a time, by hour; see `deliveries.py`."""

    pk = models.CompositePrimaryKey("hour_ms", "bucket")
    hour_ms = models.BigIntegerField()
    bucket = models.SmallIntegerField()
    count = models.BigIntegerField(default=0)

    class Meta:
        db_table = "sync_delivery"
