"""What each action of the `device` command does; each returns its exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec
from tqdm import tqdm

from syncapp.core.change import Row
from syncapp.core.entity import Entity

from ..address import check_household, parse_address
from ..errors import DeviceError, RowMissing, StoreError
from ..importing import import_csv, values
from ..replica import Replica
from ..store import Store
from . import online, showing
from .exits import FINE, NEEDS_YOU, NOT_UP_TO_DATE, WRONG_USAGE

DEFAULT_URL = "ws://127.0.0.1:8000"
ACCOUNT, GROUP = "account", "account_group"


class Usage(DeviceError):
    code = "usage"


def run(
    options: Mapping[str, Any],
    entities: Mapping[str, Entity],
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Do what was typed; returns the exit code.

    options: by name, as `options.add_options` declares them. entities: what the program
    knows of the household's rows.
    """
    out, err = out or sys.stdout, err or sys.stderr
    try:
        store = _open(options)
        try:
            return Command(options, entities, store, out).run()
        finally:
            store.close()
    except StoreError as error:
        err.write(f"{error.message}\n")
        return NOT_UP_TO_DATE
    except DeviceError as error:
        err.write(f"{error.message}\n")
        return WRONG_USAGE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        err.write(f"{place}{error.strerror or error}\n")
        return WRONG_USAGE
    except KeyboardInterrupt:
        err.write("Stopped. Everything is kept.\n")
        return FINE if options["action"] == "watch" else NOT_UP_TO_DATE


def _household(options: Mapping[str, Any]) -> str | None:
    if options["household"]:
        return check_household(options["household"])
    return parse_address(options["url"]).household if options["url"] else None


def _open(options: Mapping[str, Any]) -> Store:
    """The store; a new one only for somebody who says which household it is for."""
    path, household = options["store"], _household(options)
    begins = options["action"] == "new-household"
    if not Path(path).exists() and household is None and not begins:
        raise Usage(
            f"There is no store {path} yet. Join a household with --household UUID, or begin one"
            " with `new-household --name …`."
        )
    store = Store(path)
    meta = store.meta()
    problem = ""
    if begins and meta is not None:
        problem = f"{path} holds the household {meta.household} already. Use another --store."
    elif meta is None and household is None and not begins:
        problem = f"{path} is empty. Say which household it is for: --household UUID."
    if problem:
        store.close()
        raise Usage(problem)
    return store


class Command:
    """One call of the command on one store."""

    def __init__(
        self,
        options: Mapping[str, Any],
        entities: Mapping[str, Entity],
        store: Store,
        out: TextIO,
    ) -> None:
        self.options, self.store, self.out = options, store, out
        self.replica = Replica(
            store,
            _household(options),
            household_name=options["name"] if options["action"] == "new-household" else None,
            entities=entities,
            name=options["device_name"],
        )
        if options["url"]:
            meta = self.replica.meta
            meta.url = parse_address(options["url"]).base
            store.put_meta(meta)

    def run(self) -> int:
        action: str = self.options["action"]
        return int(getattr(self, "do_" + action.replace("-", "_"))())

    def say(self, lines: list[str] | str, value: Any) -> None:
        """Lines for people, or one JSON value for scripts."""
        if self.options["json"]:
            text = msgspec.json.encode(value).decode()
        else:
            text = lines if isinstance(lines, str) else "\n".join(lines)
        # In one piece, with its end: Django's wrapper ends every write with a newline.
        self.out.write(f"{text}\n")
        self.out.flush()

    # --- typing ------------------------------------------------------------------------

    def do_new_household(self) -> int:
        household = self.replica.meta.household
        self.say(
            f"The household {self.options['name']} lives in {self.store.path} now; its UUID is"
            f" {household}. The first `sync` brings it to the server.",
            {"household": household},
        )
        return FINE

    def do_add_group(self) -> int:
        fields = {"name": self.options["name"], **self._typed(GROUP)}
        return self._added(GROUP, fields)

    def do_add_account(self) -> int:
        options = self.options
        fields: dict[str, Any] = {"name": options["name"]}
        for option, field in (("description", "description"), ("note", "note"), ("iban", "iban")):
            if options[option] is not None:
                fields[field] = options[option]
        for option, field in (
            ("balance", "balance"), ("credit_limit", "creditLimit"), ("offset", "offset"),
        ):  # fmt: skip
            if options[option] is not None:
                fields[field] = _value(lambda text: values.amount(text, ","), options[option])
        if options["type"] is not None:
            fields["accountType"] = _value(values.account_type, options["type"])
        if options["group"] is not None:
            fields["accountGroupId"] = self._find(options["group"], GROUP).id
        if options["inactive"]:
            fields["isActive"] = False
        if options["offline_budget"]:
            fields["isOfflineBudget"] = True
        return self._added(ACCOUNT, {**fields, **self._typed(ACCOUNT)})

    def _added(self, entity: str, fields: dict[str, Any]) -> int:
        row_id = self.replica.create(entity, fields)
        self.say(
            f"{entity} {fields['name']} is stored ({row_id}); `sync` brings it to the server.",
            {"entity": entity, "id": row_id},
        )
        return FINE

    def do_edit(self) -> int:
        row = self._find(self.options["row"])
        is_change = self.replica.edit(row.entity, row.id, self._typed(row.entity))
        what = f"{row.entity} {row.fields.get('name')}"
        self.say(
            f"{what} is changed; `sync` brings it to the server."
            if is_change
            else f"{what} is so already; nothing to do.",
            {"entity": row.entity, "id": row.id, "changed": is_change},
        )
        return FINE

    def do_delete(self) -> int:
        row = self._find(self.options["row"])
        self.replica.delete(row.entity, row.id)
        self.say(
            f"{row.entity} {row.fields.get('name')} is deleted; `sync` brings it to the server.",
            {"entity": row.entity, "id": row.id},
        )
        return FINE

    def _typed(self, entity: str) -> dict[str, Any]:
        """What was given with --set, as the fields' kinds want it."""
        spec = self.replica.entities.get(entity)
        fields: dict[str, Any] = {}
        for each in self.options["fields"]:
            name, equals, text = each.partition("=")
            if not equals:
                raise Usage(f"--set {each}: write FIELD=VALUE.")
            known = spec.fields.get(name) if spec is not None else None
            fields[name] = _typed_value(text, known.kind if known else "text", bool(known))
        return fields

    def _find(self, text: str, *entities: str) -> Row:
        """The row that a person means: by id, the beginning of its id, or its name."""
        rows = [row for entity in entities or (ACCOUNT, GROUP) for row in self.replica.rows(entity)]
        wanted = text.strip().casefold()
        by_id = [row for row in rows if row.id == wanted]
        by_name = [row for row in rows if str(row.fields.get("name")).casefold() == wanted]
        by_start = [
            row
            for row in rows
            if re.fullmatch(r"[0-9a-f-]{4,}", wanted) and row.id.startswith(wanted)
        ]
        found = by_id or by_name or by_start
        if not found:
            raise RowMissing(
                f"There is no {' or '.join(entities) or 'row'} {text!r} on this device."
            )
        if len(found) > 1:
            several = ", ".join(f"{row.entity} {row.id}" for row in found)
            raise Usage(f"{text!r} may be one of several: {several}. Use the id.")
        return found[0]

    # --- looking -----------------------------------------------------------------------

    def do_list(self) -> int:
        entity, deleted = self.options["entity"], self.options["deleted"]
        if entity not in (None, ACCOUNT, GROUP):
            rows = self.replica.rows(entity, with_deleted=deleted)
            lines = [str(showing.row_to_json(row)) for row in rows]
        else:
            groups = self.replica.rows(GROUP, with_deleted=deleted) if entity != ACCOUNT else []
            accounts = self.replica.rows(ACCOUNT, with_deleted=deleted) if entity != GROUP else []
            rows = [*groups, *accounts]
            lines = showing.household(self.replica, accounts, groups)
        lines = (lines or ["Nothing is here yet."]) + showing.clock(-self.replica.meta.offset_ms)
        self.say(lines, [showing.row_to_json(row) for row in rows])
        return FINE

    def do_status(self) -> int:
        replica, meta = self.replica, self.replica.meta
        conflicts = sum(each.is_mine for each in replica.conflicts())
        told = {
            "household": meta.household,
            "device": meta.device,
            "acknowledged": meta.household_name is None,
            "role": meta.role,
            "pending": replica.pending,
            "parked": replica.parked_count,
            "refused": replica.refused_count,
            "conflicts": conflicts,
            "readSeq": meta.read_seq,
            "clockOffsetMs": meta.offset_ms,
            "url": meta.url or DEFAULT_URL,
        }
        lines = [f"{name:<14} {value}" for name, value in told.items()]
        lines += showing.clock(-meta.offset_ms)
        lines.append("Whether all is up to date, only `sync` can say: it asks the server.")
        self.say(lines, told)
        return NEEDS_YOU if replica.refused_count or conflicts else FINE

    def do_refused(self) -> int:
        replica, options = self.replica, self.options
        if options["discard"] is not None:
            replica.discard(options["discard"])
        elif options["again"] is not None:
            entry = self.store.entry(options["again"])
            replica.edit_again(options["again"], self._typed(entry.entity if entry else ""))
        entries = replica.refused()
        self.say(
            showing.refused(replica, entries),
            [
                {"n": each.local, "entity": each.entity, "id": each.row_id, "kind": each.kind,
                 "fields": each.fields, "code": each.code, "field": each.field,
                 "message": each.message}
                for each in entries
            ],
        )  # fmt: skip
        return NEEDS_YOU if entries else FINE

    def do_conflicts(self) -> int:
        replica, options = self.replica, self.options
        if options["use_mine"] is not None:
            replica.use_mine(options["use_mine"])
        elif options["dismiss"] is not None:
            replica.dismiss(options["dismiss"])
        found = replica.conflicts()
        self.say(showing.conflicts(replica, found), [showing.to_json(each) for each in found])
        return NEEDS_YOU if any(each.is_mine for each in found) else FINE

    # --- importing ---------------------------------------------------------------------

    def do_import(self) -> int:
        file = Path(self.options["file"])
        with tqdm(desc=file.name, unit=" lines", disable=None, leave=False) as bar:

            def progress(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            report = import_csv(self.replica, file, progress)
        self.say(
            showing.import_report(report, file.name, self.store.path),
            {**showing.to_json(report), "file": str(file)},
        )
        return NEEDS_YOU if report.bad else FINE

    # --- the network -------------------------------------------------------------------

    def _client(self) -> Any:
        token = self.options["token"] or os.environ.get("FINWISE_TOKEN", "")
        if not token:
            raise Usage("Say who you are: --token, or FINWISE_TOKEN in the environment.")
        url = self.options["url"] or self.replica.meta.url or DEFAULT_URL
        return online.client(url, token, self.store, self.replica)

    def do_sync(self) -> int:
        report = online.sync(self._client(), self.options["patience"])
        self.say(showing.sync_report(report, self.store.path), showing.to_json(report))
        if not report.is_up_to_date:
            return NOT_UP_TO_DATE
        return NEEDS_YOU if report.refused or report.conflicts else FINE

    def do_watch(self) -> int:
        online.watch(self._client(), self.say, is_json=self.options["json"])
        return FINE


def _value(read: Any, text: str) -> Any:
    try:
        return read(text)
    except values.BadCell as error:
        raise Usage(str(error)) from None


def _typed_value(text: str, kind: str, is_known: bool) -> Any:
    if kind == "bool":
        return _value(values.yes_or_no, text)
    if kind == "int":
        return _value(values.whole_number, text)
    if kind == "decimal":
        return _value(lambda each: values.amount(each, ","), text)
    if kind == "reference":
        return text or None
    if not is_known and (text in ("true", "false", "null") or re.fullmatch(r"-?[0-9]{1,9}", text)):
        return msgspec.json.decode(text)
    return text
