"""Mail of ours; that of sign-in is django-allauth's."""

from __future__ import annotations

import logging
import re
import smtplib

from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation

from tenants.models import Invitation, User

log = logging.getLogger(__name__)

NAME_MAX_CHARACTERS = 60
# What mail programs take for the beginning of an address, and for a host's name.
_LINKS = re.compile(r"[:/\\@]{2,}|\bwww\b|@", re.IGNORECASE)
_DOTS = re.compile(r"\.(?=[^\W\d])")


def send_invitation(invitation: Invitation, address: str) -> bool:
    """Send the link to whoever is invited, in a language they are likely to read.

    address: the whole link. It is a secret, and in no log.

    Returns whether the mail could be handed over; the invitation is valid in any case.
    """
    known = User.objects.filter(email=invitation.email).first()
    person = known or invitation.invited_by
    inviter = invitation.invited_by
    context = {
        "invitation": invitation,
        "inviter": inviter,
        "name": (_plain(inviter.display_name) or inviter.email) if inviter else "",
        "household": _plain(invitation.tenant.name),
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


def _plain(text: str) -> str:
    """A name as it may stand in a mail of ours to somebody who does not know its author.

    Short, on one line, and without anything that a mail program makes a link of: else whoever
    invites could write our mails.
    """
    text = "".join(each if each.isprintable() else " " for each in text)
    text = _LINKS.sub(" ", _DOTS.sub(". ", text))
    return _one_line(text)[:NAME_MAX_CHARACTERS].strip()


def _one_line(text: str) -> str:
    """A subject must not contain a line break."""
    return " ".join(text.split())
