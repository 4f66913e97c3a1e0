"""WHAT a household keeps: accounts and their groups. How they travel: `entities.py`.

Defaults stand in the database too, so that an INSERT typed in psql need not name them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from localflavor.generic.models import IBANField
from localflavor.generic.validators import IBANValidator

from syncapp.models import SyncedModel

# 15 digits before and 4 after the point.
AMOUNT_DIGITS = {"max_digits": 19, "decimal_places": 4}
AMOUNT_LIMIT = Decimal(10) ** 15
IMAGE_MAX_BYTES = 100 * 1024 * 4 // 3 + 64  # 100 KiB in base64, and the data URL's head


class ImageField(models.TextField):
    """A PNG, JPEG or WebP as a data URL; "" for none."""

    sync_kind = "image"


class IbanCheck(IBANValidator):
    """The library's verdict; a right German number, as most of ours are, takes no look-up.

    The library reads its tables anew for each number, which cost more than all other checks
    of a row together.
    """

    _GERMAN = re.compile("DE[0-9]{20}")

    def __call__(self, value: str) -> None:
        if self._GERMAN.fullmatch(value):
            check = 98 - int(value[4:] + "131400") % 97  # D is 13, E is 14
            if check == int(value[2:4]):
                return
        super().__call__(value)


class IbanField(IBANField):
    """An IBAN in upper case without blanks; "" for none."""

    sync_kind = "iban"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.validators[-1] = IbanCheck()  # in the library's place


class AccountType(models.TextChoices):
    GIRO = "giro", _("Current account")
    TAGESGELD = "tagesgeld", _("Instant access savings")
    FESTGELD = "festgeld", _("Fixed deposit")
    SPAR = "spar", _("Savings account")
    KREDITKARTE = "kreditkarte", _("Credit card")
    DEPOT = "depot", _("Securities account")
    BAUSPAR = "bauspar", _("Building society savings")
    DARLEHEN = "darlehen", _("Loan")
    GESCHAEFT = "geschaeft", _("Business account")
    GEMEINSCHAFT = "gemeinschaft", _("Joint account")
    FREMDWAEHRUNG = "fremdwaehrung", _("Foreign currency account")
    VIRTUELL = "virtuell", _("Virtual account")
    BAR = "bar", _("Cash")
    SONSTIGES = "sonstiges", _("Other")


def _is_amount(name: str) -> models.CheckConstraint:
    # PostgreSQL takes NaN for numeric and sorts it above every number.
    return models.CheckConstraint(
        condition=models.Q(**{f"{name}__lt": AMOUNT_LIMIT, f"{name}__gt": -AMOUNT_LIMIT}),
        name=f"account_{name}_is_amount",
    )


class AccountGroup(SyncedModel):
    """A heading under which accounts are shown."""

    name = models.CharField(_("Name"), max_length=120)
    sort_order = models.IntegerField(_("Sort order"), default=0, db_default=0)
    image = ImageField(
        _("Image"), default="", db_default="", blank=True, max_length=IMAGE_MAX_BYTES
    )

    class Meta(SyncedModel.Meta):
        db_table = "account_group"
        verbose_name = _("account group")
        verbose_name_plural = _("account groups")

    def __str__(self) -> str:
        return self.name


class Account(SyncedModel):
    """One account. Its group is a reference as a value: it may be missing or deleted."""

    name = models.CharField(_("Name"), max_length=120)
    description = models.CharField(
        _("Description"), max_length=500, default="", db_default="", blank=True
    )
    note = models.TextField(_("Note"), max_length=4000, default="", db_default="", blank=True)
    account_type = models.CharField(
        _("Account type"),
        max_length=20,
        choices=AccountType.choices,
        default=AccountType.GIRO,
        db_default=AccountType.GIRO,
    )
    is_active = models.BooleanField(_("Is active"), default=True, db_default=True)
    is_offline_budget = models.BooleanField(_("Is offline budget"), default=False, db_default=False)
    account_group = models.ForeignKey(
        AccountGroup,
        verbose_name=_("Account group"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
    )
    sort_order = models.IntegerField(_("Sort order"), default=0, db_default=0)
    iban = IbanField(_("IBAN"), default="", db_default="", blank=True)
    balance = models.DecimalField(
        _("Balance"), default=Decimal(0), db_default=Decimal(0), **AMOUNT_DIGITS
    )
    credit_limit = models.DecimalField(
        _("Credit limit"), default=Decimal(0), db_default=Decimal(0), **AMOUNT_DIGITS
    )
    offset = models.DecimalField(
        _("Offset"), default=Decimal(0), db_default=Decimal(0), **AMOUNT_DIGITS
    )
    image = ImageField(
        _("Image"), default="", db_default="", blank=True, max_length=IMAGE_MAX_BYTES
    )

    class Meta(SyncedModel.Meta):
        db_table = "account"
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [_is_amount("balance"), _is_amount("credit_limit"), _is_amount("offset")]

    def __str__(self) -> str:
        return self.name
