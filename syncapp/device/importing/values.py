"""Cells to values. Everything here raises `BadCell` with a sentence for the person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from .columns import plain

DecimalMark = Literal[",", "."]

GROUP_WORDS = frozenset(map(plain, ("Gruppe", "Kontogruppe", "group", "account group")))
ACCOUNT_WORDS = frozenset(map(plain, ("Konto", "account")))

_TYPE_NAMES: dict[str, tuple[str, ...]] = {
    "giro": ("Girokonto", "current account", "checking", "checking account", "current"),
    "tagesgeld": ("Tagesgeldkonto", "instant access savings", "call money", "instant access"),
    "festgeld": ("Festgeldkonto", "fixed deposit", "term deposit", "time deposit", "Termingeld"),
    "spar": ("Sparkonto", "Sparbuch", "savings", "savings account"),
    "kreditkarte": ("Kreditkartenkonto", "credit card", "credit card account"),
    "depot": ("Depotkonto", "Wertpapierdepot", "securities account", "brokerage", "portfolio"),
    "bauspar": ("Bausparvertrag", "Bausparkonto", "building society savings", "building savings"),
    "darlehen": ("Darlehenskonto", "Kredit", "Hypothek", "loan", "mortgage", "credit"),
    "geschaeft": ("Geschäftskonto", "business account", "business"),
    "gemeinschaft": ("Gemeinschaftskonto", "joint account", "joint"),
    "fremdwaehrung": ("Fremdwährungskonto", "foreign currency account", "foreign currency"),
    "virtuell": ("virtuelles Konto", "virtual account", "virtual"),
    "bar": ("Bargeld", "Barkasse", "Kasse", "cash", "wallet", "Geldbörse"),
    "sonstiges": ("sonstige", "sonstiges Konto", "other", "miscellaneous", "anderes"),
}
_TYPES = {plain(name): value for value, names in _TYPE_NAMES.items() for name in (value, *names)}

_YES = frozenset(
    map(plain, ("ja", "j", "yes", "y", "x", "1", "true", "wahr", "aktiv", "active", "on"))
)
_NO = frozenset(
    map(plain, ("nein", "n", "no", "0", "false", "falsch", "inaktiv", "inactive", "off"))
)
TICKS = frozenset(("x", "✓", "✔", "☑"))

_MINUS = "-−–—"
_BLANKS = " \t\u00a0\u202f\u2009'’"
_EURO = re.compile(r"(?i)€|\bEUR(?:O)?\b")
_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)


class BadCell(Exception):
    """What is wrong with a cell; the sentence does not repeat the column's name."""


def account_type(text: str) -> str:
    found = _TYPES.get(plain(text))
    if found is None:
        raise BadCell(f"{text!r} is no type of account; there are: {', '.join(_TYPE_NAMES)}.")
    return found


def yes_or_no(text: str) -> bool:
    if text.strip() in TICKS or plain(text) in _YES:
        return True
    if plain(text) in _NO:
        return False
    raise BadCell(f"{text!r} is neither yes nor no (ja, nein, x, 1, 0).")


def whole_number(text: str) -> int:
    match = re.fullmatch(r"([+-]?[0-9]{1,9})(?:[.,]0+)?", text.strip(), re.ASCII)
    if match is None:
        raise BadCell(f"{text!r} is no whole number.")
    return int(match[1])


def iban(text: str) -> str:
    """Upper case without blanks, with the right check digits (ISO 13616, modulo 97)."""
    value = "".join(text.split()).upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", value, re.ASCII):
        raise BadCell(f"{text!r} is no IBAN.")
    if value[:2] == "DE" and len(value) != 22:
        raise BadCell(f"A German IBAN has 22 characters, this one {len(value)}.")
    digits = "".join(str(int(each, 36)) for each in value[4:] + value[:4])
    if int(digits) % 97 != 1:
        raise BadCell(f"The check digits of {value} are wrong; a digit may be mistyped.")
    return value


# --- amounts -----------------------------------------------------------------------------


def decimal_mark(cells: Iterable[str], fallback: DecimalMark) -> DecimalMark:
    """Whether a file writes 1.234,56 or 1,234.56, by those of its amounts that leave no doubt."""
    votes = {",": 0, ".": 0}
    for cell in cells:
        number = re.sub(rf"[^0-9.,]|[{_BLANKS}]", "", cell)
        points, commas = number.count("."), number.count(",")
        if points and commas:
            votes["," if number.rfind(",") > number.rfind(".") else "."] += 2
        elif commas == 1 and not re.search(r",[0-9]{3}\Z", number):
            votes[","] += 1
        elif points == 1 and not re.search(r"\.[0-9]{3}\Z", number):
            votes["."] += 1
    if votes[","] == votes["."]:
        return fallback
    return "," if votes[","] > votes["."] else "."


def amount(text: str, mark: DecimalMark) -> str:
    """A decimal as the wire writes it, of "1.234,56 €", "1,234.56", "12,5", "-3", "12,50-", "-".

    mark: how the file writes decimals; only where a cell leaves it open.
    """
    number = _EURO.sub("", unicodedata.normalize("NFKC", text)).strip(_BLANKS)
    is_negative = False
    if number.startswith("(") and number.endswith(")"):
        is_negative, number = True, number[1:-1].strip(_BLANKS)
    if number[:1] in tuple(_MINUS) or number[-1:] in tuple(_MINUS):
        is_negative = True
        number = number.strip(_MINUS + _BLANKS)
        if not number:
            return "0"  # how spreadsheets show nothing
    number = number.removeprefix("+")
    for blank in _BLANKS:
        number = number.replace(blank, "")
    whole, fraction = _split(number, mark, text)
    if not _DIGITS.match(whole or "0") or (fraction and not _DIGITS.match(fraction)) or not number:
        raise BadCell(f"{text!r} is no amount.")
    value = (whole or "0") + ("." + fraction if fraction else "")
    return f"-{value}" if is_negative else value


def _split(number: str, mark: DecimalMark, text: str) -> tuple[str, str]:
    """The digits before and after the decimal mark; thousands are checked to be threes."""
    points, commas = number.count("."), number.count(",")
    if points and commas:
        used: str = "," if number.rfind(",") > number.rfind(".") else "."
        if number.count(used) > 1:
            raise BadCell(f"{text!r} is no amount.")
    elif points + commas > 1:
        used = ""  # only thousands
    elif points + commas == 1:
        used = "," if commas else "."
        looks_like_thousands = re.fullmatch(r"[0-9]{1,3}[.,][0-9]{3}", number, re.ASCII)
        if looks_like_thousands and used != mark:
            used = ""
    else:
        return number, ""
    whole, _, fraction = number.rpartition(used) if used else (number, "", "")
    groups = re.split(r"[.,]", whole)
    if len(groups) > 1 and (
        not 1 <= len(groups[0]) <= 3 or any(len(each) != 3 for each in groups[1:])
    ):
        raise BadCell(f"{text!r} is no amount: the thousands do not stand in threes.")
    return "".join(groups), fraction
