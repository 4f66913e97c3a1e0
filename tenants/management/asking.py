"""What the operator's commands ask for, with a clear sentence for what cannot be right."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email

from syncapp.core.errors import SyncError
from tenants.invitations import InvitationRefused
from tenants.memberships import LastOwner, NotMember
from tenants.models import Tenant, User

PASSWORD_VARIABLE = "FINWISE_PASSWORD"  # noqa: S105


def bad_input(sentence: str) -> CommandError:
    """Exit code 2: the command line is wrong; 1 is for what failed."""
    return CommandError(sentence, returncode=2)


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with the sentence of an error that a device would be told."""
    try:
        yield
    except SyncError as error:
        raise CommandError(error.message) from error


@contextmanager
def plain_refusals() -> Iterator[None]:
    """End with the sentence that a person would read on a page."""
    try:
        yield
    except (LastOwner, NotMember, InvitationRefused) as error:
        raise CommandError(str(error)) from error


def uuid_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise bad_input(f"{text!r} is not a UUID.") from None


def household_of(text: str) -> Tenant:
    """Find a household by its UUID, its schema or, if it is the only one, its name."""
    found = Tenant.objects.filter(name=text).exclude(status=Tenant.Status.DELETED)[:2]
    with suppress(ValueError):
        found = Tenant.objects.filter(pk=UUID(text.removeprefix("t_"))) or found
    match list(found):
        case [tenant]:
            return tenant
        case []:
            raise bad_input(f"There is no household {text!r}. list_tenants shows all of them.")
    raise bad_input(f"Several households are called {text!r}. Name one by its UUID.")


def person_of(email: str) -> User:
    try:
        return User.objects.get_by_natural_key(email)
    except User.DoesNotExist:
        raise bad_input(f"Nobody signs in with {email!r}. create_user makes a person.") from None


def new_email(email: str) -> str:
    """The address as it is stored, of somebody who does not sign in yet."""
    try:
        validate_email(email)
    except ValidationError:
        raise bad_input(f"{email!r} is not an e-mail address.") from None
    address = User.objects.normalize_email(email)
    if User.objects.filter(email=address).exists():
        raise bad_input(f"Somebody signs in with {email!r} already.")
    return address


def new_person(email: str, **fields: object) -> User:
    """Create a person; the password comes from the environment or is asked for, twice."""
    new_email(email)
    password = os.environ.get(PASSWORD_VARIABLE) or _asked_password()
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        raise bad_input("\n".join(error.messages)) from None
    return User.objects.create_user(email, password, **{"email_verified": True, **fields})


def _asked_password() -> str:
    if not sys.stdin.isatty():
        raise bad_input(f"There is no terminal to ask for a password: set {PASSWORD_VARIABLE}.")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise bad_input("The two passwords differ.")
    return first
