"""A double of the FinWise 0.4 app: its stores, its queue, how it takes what it is told.

Written from what is known of the real one, its oddities included. No network and no clock
of its own: a test carries the frames, and says what time it is there.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]
Frame = dict[str, Any]
STORES = {"Account": "accounts", "AccountGroup": "account_groups"}


def iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def ms_of(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class AppStore:
    """One browser's data of one household."""

    def __init__(
        self,
        tenant_id: str,
        clock: Callable[[], int],
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.tenant_id = tenant_id
        self._clock, self._new_id = clock, new_id
        # IndexedDB, which survives a reload, by entityType and id.
        self.kept: dict[str, dict[str, Record]] = {"Account": {}, "AccountGroup": {}}
        self.queue: list[dict[str, Any]] = []
        # What the page shows: filled by what is typed and by what is accepted, emptied by a
        # reload. It is never filled from IndexedDB.
        self.seen: dict[str, dict[str, Record]] = {"Account": {}, "AccountGroup": {}}
        self.status = ""
        self.acks: list[str] = []
        self.nacks: list[Frame] = []
        self.dropped = 0  # records that were not newer than what was there

    # --- what a person does

    def new_group(self, name: str, **fields: Any) -> str:
        return self._create("AccountGroup", {"name": name, "sortOrder": 0} | fields)

    def new_account(self, name: str, group: str | None, **fields: Any) -> str:
        """As the form does: neither accountType nor sortOrder, empty texts, zeros."""
        empty = {"description": "", "note": "", "iban": "", "isActive": True}
        empty |= {"isOfflineBudget": False, "balance": 0, "creditLimit": 0, "offset": 0}
        return self._create("Account", {"name": name, "accountGroupId": group} | empty | fields)

    def begin(self) -> None:
        """What a new household gets by itself."""
        giro = self.new_group("Girokonten", sortOrder=0)
        self.new_group("Sparkonten", sortOrder=1)
        self.new_account(
            "Girokonto", giro, description="Initiales Girokonto", accountType="CHECKING",
            sortOrder=0, image="",
        )  # fmt: skip

    def edit(self, row_id: str, **fields: Any) -> None:
        """The record keeps its `updated_at`; only the entry knows the time."""
        kind = self._kind_of(row_id)
        record = {**self.kept[kind][row_id], **fields}
        self._put(kind, record)
        self._enqueue(kind, row_id, "update", record)

    def delete(self, row_id: str) -> None:
        kind = self._kind_of(row_id)
        if kind == "AccountGroup":
            accounts = self.kept["Account"].values()
            assert not any(each.get("accountGroupId") == row_id for each in accounts)
        self._remove(kind, row_id)
        self._enqueue(kind, row_id, "delete", {"id": row_id})

    def reload(self) -> None:
        self.seen = {"Account": {}, "AccountGroup": {}}
        self.status = ""

    def retry_processing(self) -> None:
        """What has been sent and not answered is sent again.

        The app does not do it by itself: there, such an entry is lost. But frames are repeated
        by networks and by people who repair its queue, and that has to be harmless.
        """
        for entry in self.queue:
            if entry["status"] == "processing":
                entry["status"] = "pending"

    # --- what it sends

    def connected(self) -> Frame:
        return {"type": "request_initial_data", "tenant_id": self.tenant_id}

    def poll(self) -> Iterator[Frame]:
        """All pending entries in the order of their times, without waiting for answers."""
        if self.status != "online":
            return
        for entry in sorted(self.queue, key=lambda each: each["timestamp"]):
            if entry["status"] == "pending":
                entry |= {
                    "status": "processing",
                    "attempts": entry["attempts"] + 1,
                    "lastAttempt": self._clock(),
                }
                yield {"type": "process_sync_entry", "payload": copy.deepcopy(entry)}

    # --- what it hears

    def hear(self, frame: Frame) -> None:
        kind = frame.get("event_type") or frame.get("type")
        if "tenant_id" in frame and frame["tenant_id"] != self.tenant_id:
            return
        match kind:
            case "status":
                self.status = frame["status"]
            case "initial_data_load":
                for name in ("accounts", "account_groups"):
                    for record in frame["payload"][name]:
                        self._load(name, record)
            case "data_update":
                entity_type, data = frame["entity_type"], frame["data"]
                if frame["operation_type"] == "delete":
                    self._remove(entity_type, data["id"])
                else:
                    self._take(entity_type, data)
            case "sync_ack":
                assert frame["status"] == "processed"
                self.acks.append(frame["id"])
                self.queue = [each for each in self.queue if each["id"] != frame["id"]]
            case "sync_nack":
                self.nacks.append(frame)
                for each in self.queue:
                    if each["id"] == frame["id"]:
                        each["status"] = "failed"  # for ever

    def _load(self, name: str, record: Record) -> None:
        kind = next(each for each, store in STORES.items() if store == name)
        is_being_deleted = any(
            each["entityId"] == record["id"]
            and each["operationType"] == "delete"
            and each["status"] in ("pending", "processing")
            for each in self.queue
        )
        if not is_being_deleted:
            self._take(kind, record)

    def _take(self, kind: str, record: Record) -> None:
        incoming = record.get("updated_at")
        told = self._clock() if incoming is None else ms_of(incoming)
        mine = self.kept[kind].get(record["id"], {}).get("updated_at")
        if mine is not None and ms_of(mine) >= told:
            self.dropped += 1
            return
        self._put(kind, {**record, "updated_at": iso(told)})

    # --- inside

    def _create(self, kind: str, fields: Record) -> str:
        row_id = self._new_id()
        record = {"id": row_id, **fields, "updated_at": iso(self._clock())}
        self._put(kind, record)
        self._enqueue(kind, row_id, "create", record)
        return row_id

    def _enqueue(self, kind: str, row_id: str, does: str, payload: Record) -> None:
        self.queue.append(
            {
                "id": self._new_id(),
                "tenantId": self.tenant_id,
                "entityType": kind,
                "entityId": row_id,
                "operationType": does,
                "payload": copy.deepcopy(payload),
                "timestamp": self._clock(),
                "status": "pending",
                "attempts": 0,
            }
        )

    def _kind_of(self, row_id: str) -> str:
        return next(kind for kind, records in self.kept.items() if row_id in records)

    def _put(self, kind: str, record: Record) -> None:
        self.kept[kind][record["id"]] = record
        self.seen[kind][record["id"]] = record

    def _remove(self, kind: str, row_id: str) -> None:
        self.kept[kind].pop(row_id, None)
        self.seen[kind].pop(row_id, None)
