"""Who there is: people, households, who belongs to which, and their keys.

All of this lies in `public`. What a household contains lies in its own schema, and
nothing here has a foreign key into one.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import PermissionsMixin
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from django.db.models.functions import Cast, Concat, Lower, Replace
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from django_tenants.models import DomainMixin, TenantMixin

from tenants import addresses
from tenants.access import announce
from tenants.names import schema_name


def _text(value: str) -> models.Value:
    return models.Value(value, output_field=models.TextField())


_HEX_OF_ID = Replace(Cast("id", models.TextField()), _text("-"), _text(""))


class UserManager(BaseUserManager["User"]):
    """Makes people; an e-mail address is stored in lower case, so it is unique in every case."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a person who signs in with `email`; without a password nobody can.

        Raises ValueError without an address, IntegrityError if it is taken.
        """
        address = self.normalize_email(email)
        if not address:
            raise ValueError("A person needs an e-mail address.")
        user = self.model(email=address, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(
            email,
            password,
            **{"is_staff": True, "is_superuser": True, "email_verified": True, **fields},
        )

    def get_by_natural_key(self, email: str | None) -> User:
        return self.get(email=self.normalize_email(email))


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    email_verified = models.BooleanField(_("e-mail address confirmed"), default=False)
    display_name = models.CharField(_("name"), max_length=150, blank=True)
    language = models.CharField(
        _("language"), max_length=10, choices=settings.LANGUAGES, default="de"
    )
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("may use the admin"), default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Goes into the fingerprint that every session carries: another one ends all of them.
    session_salt = models.CharField(max_length=32, default="", blank=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            # A net for writes that bypass `save`: with lower case only, the plain unique
            # index is also the case-insensitive one.
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="email_is_lower")
        ]

    def __str__(self) -> str:
        return self.display_name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = UserManager.normalize_email(self.email)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = UserManager.normalize_email(self.email)
        written = kwargs.get("update_fields")
        is_about_address = written is None or {"email", "email_verified"} & set(written)
        # Django's note of a password that was set, and not only hashed anew.
        is_new_password = self._password is not None and (written is None or "password" in written)
        with transaction.atomic():
            if is_about_address:
                addresses.before_save(self)
            super().save(*args, **kwargs)
            if is_about_address:
                addresses.after_save(self)
            if is_new_password:
                # Whoever knew the old one may have made them; sessions end by their fingerprint.
                self.tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
            if written is None or {"password", "is_active", "session_salt"} & set(written):
                announce(connections[DEFAULT_DB_ALIAS], self.id)

    def set_unusable_password(self) -> None:
        """As a new password that nobody knows: `save` ends what came in with the old one."""
        super().set_unusable_password()
        self._password = ""

    def check_password(self, raw_password: str) -> bool:
        """Whether this is the password. One that is hashed anew meanwhile ends no session."""
        return check_password(raw_password, self.password, self._hash_anew)

    def _hash_anew(self, raw_password: str) -> None:
        from tenants.sessions import keep_sessions

        with transaction.atomic():
            stored = User.objects.select_for_update().only("password").get(pk=self.pk).password
            if stored == self.password:
                fingerprint = self.get_session_auth_hash()
                self.set_password(raw_password)
                self._password = None  # for Django's validators, no other password
                self.save(update_fields=["password"])
                keep_sessions(self, fingerprint)
            elif check_password(raw_password, stored):
                self.password = stored  # another sign-in was faster

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's fingerprint of a session: a changed password ends it, and so does the salt."""
        return salted_hmac(
            "tenants.models.User.session",
            f"{self.password}{self.session_salt}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


class Tenant(TenantMixin):
    """One household and its schema.

    The UUID may have been chosen by a device that was offline. The row of a deleted
    household stays, so its UUID can never be used again.
    """

    class Status(models.TextChoices):
        PROVISIONING = "provisioning", _("being set up")
        READY = "ready", _("ready")
        MAINTENANCE = "maintenance", _("in maintenance")
        DELETED = "deleted", _("deleted")

    # The schema is made by `provision` and dropped by `delete_tenant`, never by saving a row.
    auto_create_schema = False
    auto_drop_schema = False

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=200)
    # Whose device made it, for the daily limit; empty if the operator did.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.PROVISIONING)
    # Which tenant migrations the schema has; compared as a whole, so that a current schema
    # is skipped without opening it. Empty: not known.
    schema_version = models.CharField(max_length=64, blank=True, editable=False)
    # Why the household is in maintenance, for the operator.
    trouble = models.TextField(blank=True, editable=False)

    class Meta:
        verbose_name = _("household")
        verbose_name_plural = _("households")
        constraints = [
            models.CheckConstraint(
                name="schema_is_named_by_id",
                condition=models.Q(schema_name=Concat(_text("t_"), _HEX_OF_ID)),
            )
        ]
        indexes = [models.Index(fields=["created_by", "created_at"])]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.schema_name = schema_name(self.id)
        super().save(*args, **kwargs)

    def __enter__(self) -> NoReturn:
        """django-tenants' own way in leaves the schema set for whoever has the thread next."""
        raise TypeError("Enter a household with tenants.context.in_tenant.")

    activate = __enter__


class Domain(DomainMixin):
    """Required by django-tenants, unused: a socket names its household in its path."""


class Membership(models.Model):
    """A person's place in a household.

    Every change goes through `tenants.memberships`, which writes the mirror in the
    household's schema in the same transaction.
    """

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        EDITOR = "editor", _("editor")
        VIEWER = "viewer", _("viewer")

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    # A person goes by `tenants.memberships.delete_person`, which leaves no household behind that
    # nobody owns, and no mirror of a member who is not there.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships"
    )
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.EDITOR)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The last time an app of this person was sent away before it could begin; see `tenants.doors`.
    turned_away_at = models.DateTimeField(null=True, editable=False)
    turned_away_code = models.CharField(max_length=40, default="", editable=False)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="one_membership_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.tenant} · {self.get_role_display()}"


class Summary(models.Model):
    """How a household was when somebody last looked: what lists show. See `tenants.summaries`."""

    tenant = models.OneToOneField(
        Tenant, on_delete=models.CASCADE, primary_key=True, related_name="summary"
    )
    at = models.DateTimeField()
    light = models.CharField(max_length=8)
    head = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    devices = models.IntegerField(default=0)  # active ones
    online = models.IntegerField(default=0)
    pending = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    last_change_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("summary")
        verbose_name_plural = _("summaries")

    def __str__(self) -> str:
        return f"{self.tenant_id}: {self.light}"


class AuditEntry(models.Model):
    """What somebody who looks after households did, and to which. Never values of rows."""

    at = models.DateTimeField(_("when"), default=timezone.now, editable=False)
    # Kept when the person or the household goes: their names as they were.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(_("who"), max_length=254)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.SET_NULL, related_name="+")
    tenant_name = models.CharField(_("household"), max_length=200, blank=True)
    action = models.CharField(_("what"), max_length=40)
    detail = models.CharField(_("about"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit")
        indexes = [models.Index(fields=["-at"]), models.Index(fields=["tenant", "-at"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name}: {self.action}"


class Token(models.Model):
    """A key with which a program signs in as a person; only a hash of its secret is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens"
    )
    name = models.CharField(_("name"), max_length=100)
    # SHA-256 in hex. The secret has 256 random bits, so it needs no salt and no slow hash.
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return self.name


class Invitation(models.Model):
    """An offer to join a household, sent to an e-mail address; used once, or not at all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail address"), max_length=254)
    role = models.CharField(
        _("role"), max_length=10, choices=Membership.Role, default=Membership.Role.EDITOR
    )
    # Empty if the operator invited.
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # SHA-256 in hex of the secret in the link; see Token.secret_hash.
    secret_hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    # At most one of the three; empty while the invitation is open.
    accepted_at = models.DateTimeField(null=True, editable=False)
    declined_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.CheckConstraint(
                name="invited_email_is_lower", condition=models.Q(email=Lower("email"))
            )
        ]
        indexes = [
            models.Index(fields=["email"]),
            models.Index(fields=["invited_by", "created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.tenant}"


class TemplateDdl(models.Model):
    """The template schema as SQL text, from which a new household is made in milliseconds."""

    # Of the tenant migrations that the text contains; see `tenants.template.wanted_version`.
    version = models.CharField(primary_key=True, max_length=64)
    ddl = models.TextField()
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")

    def __str__(self) -> str:
        return self.version
