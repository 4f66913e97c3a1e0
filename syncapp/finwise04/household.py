"""What a frame of a FinWise 0.4 app does in its household: one transaction for each call.

Each takes the head's lock first, like every writer: what an app was shown belongs to the
state that it was shown, and two sockets of one browser take turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from .. import engine, greetings
from ..core.change import EXISTS
from ..core.clock import ms_of
from ..core.cursor import Cursor, end_of
from ..core.errors import NotYours, Refused, Restarting
from ..core.messages import Hello, Push, Result, content_digest
from ..core.records import Device, Head, StoredFate
from ..core.repository import Repository
from ..dialects import finwise04 as dialect
from ..dialects.finwise04 import Entry, Kind, Told, Translation
from ..dialects.shown import Shown

Key = tuple[str, str]  # entity, row id


class ShownStore(Protocol):
    """What devices were shown: one household, inside the same transaction as the rows."""

    def of(self, device_id: str, keys: Collection[Key]) -> dict[Key, Shown]: ...
    def keys(self, device_id: str) -> set[Key]: ...
    def write(self, device_id: str, shown: Iterable[Shown]) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Whom a call is for, and where it reads and writes."""

    repository: Repository
    store: ShownStore
    kinds: Mapping[str, Kind]
    tenant_id: str
    user_id: str
    identity: dialect.Identity


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an app's arrival came to. Live from `cursor` on."""

    role: str
    is_revoked: bool
    cursor: Cursor


@dataclass(slots=True)
class Answer:
    """What the app is told, in this order. `seq` is None when nothing changed.

    states: what tells the state of a row that is told from any other state of it.
    """

    frames: list[Told] = field(default_factory=list)
    states: dict[Key, int] = field(default_factory=dict)
    seq: int | None = None


@dataclass(slots=True)
class Shared:
    """A page of rows as the app takes them: records by kind, and what is gone."""

    records: dict[str, list[Told]]
    deletes: list[Told]
    updates: list[tuple[Key, Told]]
    states: dict[Key, int]
    keys: set[Key]
    cursor: Cursor
    more: bool


def arrive(desk: Desk, hello: Hello, now_ms: int) -> Welcome:
    """Register or recognise an app as a device of the household. Raises NotYours."""
    greeting = greetings.greet(desk.repository, hello, desk.user_id, now_ms)
    head = greeting.head
    cursor = Cursor(head.epoch, end_of(head.seq), head.seq, head.fingerprint, head.compactions)
    if not greeting.is_identity_taken:
        _, device = _enter(desk)
        # It takes everything each time it comes, so a reset is done with that; and it has no
        # stamps with which it could heal a server. Nobody is to wait for either.
        device = replace(device, protocol=dialect.PROTOCOL, reset="", is_healing=False)
        desk.repository.write(head, now_ms, device=device)
    return Welcome(greeting.role, greeting.is_identity_taken, cursor)


def take_entry(desk: Desk, entry: Entry, now_ms: int) -> Answer:
    """Give one entry of the app's queue its fate, and tell what stands now.

    An entry is known by its own id: coming again it gets the same answer, without effect.
    Raises NotYours, Forbidden (it settles nothing), Restarting.
    """
    kind = next((each for each in desk.kinds.values() if each.name == entry.entity_type), None)
    if entry.tenant_id != desk.tenant_id:
        return Answer([dialect.sync_nack(entry, "Another household's entry.")])
    if kind is None:
        return Answer([dialect.sync_nack(entry, "No such entityType.")])
    head, device = _enter(desk)
    key = (kind.entity, entry.entity_id)
    shown = _shown_of(desk, [key])[key]
    stored = desk.repository.fates(device.id, [entry.id]).get(entry.id)
    outcome = None
    if stored is None:
        result, outcome = _decide(desk, head, device, entry, kind, shown, now_ms)
    else:
        result = stored.result
    shared = _tell(desk, [key], {key: shown}, now_ms, is_answer=True)
    frames = [frame for _, frame in shared.updates]
    if not frames and (entry.kind == "delete" or result.fate != "refused"):
        frames = [_delete(desk, kind, entry.entity_id)]  # forgotten, or never here
    if result.code:
        frames.append(dialect.sync_nack(entry, result.message))
    else:
        frames.append(dialect.sync_ack(entry))
    return Answer(frames, shared.states, outcome.seq if outcome is not None else None)


def _decide(
    desk: Desk,
    head: Head,
    device: Device,
    entry: Entry,
    kind: Kind,
    shown: Shown,
    now_ms: int,
) -> tuple[Result, engine.Outcome]:
    repository = desk.repository
    key = (kind.entity, entry.entity_id)
    translation = dialect.entry_to_change(
        entry,
        kind,
        repository.entities[kind.entity],
        current=repository.rows([key]).get(key),
        shown=shown,
        node=desk.identity.node,
        number=device.last_number + 1,
        horizon=head.horizon,
        now_ms=now_ms,
    )
    # The app keeps no numbers: here each is settled as soon as the next one is given.
    push = Push(
        changes=[translation.change] if translation.change is not None else [],
        acknowledged=device.last_number,
    )
    outcome = engine.apply_push(repository, device.id, desk.user_id, push, now_ms)
    result = _result(translation, outcome)
    if not translation.is_gone:
        taken = [each for each in outcome.ack.results if each.fate != "refused"]
        translation.note(entry, shown, taken[0] if taken else None)
    change = translation.change
    fate = StoredFate(
        entry.id,
        0,  # by no number: kept for the retention time
        change.stamp if change is not None else "",
        content_digest(change) if change is not None else "",
        result,
        *key,
    )
    head, device = _enter(desk)  # as the push has left them
    repository.write(head, now_ms, device=device, fates=[fate])
    return result, outcome


def _result(translation: Translation, outcome: engine.Outcome) -> Result:
    """The fate of an entry: refused, if any part of it could not be accepted.

    The rest of it has been taken all the same.
    """
    problems = list(translation.problems)
    fate = "superseded"
    for result in outcome.ack.results:
        fate = result.fate
        if result.code:
            problems.append(Refused(result.code, result.message, result.field or None))
    if not problems:
        return Result(0, fate)
    sentences = [
        f"{each.field}: {each.message}" if each.field else each.message for each in problems
    ]
    first = problems[0]
    return Result(
        0, "refused", code=first.code, field=first.field or "", message=" ".join(sentences)
    )


# --- showing ---------------------------------------------------------------------------


def show_page(desk: Desk, cursor: Cursor | None, limit: int, now_ms: int) -> Shared:
    """The rows behind `cursor` as they stand now, noted as shown.

    Raises NotYours, Restarting, engine.CursorLost.
    """
    head, _ = _enter(desk)
    page = engine.page_after(desk.repository, head, cursor, limit)
    keys = [(row.entity, row.id) for row in page.rows if row.entity in desk.kinds]
    shared = _tell(desk, keys, _shown_of(desk, keys), now_ms)
    shared.cursor, shared.more = page.cursor, page.more
    return shared


def show_what_is_forgotten(desk: Desk, seen: Collection[Key], now_ms: int) -> list[Told]:
    """Deletes for what this app was shown once and the household knows no more.

    seen: what a whole load has brought. A row that never came to be here is the app's own.
    """
    _enter(desk)
    left = desk.store.keys(desk.identity.device) - set(seen)
    rows = desk.repository.rows(left)
    gone = []
    for shown in desk.store.of(desk.identity.device, left - rows.keys()).values():
        was_here = max((each.stamps.get(EXISTS, "") for each in shown.versions), default="")
        if was_here:
            # It stays remembered: an edit from before must not bring it back.
            shown.tell(now_ms, {}, {EXISTS: was_here})
            gone.append(shown)
    desk.store.write(desk.identity.device, gone)
    return [_delete(desk, desk.kinds[each.entity], each.id) for each in gone]


def _tell(
    desk: Desk,
    keys: Collection[Key],
    shown: Mapping[Key, Shown],
    now_ms: int,
    *,
    is_answer: bool = False,
) -> Shared:
    """Note these rows, as they stand now, as shown; rows that are not there are left out."""
    rows = desk.repository.rows(keys)
    shared = Shared(
        {each.loaded_as: [] for each in desk.kinds.values()}, [], [], {}, set(keys), _NOWHERE, False
    )
    for key in keys:
        row = rows.get(key)
        if row is None:
            continue
        kind = desk.kinds[row.entity]
        entity = desk.repository.entities[row.entity]
        is_new = not shown[key].versions
        told_ms = shown[key].tell(
            now_ms,
            dialect.held_of_row(entity, row),
            row.stamps,
            # Later than whatever it shows: an edit made upon it is later than that, too.
            after_ms=ms_of(row.newest_stamp) if row.stamps else 0,
        )
        if row.is_here:
            record = dialect.row_to_record(kind, entity, row, told_ms)
            shared.records[kind.loaded_as].append(record)
            does = "create" if is_new and not is_answer else "update"
            frame = dialect.data_update(desk.tenant_id, kind, does, record)
        else:
            frame = _delete(desk, kind, row.id)
            shared.deletes.append(frame)
        shared.updates.append((key, frame))
        shared.states[key] = hash(frozenset(row.stamps.items()))
    # Also of what is not there: the app's own part of it was noted.
    desk.store.write(desk.identity.device, [shown[key] for key in keys])
    return shared


def _delete(desk: Desk, kind: Kind, row_id: str) -> Told:
    return dialect.data_update(desk.tenant_id, kind, "delete", {"id": row_id})


_NOWHERE = Cursor("", end_of(0), 0, "", 0)


def _shown_of(desk: Desk, keys: Collection[Key]) -> dict[Key, Shown]:
    known = desk.store.of(desk.identity.device, keys)
    return {key: known.get(key) or Shown(*key) for key in keys}


def _enter(desk: Desk) -> tuple[Head, Device]:
    """Lock the head, then see who asks, as the engine does."""
    head = desk.repository.lock_head()
    device, role = desk.repository.visitor(desk.identity.device, desk.user_id)
    if role is None:
        raise NotYours()
    if device is None or device.user_id != desk.user_id or device.is_revoked:
        raise Restarting("This device is not known here any more; connect again.")
    return head, device
