import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.origins import is_ours, parse_origin

ALLOWED = ["https://app.finwise.example", "http://localhost:5173"]
OWN = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.finwise.example",
        "https://app.finwise.example:443",
        "HTTPS://App.FinWise.Example",
        "http://localhost:5173",
        "http://127.0.0.1:8000",
    ],
)
def test_an_origin_that_is_equal_after_parsing_is_ours(origin: str) -> None:
    """S05"""
    assert is_ours(origin, ALLOWED, OWN)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.finwise.example.evil.example",
        "https://finwise.example",
        "http://app.finwise.example",
        "https://app.finwise.example:8443",
        "http://localhost:5174",
        "https://localhost:5173",
        "http://127.0.0.1",
        "http://127.0.0.1:8001",
        "",
        "null",
        "file://",
        "https://",
        "https://app.finwise.example@evil.example",
        "https://user:word@app.finwise.example",
        "https://app.finwise.example/",
        "https://app.finwise.example?x",
        "https://app.finwise.example#x",
        "https://[::1",
        "https://[::1]]",
        "https://[nonsense]",
        "https://app.finwise.example:0443x",
        "https://app.finwise.example:99999",
        "https://app.finwise.example:",
        "https://app.finwise.example\n",
        "https://app.fin\twise.example",
        " https://app.finwise.example",
        "https://*.finwise.example",
        "https://app.finwise.example https://app.finwise.example",
        "ws://app.finwise.example",
        "https://арр.finwise.example",
        "https://app.finwise.example.",
    ],
)
def test_every_other_origin_is_foreign(origin: str) -> None:
    """S02, S03, S04"""
    assert not is_ours(origin, ALLOWED, OWN)


def test_forms_of_one_ipv6_address_are_one_origin() -> None:
    assert parse_origin("http://[::1]:8000") == parse_origin("http://[0:0:0:0:0:0:0:1]:8000")


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    """S04: 403, never 500."""
    for scheme in ("", "http://", "https://[", "https://a:"):
        assert not is_ours(scheme + text, [], None)


@given(st.sampled_from(["http", "https"]), st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True))
def test_an_origin_is_always_equal_to_itself_and_to_its_default_port(
    scheme: str, host: str
) -> None:
    origin = f"{scheme}://{host}"
    port = {"http": 80, "https": 443}[scheme]
    assert is_ours(origin, [origin.upper()], None)
    assert is_ours(f"{origin}:{port}", [origin], None)
    assert not is_ours(f"{origin}:{port + 1}", [origin], None)
