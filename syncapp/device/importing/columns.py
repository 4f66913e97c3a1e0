"""Which column means what: headings as people write them, in German and English."""

from __future__ import annotations

import re
import unicodedata

# What a column may fill: fields of an account, or one of these.
KIND = "kind"  # says whether the line is a group, or which type of account it is
GROUP = "group"  # the name of the account's group
ID = "id"

_HEADINGS: dict[str, str] = {
    "name": "name Konto Kontoname Bezeichnung Kontobezeichnung account account-name title",
    KIND: "Art Typ Kontotyp Kontoart type kind account-type record Datensatz Zeilenart",
    GROUP: "Gruppe Kontogruppe group account-group Gruppenname group-name",
    ID: "id uuid",
    "description": "Beschreibung description Beschreibungstext",
    "note": "Notiz Notizen Bemerkung Bemerkungen Anmerkung note notes remark comment Kommentar",
    "isActive": "aktiv ist-aktiv active is-active enabled",
    "isOfflineBudget": "Offline-Budget Offlinebudget ist-Offline-Budget is-offline-budget",
    "sortOrder": "Reihenfolge Sortierung Position sort-order sort order Rang",
    "iban": "IBAN IBAN-Nummer",
    "balance": "Saldo Kontostand Stand Betrag balance amount current-balance",
    "creditLimit": "Kreditlimit Kreditrahmen Dispo Dispolimit Disporahmen Verfügungsrahmen"
    " credit-limit limit overdraft",
    "offset": "Offset Korrektur Korrekturbetrag Ausgleich correction",
    "image": "Bild Logo image icon picture",
}


def plain(text: str) -> str:
    """A word for comparison: lower case, no accents, no blanks or punctuation; ä is ae."""
    text = text.strip().lower()
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        text = unicodedata.normalize("NFC", text).replace(umlaut, letters)
    text = unicodedata.normalize("NFKD", text)
    return re.sub(r"[^a-z0-9]", "", text)


_BY_HEADING = {plain(word): target for target, words in _HEADINGS.items() for word in words.split()}

_IN_BRACKETS = re.compile(r"[(\[].*?[)\]]")


def target_of(heading: str) -> str | None:
    """What a column fills, or None. "Saldo (EUR)" and "Saldo in €" are Saldo."""
    bare = re.sub(r"(?i)\s+(in|eur|euro|€)\b.*|€", "", _IN_BRACKETS.sub("", heading))
    return _BY_HEADING.get(plain(bare))
