"""Making a household, and taking it away.

A household is made in one transaction: its row, its owner, its schema and the schema's
first rows. So whoever is killed, at whatever step, leaves nothing behind, and the next
attempt begins anew; nothing half made can ever be marked ready.

Blocking: coroutines come here through `context.run_in_public`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from syncapp import repository
from syncapp.core.errors import CreationLimit, EmailUnverified, NotYours
from tenants import migrating, template
from tenants.access import announce
from tenants.faults import Fault, fault_of, telling_faults, without_values
from tenants.memberships import refuse_unless_owner
from tenants.models import Membership, Tenant, User
from tenants.names import checked_schema_name, schema_name

log = logging.getLogger(__name__)

STEPS = 4  # of `provision`: claimed, tables made, first rows written, ready
CREATIONS_PER_DAY = 20
DELETE_ATTEMPTS = 5
MIGRATION_ATTEMPTS = 5
NAME_MAX_CHARACTERS = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Progress = Callable[[int, int], None]

# Everything that makes, migrates or deletes one household waits here for its turn. The
# transaction's end, however it comes, gives the turn to the next.
_CLAIM = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def provision(
    tenant_id: UUID,
    name: str,
    owner_id: UUID,
    progress: Progress | None = None,
    *,
    by_operator: bool = False,
) -> Tenant:
    """Return the household, made if it does not exist; takes some tens of milliseconds.

    Any number of callers at the same time get the same household, made once.

    progress: called with (step, of) from this thread, inside the transaction.
    by_operator: neither a confirmed e-mail address nor the daily limit matter.

    Raises NotYours if the UUID is another person's household, or was one; EmailUnverified
    and CreationLimit if this person may not make one (now); Busy and DatabaseAway.
    """
    with telling_faults():
        found = Tenant.objects.filter(pk=tenant_id).first()
        if found is None:
            return _make(tenant_id, name, owner_id, progress or _quiet, by_operator)
        return _only_for(found, owner_id)


def migrate_household(tenant: Tenant) -> list[str]:
    """Bring a household's schema up to date; return the names of the migrations applied.

    If it fails, the household goes into maintenance with the reason, and stays as it was
    before the migration that failed. The next success takes it out again.

    Raises what the migration raised.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    for attempt in range(1, MIGRATION_ATTEMPTS + 1):
        try:
            with transaction.atomic():
                _claim(connection, tenant.id)
                # Devices are at work: a push that has the head would wait for a table that is
                # changed here, and the change of the next one for the push.
                repository.keep_out(connection, checked_schema_name(tenant.schema_name))
                applied = migrating.migrate(tenant.schema_name)
                _note(tenant, Tenant.Status.READY, version=migrating.migrations_version())
        except Exception as error:
            fault = fault_of(error)
            if fault is None:  # a bad moment of the database is no trouble of the household
                log.exception("migrating %s failed", tenant.schema_name)
                _note(tenant, Tenant.Status.MAINTENANCE, trouble=without_values(error))
            if fault not in (Fault.REPEAT, Fault.BUSY) or attempt == MIGRATION_ATTEMPTS:
                raise
        else:
            return applied
    raise AssertionError("unreachable")


def needs_migration(tenant: Tenant) -> bool:
    """Whether the household's schema is behind the code; asks no database."""
    return tenant.schema_version != migrating.migrations_version()


def migrations_behind(status: str) -> int:
    """How many households of this status have tables that are older than the code."""
    behind = Tenant.objects.exclude(schema_version=migrating.migrations_version())
    return behind.filter(status=status).count()


def delete_household(tenant_id: UUID, *, by: User | None = None) -> None:
    """Drop a household's schema, for good. Its row stays, so that its UUID stays reserved.

    by: the owner whose right it is; None for the operator.

    Raises Busy if somebody is at work in it, NotOwner, Tenant.DoesNotExist.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    with telling_faults():
        for attempt in range(1, DELETE_ATTEMPTS + 1):
            try:
                with transaction.atomic():
                    _delete(connection, tenant_id, by)
                return
            except Error as error:
                # A device that reads at this moment holds some of the tables, and wants others.
                is_over = attempt == DELETE_ATTEMPTS or connection.in_atomic_block
                if is_over or fault_of(error) is not Fault.REPEAT:
                    raise


def _delete(connection: BaseDatabaseWrapper, tenant_id: UUID, by: User | None) -> None:
    _claim(connection, tenant_id)
    tenant = Tenant.objects.get(pk=tenant_id)
    if by is not None:
        if tenant.status == Tenant.Status.DELETED:
            return  # by another owner, who was a moment faster
        # Not for the operator: what is half made has no head, and has to go all the same.
        repository.lock_head(connection, checked_schema_name(tenant.schema_name))
        refuse_unless_owner(tenant, by)
    members = list(tenant.memberships.values_list("user_id", flat=True))
    tenant.memberships.all().delete()
    with connection.cursor() as cursor:
        schema = checked_schema_name(tenant.schema_name)
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    _note(tenant, Tenant.Status.DELETED)
    for user_id in members:
        announce(connection, user_id)


def _make(
    tenant_id: UUID, name: str, owner_id: UUID, progress: Progress, by_operator: bool
) -> Tenant:
    connection = connections[DEFAULT_DB_ALIAS]
    with transaction.atomic():
        _claim(connection, tenant_id)
        found = Tenant.objects.filter(pk=tenant_id).first()
        if found is not None:
            return _only_for(found, owner_id)
        # Locked, so that twenty households begun in the same moment count each other.
        people = User.objects.select_for_update(no_key=True).filter(is_active=True)
        owner = people.filter(pk=owner_id).first()
        if owner is None:
            raise NotYours
        if not by_operator:
            _refuse_beyond_limits(owner)
        tenant = Tenant.objects.create(
            id=tenant_id,
            name=_name(name),
            created_by=None if by_operator else owner,
            status=Tenant.Status.PROVISIONING,
        )
        Membership.objects.create(tenant=tenant, user=owner, role=Membership.Role.OWNER)
        progress(1, STEPS)
        _make_tables(connection, tenant.schema_name)
        progress(2, STEPS)
        repository.seed(connection, tenant.schema_name, owner.id)
        progress(3, STEPS)
        _note(tenant, Tenant.Status.READY, version=migrating.migrations_version())
        announce(connection, owner.id)  # a socket of theirs may wait for it
    progress(4, STEPS)
    return tenant


def _make_tables(connection: BaseDatabaseWrapper, schema: str) -> None:
    ddl = template.current_text()
    if ddl is not None:
        template.replay(connection, ddl, schema)
        return
    log.warning("no current template: making %s by migrations; see prepare_template", schema)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {checked_schema_name(schema)}")
    migrating.migrate(schema)


def _only_for(tenant: Tenant, user_id: UUID) -> Tenant:
    is_member = tenant.memberships.filter(user_id=user_id).exists()
    if tenant.status == Tenant.Status.DELETED or not is_member:
        raise NotYours
    return tenant


def _refuse_beyond_limits(owner: User) -> None:
    if getattr(settings, "TENANT_NEEDS_VERIFIED_EMAIL", False) and not owner.email_verified:
        raise EmailUnverified
    limit = getattr(settings, "TENANT_CREATIONS_PER_DAY", CREATIONS_PER_DAY)
    since = timezone.now() - timedelta(days=1)
    if Tenant.objects.filter(created_by=owner, created_at__gt=since).count() >= limit:
        raise CreationLimit


def _claim(connection: BaseDatabaseWrapper, tenant_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [schema_name(tenant_id)])


def _note(tenant: Tenant, status: Tenant.Status, *, trouble: str = "", version: str = "") -> None:
    tenant.status, tenant.trouble = status, trouble
    tenant.schema_version = version or tenant.schema_version
    tenant.save(update_fields=["status", "trouble", "schema_version"])


def is_household_name(name: str) -> bool:
    """Whether a household can be called so: not blank, in one line, not too long."""
    return 0 < len(name.strip()) <= NAME_MAX_CHARACTERS and not _CONTROL.search(name)


def _name(name: str) -> str:
    return name.strip()[:NAME_MAX_CHARACTERS]


def _quiet(step: int, of: int) -> None:
    pass
