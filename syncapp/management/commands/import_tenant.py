"""Read a household from a file that `export_tenant` wrote."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from tqdm import tqdm

from syncapp.core.errors import NotYours
from syncapp.portable import BadLines, NotEmpty, Portable, import_household, read_lines
from syncapp.portable.format import LINE_MAX_BYTES
from syncapp.registry import entities
from tenants import audit
from tenants.management.asking import bad_input, household_of, person_of
from tenants.management.operating import BAD_INPUT, Answer, OperatorCommand
from tenants.memberships import set_role
from tenants.models import Membership, Tenant, User
from tenants.provisioning import needs_migration, provision
from tenants.roster import people_of

OWNER = Membership.Role.OWNER.value


class Command(OperatorCommand):
    help = (
        "Read a household from a file that export_tenant wrote, as it stands there, or not at "
        "all. Its epoch is new: every device takes a snapshot and keeps what it has not sent."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="- is the standard input")
        target = parser.add_mutually_exclusive_group()
        target.add_argument(
            "--into", metavar="TENANT", help="an existing household; its members stay its members"
        )
        target.add_argument(
            "--new", action="store_true", help="a household of another UUID than the file's"
        )
        parser.add_argument(
            "--replace", action="store_true", help="in the place of what the household holds now"
        )
        parser.add_argument("--owner", metavar="EMAIL", help="of a household that is made for it")

    def work(self, *, file: str, **options: Any) -> Answer:
        portable = _read(file)
        with transaction.atomic():
            tenant, is_new = self._target(portable, options)
            strangers = _take_members(tenant, portable, options["owner"]) if is_new else []
            try:
                done = import_household(tenant.id, portable, replace=options["replace"])
            except NotEmpty:
                raise bad_input(
                    f"{tenant.name!r} ({tenant.id}) is not empty. Say --replace to put the file "
                    "in the place of what it holds, or --new for a household beside it."
                ) from None
            audit.note(audit.Action.IMPORT, tenant, detail=portable.head.id)
            if options["dry_run"]:
                transaction.set_rollback(True)
        would = "would be" if options["dry_run"] else "is"
        lines = [
            f"{tenant.name!r} {would} in household {tenant.id}: {done.rows} rows, "
            f"{done.tombstones} deleted ones, {done.conflicts} open conflicts."
        ]
        lines += [f"Nobody signs in with {each} here: no member." for each in strangers]
        return Answer(
            {
                "tenant": str(tenant.id),
                "name": tenant.name,
                "made": is_new,
                "replaced": done.replaced,
                "rows": done.rows,
                "tombstones": done.tombstones,
                "conflicts": done.conflicts,
                "seq": done.seq,
                "unknown_members": strangers,
                "dry_run": options["dry_run"],
            },
            lines,
        )

    def _target(self, portable: Portable, options: dict[str, Any]) -> tuple[Tenant, bool]:
        """The household to fill, made if need be; whether it was made."""
        wanted = uuid.uuid4() if options["new"] else UUID(portable.head.id)
        found = (
            household_of(options["into"])
            if options["into"]
            else Tenant.objects.filter(pk=wanted).first()
        )
        if found is None:
            owner_id = _owner(portable, options["owner"])
            try:
                return provision(wanted, portable.head.name, owner_id, by_operator=True), True
            except NotYours:
                raise bad_input(f"The UUID {wanted} is taken.") from None
        if found.status == Tenant.Status.DELETED:
            raise bad_input(
                f"The household {found.id} was deleted, and its UUID stays reserved. Say --new."
            )
        if found.status != Tenant.Status.READY or needs_migration(found):
            raise CommandError(f"{found.name!r} is not ready: see migrate_tenants.")
        return found, False


def _owner(portable: Portable, typed: str | None) -> UUID:
    if typed:
        return person_of(typed).id
    known = people_of(email for email, role in portable.members.items() if role == OWNER)
    if not known:
        raise bad_input("None of the household's owners signs in here. Name one: --owner EMAIL")
    return known[min(known)]


def _take_members(tenant: Tenant, portable: Portable, typed: str | None) -> list[str]:
    """Make the file's members members; returns the addresses nobody signs in with."""
    known = people_of(portable.members)
    typed_owner = person_of(typed).id if typed else None
    for email, user_id in known.items():
        role = OWNER if user_id == typed_owner else portable.members[email]
        set_role(tenant, User.objects.get(pk=user_id), role)
    return sorted(portable.members.keys() - known.keys())


def _read(name: str) -> Portable:
    try:
        with _opened(name) as file:
            lines = tqdm(_lines(file), unit=" lines", disable=None, leave=False)
            return read_lines(lines, entities(), time.time_ns() // 1_000_000)
    except OSError as error:
        raise bad_input(f"{name} cannot be read: {error.strerror}.") from error
    except BadLines as bad:
        raise CommandError(f"Nothing was imported.\n{bad}", returncode=BAD_INPUT) from bad


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines; of one that is too long, just enough to show that it is."""
    while line := file.readline(LINE_MAX_BYTES + 1):
        yield line
