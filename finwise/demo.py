"""A household to try things with, on this machine only."""

import json
import os
import secrets
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

EMAIL = "demo@finwise.example"
NAME = "Demo household"


@dataclass(frozen=True)
class Demo:
    email: str
    password: str
    name: str
    tenant_id: str
    token: str


def demo_household(state_dir: Path) -> Demo:
    """Return the demo household, made if it is missing; prints the same the next time.

    The password and the token are random, and kept in the state directory for their owner only.
    """
    path = state_dir / "demo.json"
    try:
        known = Demo(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        known = Demo(EMAIL, secrets.token_urlsafe(9), NAME, str(uuid.uuid4()), "")
    demo = bring_about(known)
    if demo != known or not path.exists():
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as f:
            json.dump(asdict(demo), f, indent=2)
        unfinished.rename(path)
    return demo


def bring_about(wanted: Demo) -> Demo:
    """Make in the database what is missing of `wanted`; return what is there now."""
    from tenants.models import Tenant, User
    from tenants.provisioning import provision
    from tenants.tokens import create_token, token_of

    user = User.objects.filter(email=wanted.email).first()
    if user is None:
        user = User.objects.create_superuser(wanted.email, wanted.password, display_name="Demo")
    tenant_id = uuid.UUID(wanted.tenant_id)
    if Tenant.objects.filter(pk=tenant_id, status=Tenant.Status.DELETED).exists():
        tenant_id = uuid.uuid4()  # the operator deleted it, and its UUID stays reserved
    provision(tenant_id, wanted.name, user.id, by_operator=True)
    is_valid = bool(wanted.token) and token_of(wanted.token) is not None
    token = wanted.token if is_valid else create_token(user, "demo device")
    return Demo(wanted.email, wanted.password, wanted.name, str(tenant_id), token)
