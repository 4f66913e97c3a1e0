"""Mail of ours; that of sign-in is django-allauth's."""

from __future__ import annotations

import logging
import smtplib

from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation

from tenants.models import Invitation, User

log = logging.getLogger(__name__)


def send_invitation(invitation: Invitation, address: str) -> bool:
    """Send the link to whoever is invited, in a language they are likely to read.

    address: the whole link. It is a secret, and in no log.

    Returns whether the mail could be handed over; the invitation is valid in any case.
    """
    known = User.objects.filter(email=invitation.email).first()
    person = known or invitation.invited_by
    context = {
        "invitation": invitation,
        "inviter": invitation.invited_by,
        "household": _one_line(invitation.tenant.name),
        "address": address,
    }
    with translation.override(person.language if person else "de"):
        subject = _one_line(render_to_string("tenants/email/invitation_subject.txt", context))
        text = render_to_string("tenants/email/invitation_message.txt", context)
    try:
        send_mail(subject, text, None, [invitation.email])
    except (smtplib.SMTPException, OSError) as error:
        log.error("an invitation could not be sent: %s", type(error).__name__)
        return False
    return True


def _one_line(text: str) -> str:
    """A name may contain a line break, and a subject must not."""
    return " ".join(text.split())
