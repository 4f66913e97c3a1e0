"""What the server decides: one household, one transaction for each call.

Pure decisions over a `Repository`; the caller has opened the transaction and entered the
household's schema (`tenants/context.py`). Every writer locks the head first, in a
statement of its own, before it reads any row: so seqs become visible in commit order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .core.change import EXISTS, Row, written_by
from .core.clock import NO_STAMP, SERVER_NODE, ms_of, newest, next_stamp, node_of
from .core.cursor import (
    START,
    Cursor,
    Position,
    anchor_to_text,
    end_of,
    text_to_anchor,
)
from .core.entity import Entity, canonical, canonical_fields
from .core.errors import Forbidden, NotYours, Refused, Restarting
from .core.merge import Decision, conflict_id, decide, is_same, merge
from .core.messages import (
    BATCH_MAX_ROWS,
    Ack,
    Change,
    Push,
    RefusedRow,
    Result,
    Rows,
    content_digest,
    wire_to_row,
)
from .core.records import Conflict, Device, Head, Located, NodeOwner, StoredFate
from .core.repository import Repository

# A stamp may be this far ahead of the server's clock; beyond, it is re-stamped to now.
AHEAD_LIMIT_MS = 5_000
# Two clocks, each off by up to ten years: as far ahead may lie what a device that heals brings.
HEALED_AHEAD_LIMIT_MS = 20 * 366 * 24 * 3600 * 1000
NOBODY = "00000000-0000-0000-0000-000000000000"  # who asks for a device, not for a role


@dataclass(slots=True)
class Outcome:
    """What a write did. `seq` is None when nothing changed and nobody needs to hear."""

    ack: Ack
    seq: int | None


@dataclass(slots=True)
class Page:
    """Current rows behind `start`, up to `to` (both: complete up to this seq).

    rows: as the repository reads them, `Row` or `WireRow`.
    """

    rows: list[Any]
    start: int
    to: int
    cursor: Cursor
    more: bool
    head: Head


class CursorLost(Exception):
    """The cursor does not hold any more; `reason` is that of the reset."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Stale(Exception):
    """A server-side edit whose author had not seen the current values; nothing written."""

    def __init__(self, fields: list[str]) -> None:
        self.fields = fields
        super().__init__(", ".join(fields))


# --- reading ---------------------------------------------------------------------------


def changes_since(
    repository: Repository, cursor: Cursor | None, user_id: str, limit: int = BATCH_MAX_ROWS
) -> Page:
    """Current rows (not history) behind the cursor, at most `limit`.

    Runs in one snapshot together with the head. Raises CursorLost, NotYours.
    """
    head = repository.read_head()
    if repository.visitor("", user_id)[1] is None:
        raise NotYours()
    return page_after(repository, head, cursor, limit)


def page_after(
    repository: Repository, head: Head, cursor: Cursor | None, limit: int = BATCH_MAX_ROWS
) -> Page:
    """`changes_since` for a reader whose right has been checked."""
    if cursor is None:
        cursor = Cursor(head.epoch, START, head.seq, head.fingerprint, head.compactions)
    reason = why_lost(repository, head, cursor)
    if reason is not None:
        raise CursorLost(reason)
    start = complete_up_to(cursor.position)
    located: list[Located] = []
    more = False
    if cursor.position < end_of(head.seq):
        located, more = repository.page(cursor.position, limit)
    if more:
        last = located[-1]
        position = Position(last.seq, last.row.entity, last.row.id)
        mark = cursor.mark
    else:
        position = end_of(head.seq)
        mark = head.compactions
    following = Cursor(head.epoch, position, head.seq, head.fingerprint, mark)
    return Page(
        [each.row for each in located], start, complete_up_to(position), following, more, head
    )


def complete_up_to(position: Position) -> int:
    """The seq up to which all is read: inside a seq, only the one before it."""
    return position.seq if position == end_of(position.seq) else max(position.seq - 1, 0)


def is_lost(repository: Repository, head: Head, anchor: str) -> bool:
    """Whether an ack was given in another past: what it acknowledged may be missing here.

    The cursor may be older than the ack, and the numbers be used up by a copy of the device,
    or belong to a former identity: only this tells. A pruned fingerprint tells nothing.
    """
    told = text_to_anchor(anchor)
    if told is None:
        return False
    seq, fingerprint = told
    if seq >= head.seq:
        return (seq, fingerprint) != (head.seq, head.fingerprint)
    return repository.fingerprint_of(seq) not in (None, fingerprint)


def why_lost(repository: Repository, head: Head, cursor: Cursor) -> str | None:
    """The reason why a cursor does not hold, or None if it does."""
    if cursor.epoch != head.epoch:
        return "operator"
    if cursor.anchor_seq > head.seq or cursor.position.seq > head.seq:
        return "restored"
    if cursor.anchor_seq == head.seq:
        fingerprint: str | None = head.fingerprint
    else:
        fingerprint = repository.fingerprint_of(cursor.anchor_seq)
    if fingerprint is None:
        return "horizon"
    if fingerprint != cursor.anchor_fingerprint:
        return "restored"
    if cursor.mark != head.compactions and complete_up_to(cursor.position) < head.compacted_seq:
        return "horizon"
    return None


# --- writing ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """One write in the making: the rows as they will be, and what it found."""

    repository: Repository
    head: Head
    now_ms: int
    device: Device | None = None
    user_id: str | None = None
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    changed: set[tuple[str, str]] = field(default_factory=set)
    overruled: list[tuple[str, str, Any]] = field(default_factory=list)
    # What was re-stamped of this push, by row: (its own stamp, the one it got).
    restamped: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    refused_creates: set[tuple[str, str]] = field(default_factory=set)

    def load(self, wanted: Iterable[tuple[str, str]]) -> None:
        entities = self.repository.entities
        known = {key for key in wanted if key[0] in entities and not entities[key[0]].is_read_only}
        self.rows = self.repository.rows(known)

    def tick(self, node: str) -> str:
        """A stamp later than everything this household has accepted."""
        self.head.stamp = next_stamp(self.head.stamp, self.now_ms, node)
        return self.head.stamp

    def effective(self, key: tuple[str, str], stamp: str, *, is_late: bool = False) -> str:
        """The stamp to use: the given one, unless it is ahead of time, or must be later.

        What its device made after a change of this row that was re-stamped stays after it. By
        its stamp, not by its number: what was parked is sent late, and was made before.
        """
        floor = newest(given for own, given in self.restamped.get(key, ()) if own < stamp)
        is_ahead = ms_of(stamp) > self.now_ms + AHEAD_LIMIT_MS
        if is_ahead or is_late or stamp <= floor:
            given = self.tick(node_of(stamp))
            self.note_restamped(key, stamp, given)
            return given
        self.head.stamp = max(self.head.stamp, stamp)
        return stamp

    def note_restamped(self, key: tuple[str, str], own: str, given: str) -> None:
        """A change of this push has another stamp than its own, perhaps since an earlier push."""
        self.restamped.setdefault(key, []).append((own, given))

    def take(self, key: tuple[str, str], decision: Decision) -> None:
        if decision.is_changed:
            self.rows[key] = decision.row
            self.changed.add(key)
        if decision.overruled:
            self.overruled.extend((*key, each) for each in decision.overruled)

    def finish(self, fates: Sequence[StoredFate] = ()) -> int | None:
        """Write everything; returns the seq if one was taken."""
        repository, head = self.repository, self.head
        conflicts = repository.new_conflicts(self._conflicts()) if self.overruled else []
        changed = [self.rows[key] for key in self.changed]
        is_new_seq = bool(changed or conflicts)
        if is_new_seq:
            head.seq += 1
            head.fingerprint = secrets.token_hex(8)
        repository.write(
            head,
            self.now_ms,
            is_new_seq=is_new_seq,
            rows=changed,
            conflicts=conflicts,
            device=self.device,
            fates=fates,
        )
        return head.seq if is_new_seq else None

    def _conflicts(self) -> list[Conflict]:
        nodes = {
            node_of(stamp)
            for _, _, each in self.overruled
            for stamp in (each.winning_stamp, each.losing_stamp)
        }
        owners = self.repository.owners_of(nodes - {SERVER_NODE})
        nobody = NodeOwner("", "", "")
        conflicts = {}
        for entity, row_id, each in self.overruled:
            winner = owners.get(node_of(each.winning_stamp), nobody)
            loser = owners.get(node_of(each.losing_stamp), nobody)
            conflict = Conflict(
                id=conflict_id(entity, row_id, each),
                entity=entity,
                row_id=row_id,
                field=each.field,
                winning_value=each.winning_value,
                winning_stamp=each.winning_stamp,
                winning_device=winner.device_id or None,
                winning_user=winner.user_id or None,
                losing_value=each.losing_value,
                losing_stamp=each.losing_stamp,
                losing_device=loser.device_id or None,
                losing_user=loser.user_id or None,
                at_ms=self.now_ms,
            )
            conflicts[conflict.id] = conflict
        return list(conflicts.values())


def _enter(
    repository: Repository, device_id: str, user_id: str, acknowledged: int | None, anchor: str
) -> tuple[Head, Device]:
    """Lock the head, then check who writes: the order matters (a revoked right is seen).

    anchor: of the newest ack of this conversation, until a page has told as much.
    """
    head = repository.lock_head()
    device, role = repository.visitor(device_id, user_id)
    if role is None:
        raise NotYours()
    if role == "viewer":
        raise Forbidden()
    if device is None or device.user_id != user_id or device.is_revoked:
        raise Restarting("This device is not known here any more; say hello again.")
    is_ahead = acknowledged is not None and acknowledged > device.last_number
    if is_ahead or is_lost(repository, head, anchor):
        # The database was restored under this conversation: the next welcome tells. Another
        # ack, of the new past, would have the device forget the one that is missing there.
        raise Restarting()
    return head, device


def apply_push(
    repository: Repository,
    device_id: str,
    user_id: str,
    push: Push,
    now_ms: int,
    *,
    anchor: str = "",
) -> Outcome:
    """Give each change of a push its fate, in one transaction.

    A repeat gets the same answer again, without effect. Raises NotYours, Forbidden (the
    frame settles nothing), Restarting.

    A number that somebody else has used shows that the sender is a copy: it takes another
    identity and sends again what is open. What comes after that number waits for it: taken
    now, a later change could be stamped before an earlier one, or miss its row's create.
    """
    head, device = _enter(repository, device_id, user_id, push.acknowledged, anchor)
    device.acknowledged = max(device.acknowledged, push.acknowledged)
    device.last_seen_ms = now_ms
    fresh = [each for each in push.changes if each.number > device.acknowledged]
    # What is behind the greatest number handled was never answered: nothing to look up.
    known = [str(each.number) for each in fresh if each.number <= device.last_number]
    answered = repository.fates(device_id, known)
    work = _Work(repository, head, now_ms, device, user_id)
    work.load((each.entity, each.id) for each in fresh)
    results: list[Result] = []
    fates: list[StoredFate] = []
    own_nodes = device.nodes
    is_copy = False
    for change in push.changes:
        key = str(change.number)
        stored = answered.get(key)
        if is_copy or change.number <= device.acknowledged:
            result = Result(change.number, "settled")
            is_copy = is_copy or change.number > push.acknowledged
        elif stored is None:
            result = _decide_change(work, change, own_nodes)
            answered[key] = StoredFate(
                key,
                change.number,
                change.stamp,
                content_digest(change),
                result,
                change.entity,
                change.id,
            )
            fates.append(answered[key])
            device.last_number = max(device.last_number, change.number)
        elif stored.stamp == change.stamp and stored.digest == content_digest(change):
            result = _repeated(work, change, stored.result)
            if result.stamp:
                work.note_restamped((change.entity, change.id), change.stamp, result.stamp)
        else:
            result = Result(change.number, "settled")  # two changes, one number
            is_copy = True
        results.append(result)
    seq = work.finish(fates)
    return Outcome(Ack(results=results, head=head.seq, anchor=_anchor_of(head)), seq)


def _anchor_of(head: Head) -> str:
    return anchor_to_text(head.seq, head.fingerprint)


def _repeated(work: _Work, change: Change, result: Result) -> Result:
    """The same answer again; but nothing stands of a row that was deleted and compacted since.

    The device puts what has won into its base: a row would be there that nobody has.
    """
    is_known = change.entity in work.repository.entities
    stamp = result.stamp or change.stamp
    is_compacted = (change.entity, change.id) not in work.rows and stamp <= work.head.horizon
    if result.fate != "applied" or not is_known or not is_compacted:
        return result
    lost = written_by(change.kind, change.fields).keys() - set(result.unknown)
    return Result(change.number, "superseded", lost=sorted(lost), unknown=result.unknown)


def _decide_change(work: _Work, change: Change, own_nodes: set[str]) -> Result:
    """The fate of one new change; the work takes its effect."""
    key = (change.entity, change.id)
    try:
        entity = _writable(work.repository.entities, change.entity)
        if node_of(change.stamp) not in own_nodes:
            raise Refused("stamp_foreign", "This change carries the stamp of another device.")
        if key in work.refused_creates:
            raise Refused("depends", "The row that this change belongs to was refused.")
        current = work.rows.get(key)
        # A tombstone of a row that was never here has no values: a create completes it, too.
        bare: set[str] = set()
        if change.kind == "create" and current is not None:
            bare = entity.fields.keys() - current.stamps.keys()
        is_new = change.kind == "create" and (current is None or bool(bare))
        fields, unknown = canonical_fields(entity, change.fields, is_create=is_new)
        if is_new and current is not None:
            fields = {
                name: value
                for name, value in fields.items()
                if name in bare or name in change.fields
            }
        is_late = False
        if current is None:
            is_old = change.stamp <= work.head.horizon
            if change.kind == "edit":
                # No row, no followers either: restamped says whether this push made it.
                raise Refused("row_missing", "The server does not have this row any more.")
            if change.kind == "delete" and is_old:
                return Result(change.number, "superseded", lost=[EXISTS])
            is_late = change.kind == "create" and is_old
    except Refused as refusal:
        if change.kind == "create":
            work.refused_creates.add(key)
        return Result(
            change.number,
            "refused",
            code=refusal.code,
            field=refusal.field or "",
            message=refusal.message,
            horizon=work.head.horizon if refusal.code == "row_missing" else "",
        )
    stamp = work.effective(key, change.stamp, is_late=is_late)
    decision = decide(
        current,
        *key,
        written_by(change.kind, fields),
        stamp,
        change.seen,
        own_nodes,
    )
    work.take(key, decision)
    return Result(
        change.number,
        decision.fate,  # type: ignore[arg-type]
        stamp=stamp if stamp != change.stamp else "",
        lost=decision.lost,
        unknown=unknown,
    )


def _writable(entities: Mapping[str, Entity], name: str) -> Entity:
    entity = entities.get(name)
    if entity is None:
        raise Refused("unknown", "The server does not know this kind of row yet.")
    if entity.is_read_only:
        raise Refused("read_only", "These rows are written by the server alone.")
    return entity


def apply_rows(
    repository: Repository,
    device_id: str,
    user_id: str,
    message: Rows,
    now_ms: int,
    *,
    is_healing: bool = False,
    anchor: str = "",
) -> Outcome:
    """Merge whole rows by their stamps: no numbers, no fates, no conflicts; idempotent.

    Heals a server that was restored, and answers `row_missing`. Rows that are not newer
    than the horizon are superseded without asking.

    is_healing: this conversation began with the device's healing, which is not over. If the
    household does not know of it, it has been restored once more since, and would stamp anew
    what it once accepted: the next hello says it again.
    Raises NotYours, Forbidden, Restarting.
    """
    head, device = _enter(repository, device_id, user_id, None, anchor)
    if is_healing and not device.is_healing:
        raise Restarting()
    work = _Work(repository, head, now_ms, device, user_id)
    incoming = [wire_to_row(each) for each in message.rows]
    work.load((each.entity, each.id) for each in incoming)
    refused: list[RefusedRow] = []
    for row in incoming:
        key = (row.entity, row.id)
        accepted = _acceptable(work, row, refused)
        current = work.rows.get(key)
        if accepted is None or (current is None and accepted.newest_stamp <= head.horizon):
            continue
        merged = merge(current, accepted)
        if not is_same(current, merged):
            work.rows[key] = merged
            work.changed.add(key)
    if message.last:
        device.is_healing = False
    seq = work.finish()
    ack = Ack(
        rows=len(message.rows),
        refused_rows=refused,
        of="rows",
        head=head.seq,
        anchor=_anchor_of(head),
    )
    return Outcome(ack, seq)


def _acceptable(work: _Work, row: Row, refused: list[RefusedRow]) -> Row | None:
    """The part of a row that the server can take; what it cannot is listed in `refused`."""
    try:
        entity = _writable(work.repository.entities, row.entity)
        if not isinstance(row.fields.get(EXISTS), bool):
            raise Refused("required", "A row says whether it exists.", EXISTS)
    except Refused as refusal:
        refused.append(
            RefusedRow(row.entity, row.id, refusal.code, refusal.message, refusal.field or "")
        )
        return None
    # What a restored server gets back was accepted here before, by whatever clock. Re-stamped,
    # the older value of the device that heals last would win over the newer one of the first.
    is_healing = work.device is not None and work.device.is_healing
    ahead_ms = HEALED_AHEAD_LIMIT_MS if is_healing else AHEAD_LIMIT_MS
    limit_ms = max(work.now_ms + ahead_ms, _known_ms(work.head))
    accepted = Row(row.entity, row.id)
    for name, value in row.fields.items():
        spec = entity.fields.get(name)
        if spec is None and name != EXISTS:
            refused.append(
                RefusedRow(row.entity, row.id, "unknown", "Not known to the server yet.", name)
            )
            continue
        try:
            accepted.fields[name] = value if spec is None else canonical(spec, value)
        except Refused as refusal:
            refused.append(RefusedRow(row.entity, row.id, refusal.code, refusal.message, name))
            continue
        stamp = row.stamps[name]
        if ms_of(stamp) > limit_ms:
            stamp = work.tick(node_of(stamp))
        accepted.stamps[name] = stamp
    work.head.stamp = max(work.head.stamp, newest(accepted.stamps.values()))
    return accepted


def _known_ms(head: Head) -> int:
    return ms_of(head.stamp) if head.stamp else 0


def edit(
    repository: Repository,
    entity_name: str,
    row_id: str,
    kind: str,
    fields: Mapping[str, Any],
    now_ms: int,
    *,
    seen: Mapping[str, str] | None = None,
) -> Outcome:
    """A change made on the server itself (admin, scripts), stamped by the server's clock.

    seen: the stamps that the author's form was loaded with. If a field has moved on since,
    Stale is raised and nothing is written. None overwrites whatever is there.
    Raises Refused for values the entity does not allow.
    """
    head = repository.lock_head()
    work = _Work(repository, head, now_ms)
    key = (entity_name, row_id)
    entity = _writable(repository.entities, entity_name)
    work.load([key])
    current = work.rows.get(key)
    if current is None and kind != "create":
        raise Refused("row_missing", "There is no such row.")
    values, unknown = canonical_fields(entity, fields, is_create=current is None)
    if unknown:
        raise Refused("unknown", "There is no such field.", unknown[0])
    written = written_by(kind, values)
    if seen is not None and current is not None:
        stale = sorted(
            name
            for name in written
            if name in seen
            and current.stamps.get(name, NO_STAMP) != seen[name]
            and current.fields.get(name) != written[name]
        )
        if stale:
            raise Stale(stale)
    stamps = {} if current is None else current.stamps
    decision = decide(current, *key, written, work.tick(SERVER_NODE), stamps, (SERVER_NODE,))
    work.take(key, decision)
    return Outcome(Ack(results=[Result(0, "applied")]), work.finish())
