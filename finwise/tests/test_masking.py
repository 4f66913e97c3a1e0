"""No key that somebody carries in an address gets into a log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.urls import URLResolver, get_resolver

from finwise.masking import mask

LINK = "0123456789abcdef0123456789abcdef-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
TOKEN = "fw_0123456789abcdef0123456789abcdef_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE"
KEY = "MQ:1tXyZa:kq3_V0-rT"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Not Found: /accounts/invitations/{LINK}/", "Not Found: /accounts/invitations/***"),
        (f"Not Found: /ACCOUNTS//Invitations//{LINK}>", "Not Found: /ACCOUNTS//Invitations//***>"),
        (f"x /accounts/confirm-email/{KEY}/ y", "x /accounts/confirm-email/*** y"),
        (f"/accounts/confirm-email/{KEY}./", "/accounts/confirm-email/***"),
        ("/accounts/password/reset/key/1a-c2/x/y/", "/accounts/password/reset/key/***"),
        (f"GET /accounts/login/?next=/accounts/confirm-email/{KEY}/&x=1 HTTP",
         "GET /accounts/login/?next=/accounts/confirm-email/***&x=1 HTTP"),
        (f"?next={quote(f'/accounts/confirm-email/{KEY}/', safe='')}",
         "?next=%2Faccounts%2Fconfirm-email%2F***"),
        (f'{{"event": "{TOKEN}"}}', '{"event": "***"}'),
        (f"Bearer {TOKEN}, {LINK}", "Bearer ***, ***"),
        (f'"/accounts/confirm-email/{KEY}\\nTraceback', '"/accounts/confirm-email/***\\nTraceback'),
        ("Not Found: /accounts/households/", "Not Found: /accounts/households/"),
        ("t_0123456789abcdef0123456789abcdef", "t_0123456789abcdef0123456789abcdef"),
        ("0192fac2-7d1c-7e10-9a64-3f1e0d2b4c5a", "0192fac2-7d1c-7e10-9a64-3f1e0d2b4c5a"),
    ],
)  # fmt: skip
def test_a_line_is_written_without_the_keys_in_it(said: str, shown: str) -> None:
    assert mask(said) == shown


def addresses(resolver: URLResolver, before: str = "/") -> Iterator[str]:
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from addresses(each, path)
        else:
            yield path


def test_whatever_is_no_number_in_an_address_is_masked() -> None:
    """So a new page behind a secret link is masked, or fails here."""
    free = [
        address
        for address in addresses(get_resolver())
        if re.search(r"<str:|<slug:|<path:|\(\?P<", address) and not address.startswith("/admin/")
    ]
    assert len(free) >= 3
    for address in free:
        path = re.sub(r"<str:\w+>|\(\?P<\w+>[^)]*\)", "CANARY", address)
        path = path.replace("^", "").replace("$", "")
        assert "CANARY" in path
        assert "CANARY" not in mask(f"Not Found: {path}"), address
