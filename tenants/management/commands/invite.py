from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.core.validators import validate_email
from django.urls import reverse

from tenants.invitations import invite
from tenants.mail import send_invitation
from tenants.management.asking import bad_input, household_of, plain_refusals
from tenants.management.operating import Answer, OperatorCommand
from tenants.models import Membership, Tenant, User


class Command(OperatorCommand):
    help = (
        "Ask somebody into a household: sends the link by mail, and prints it. Whoever has the "
        "link may join, once, and makes an account with it if need be."
    )
    changes_something = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="TENANT", help="UUID, schema or name")
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument(
            "--role", choices=Membership.Role.values, default=Membership.Role.EDITOR
        )
        parser.add_argument("--no-mail", action="store_true", help="only print the link")
        parser.add_argument("--url", help=f"where people reach this site; default: {_own_url()}")

    def work(self, *, tenant: str, email: str, role: str, **options: Any) -> Answer:
        household = household_of(tenant)
        if household.status == Tenant.Status.DELETED:
            raise bad_input(f"{household.name!r} is deleted.")
        try:
            validate_email(email)
        except ValidationError:
            raise bad_input(f"{email!r} is not an e-mail address.") from None
        url = (options["url"] or _own_url()).rstrip("/")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise bad_input(f"{url!r} is no address of a site, such as https://finwise.example.org")
        address = User.objects.normalize_email(email)
        facts: dict[str, Any] = {"tenant": str(household.id), "email": address, "role": role}
        if options["dry_run"]:
            if Membership.objects.filter(tenant=household, user__email=address).exists():
                raise bad_input(f"{address} belongs to {household.name!r} already.")
            return Answer(facts, [f"{address} would be invited to {household.name!r} as {role}."])
        with plain_refusals():
            invitation, secret = invite(household, email, role)
        link = url + reverse("invitation", args=[secret])
        facts |= {"link": link, "expires_at": invitation.expires_at.isoformat()}
        failed = []
        if not options["no_mail"] and not send_invitation(invitation, link):
            failed = ["The mail could not be sent. The link is valid: pass it on yourself."]
        return Answer(
            facts,
            [
                f"{address} is invited to {household.name!r} as {role}, "
                f"until {invitation.expires_at:%Y-%m-%d}.",
                "Keep this link between the two of you: whoever has it may join.",
                link,
            ],
            failed,
        )


def _own_url() -> str:
    if settings.IS_PRODUCTION:
        return f"https://{settings.ALLOWED_HOSTS[0].lstrip('.')}"
    return "http://127.0.0.1:8000"
