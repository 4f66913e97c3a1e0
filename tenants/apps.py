from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext_lazy as _


class TenantsConfig(AppConfig):
    """WHO: people, households, who belongs to which, and the only way into a household's schema."""

    name = "tenants"
    verbose_name = _("Households and people")

    def ready(self) -> None:
        from allauth.account.models import EmailAddress
        from django.contrib.sessions.models import Session

        from tenants import addresses

        # Django's own signal for signing out comes before the session is gone, so whoever
        # heard it would still find the session valid. This also hears an operator's delete.
        post_delete.connect(_announce_end_of_session, sender=Session)
        # Those of somebody who is gone close, too.
        post_delete.connect(_announce_end_of_person, sender=self.get_model("User"))
        for signal in (post_save, post_delete):
            signal.connect(addresses.mirror, sender=EmailAddress)


def _announce_end_of_person(instance: Any, using: str, **kwargs: Any) -> None:
    from django.db import connections

    from tenants.access import announce

    announce(connections[using], instance.pk)


def _announce_end_of_session(instance: Any, using: str, **kwargs: Any) -> None:
    from django.contrib.auth import SESSION_KEY
    from django.db import connections

    from tenants.access import announce

    user_id = instance.get_decoded().get(SESSION_KEY)
    if user_id is not None:
        announce(connections[using], user_id)
