"""The quick check of an IBAN says what the thorough one says."""

from __future__ import annotations

import random
import re
import string

import pytest
from django.core.exceptions import ValidationError
from localflavor.generic.validators import IBAN_COUNTRY_CODE_LENGTH, IBANValidator
from stdnum import numdb

from accounts.iban import IbanValidator, _structure_of

KINDS = {
    "n": string.digits,
    "a": string.ascii_uppercase,
    "c": string.digits + string.ascii_uppercase,
}
thorough, quick = IBANValidator(), IbanValidator()


def verdict(validator: IBANValidator, iban: str) -> str | None:
    """None if it is accepted, else what is wrong with it."""
    try:
        validator(iban)
    except ValidationError as error:
        return " ".join(error.messages)
    return None


def made_up(country: str, chance: random.Random) -> str:
    """An IBAN of this country with the right check digits."""
    facts = numdb.get("iban").info(country)[0][1]
    bban = "".join(
        "".join(chance.choices(KINDS[kind], k=int(count)))
        for count, kind in re.findall(r"([0-9]+)!([nac])", facts.get("bban", ""))
    )
    return f"{country}{IBANValidator.iban_checksum(f'{country}00{bban}')}{bban}"


def spoilt(iban: str, chance: random.Random) -> str:
    """The same with a character changed, added or lost; or other check digits, as good by 97."""
    place = chance.randrange(len(iban))
    match chance.randrange(4):
        case 0:
            return iban[:place] + chance.choice("0123456789AZaz é-\n") + iban[place + 1 :]
        case 1:
            return iban[:place] + chance.choice("09A\n") + iban[place:]
        case 2:
            return iban[:place] + iban[place + 1 :]
        case _:
            return f"{iban[:2]}{(int(iban[2:4]) + 97) % 194:02d}"[:4] + iban[4:]


@pytest.mark.parametrize("country", IBAN_COUNTRY_CODE_LENGTH)
def test_both_say_the_same_of_every_country(country):
    chance = random.Random(country)
    for _ in range(40):
        iban = made_up(country, chance)
        for each in (iban, spoilt(iban, chance), spoilt(iban, chance)):
            assert verdict(quick, each) == verdict(thorough, each), each


def test_german_numbers_need_no_second_look():
    assert _structure_of("DE") is not None
    assert _structure_of("BE") is None  # checks of its own inside
    assert _structure_of("XX") is None


def test_check_digits_that_are_only_right_by_97_are_refused():
    chance = random.Random(97)
    right = next(iban for iban in iter(lambda: made_up("DE", chance), "") if iban[2:4] == "97")
    assert verdict(quick, right) is None
    assert verdict(quick, f"DE00{right[4:]}") == "Not a valid IBAN."
