"""Rows as a household has them: names, notes, IBANs that check, amounts; random by seed."""

from __future__ import annotations

import random
import uuid
from typing import Any

_BANKS = ["Sparkasse", "Volksbank", "DKB", "ING", "Comdirect", "GLS Bank", "Postbank", "N26"]
_PEOPLE = ["Anna", "Jürgen", "Mathilde", "Özlem", "Käthe", "Ben", "gemeinsam", "Kinder"]
# As in the sample household, a little more than half of the accounts have an IBAN.
_KINDS_WITH_IBAN = ["giro", "tagesgeld", "spar", "gemeinschaft", "bauspar"]
_KINDS = [*_KINDS_WITH_IBAN, "kreditkarte", "depot", "bar", "virtuell"]
_WORDS = [
    "Gehalt", "Miete", "Rücklage", "Urlaub", "Auto", "Versicherung", "Strom", "Garten",
    "Geschenke", "Schule", "Zinsen", "Dauerauftrag", "Haushaltsgeld", "Notgroschen", "Steuer",
]  # fmt: skip


class Content:
    """Makes rows; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.groups = [self.row_id() for _ in range(12)]

    def row_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def account(self) -> dict[str, Any]:
        """Every field of a new account but its image, which few have: about 450 bytes of JSON."""
        chance = self._chance
        kind = chance.choice(_KINDS)
        return {
            "name": f"{chance.choice(_BANKS)} {kind} {chance.choice(_PEOPLE)}",
            "description": " ".join(chance.choices(_WORDS, k=4)),
            "note": " ".join(chance.choices(_WORDS, k=chance.randrange(12))),
            "accountType": kind,
            "isActive": chance.random() > 0.1,
            "isOfflineBudget": chance.random() > 0.8,
            "accountGroupId": chance.choice([None, *self.groups]),
            "sortOrder": chance.randrange(1000),
            "iban": self.iban() if kind in _KINDS_WITH_IBAN else "",
            "balance": self.amount(),
            "creditLimit": chance.choice(["0", "500", "1000"]),
            "offset": "0",
        }

    def edit(self) -> dict[str, Any]:
        """What a person changes at once: an amount, and now and then a note."""
        if self._chance.random() > 0.3:
            return {"balance": self.amount()}
        note = " ".join(self._chance.choices(_WORDS, k=6))
        return {"balance": self.amount(), "note": note}

    def amount(self) -> str:
        """A decimal as devices write it: canonical, without trailing zeros."""
        cents = self._chance.randrange(-2_000_000, 9_000_000)
        return f"{cents / 100:.2f}".rstrip("0").rstrip(".")

    def iban(self) -> str:
        """A German IBAN whose check digits are right (ISO 13616: 98 minus the rest by 97)."""
        account = f"{self._chance.randrange(10**18):018d}"
        check = 98 - int(f"{account}131400") % 97  # D is 13, E is 14
        return f"DE{check:02d}{account}"
