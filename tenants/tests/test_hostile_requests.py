"""What an attacker sends over HTTP, to every page: it does nothing, and leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import pytest
from django.conf import settings as site
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from finwise.tests.test_hardening import PATHS
from tenants.invitations import invite
from tenants.models import Tenant, User

Browse = Callable[..., Client]

PASSWORD = "correct horse battery"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    " https://evil.example",
    "\thttps://evil.example",
    "https:/evil.example",
    "https://testserver@evil.example",
    "https://testserver.evil.example",
    "///evil.example",
    "/%2f/evil.example\r\nX-Evil: 1",
]


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert", password=PASSWORD)


def patterns(resolver: URLResolver, before: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each, path)
        else:
            yield path, each


def test_every_post_needs_the_token_of_our_own_page_but_those_of_a_finwise_04_app() -> None:
    """S45: by the switch that Django has for it, so that a new page cannot go without."""
    exempt = {
        path
        for path, each in patterns(get_resolver())
        if getattr(each.callback, "csrf_exempt", False)
    }
    # They take JSON from an origin of ours alone: see tenants/tests/test_finwise04.py.
    app = {"/users", "/users/<uuid:person_id>", "/register", "/login", "/tenants", "/tenants/"}
    assert exempt - app == {"/api/v1/websocket/health"}
    assert "django.middleware.csrf.CsrfViewMiddleware" in site.MIDDLEWARE


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("/health")])
def test_a_post_without_the_token_is_refused_on_every_page(
    browse: Browse, anna: User, path: str
) -> None:
    """S45: whatever the page, whoever is signed in, wherever it comes from."""
    browser = browse(anna, enforce_csrf_checks=True)
    before = User.objects.values_list("password", "display_name", "language").get(pk=anna.pk)
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
        answer = browser.post(path, {"display_name": "x", "language": "en"}, headers=headers)
        assert answer.status_code in (301, 302, 403, 404, 405), path
        assert answer.status_code != 302 or "/accounts/" not in answer.headers["Location"]
    assert User.objects.values_list("password", "display_name", "language").get(pk=anna.pk) == (
        before
    )
    assert browser.get("/accounts/").status_code == 200  # signed in as before


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize("page", ["login", "signup", "logout", "reauthenticate", "admin"])
def test_no_page_leads_to_another_site(browse: Browse, bert: User, page: str, address: str) -> None:
    """S55: wherever a page takes an address to go to afterwards."""
    path = "/admin/login/" if page == "admin" else f"/accounts/{page}/"
    browser = browse() if page in ("login", "signup") else browse(bert)
    sent = {"next": address, "login": bert.email, "password": PASSWORD, "password1": PASSWORD}
    sent["email"] = "new@example.org"
    for answer in (
        browser.get(path, {"next": address}),
        browser.post(path, sent),
        browse(bert).get(path, {"next": address}),
    ):
        where = answer.headers.get("Location", "/")
        assert re.match(r"/(?![/\\])", where), where
        assert "\n" not in where and "X-Evil" not in answer.headers
        assert urlsplit(urljoin("http://testserver/x", where)).netloc == "testserver", where


def test_mails_lead_to_the_site_that_was_asked_and_to_no_other(
    browse: Browse, bert: User, home: UUID, anna: User, mailoutbox: list[Any]
) -> None:
    """A name that is not ours is not answered, and what a proxy would have said is not believed."""
    forged = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-server": "evil.example",
        "x-host": "evil.example",
        "forwarded": "host=evil.example",
        "x-original-url": "//evil.example/",
    }
    asked = [
        (browse(), "/accounts/password/reset/", {"email": bert.email}),
        (browse(), "/accounts/signup/", {"email": "new@example.org", "password1": PASSWORD}),
        (
            browse(anna),
            f"/accounts/households/{home}/invite/",
            {"email": "dora@example.org", "role": "editor"},
        ),
    ]
    for browser, path, sent in asked:
        assert browser.post(path, sent, headers={"host": "evil.example"}).status_code == 400
        assert mailoutbox == []
        browser.post(path, sent, headers=forged)
        (mail,) = mailoutbox
        links = re.findall(r"https?://[^/\s]+", mail.body)
        assert links and set(links) == {"http://testserver"}
        assert "evil" not in str(mail.message())
        mailoutbox.clear()


@pytest.fixture
def invite_as(
    browse: Browse, anna: User, home: UUID, mailoutbox: list[Any]
) -> Callable[[str], Any]:
    """Invites in the name of a person and a household that both call themselves this."""

    def invite(name: str) -> Any:
        Tenant.objects.filter(pk=home).update(name=name)
        User.objects.filter(pk=anna.pk).update(display_name=name)
        browse(anna).post(
            f"/accounts/households/{home}/invite/", {"email": "dora@example.org", "role": "editor"}
        )
        (mail,) = mailoutbox
        return mail

    return invite


@pytest.mark.parametrize(
    "name", ["Home\r\nBcc: evil@example.org", "Home\nSubject: x", "a\x0bb\x85c"]
)
def test_no_name_makes_a_header_of_a_mail(invite_as: Callable[[str], Any], name: str) -> None:
    mail = invite_as(name)
    assert len(mail.subject.splitlines()) == 1
    assert mail.recipients() == ["dora@example.org"]
    heads = mail.message().as_string().split("\n\n", 1)[0]
    assert not re.search(r"^(Bcc|X-Evil)", heads, re.MULTILINE)
    assert heads.count("Subject:") == 1


LINKS = [
    "Your account is locked: https://evil.example/sign-in",
    "visit www.evil.example now",
    "evil.example/x",
    "write to thief@evil.example",
    "FinWise\n\nDear customer,\nyour bank https://evil.example/",
    "HTTPS:\\\\evil.example",
    "\u202eelpmaxe.live",
    "x" * 149,
]


@pytest.mark.parametrize("name", LINKS)
def test_nobody_writes_our_mails_by_what_they_call_themselves(
    invite_as: Callable[[str], Any], anna: User, name: str
) -> None:
    """Whoever invites chooses two names, and a stranger reads them in a mail of ours."""
    mail = invite_as(name)
    for text in (mail.subject, mail.body):
        ours = text.replace("http://testserver/", "").replace(anna.email, "")
        assert not re.search(r"://|www|\w\.[^\W\d]|@|\\|\u202e|x{61}", ours), ours
    assert "\nDear customer" not in mail.body and "\nyour bank" not in mail.body
    assert anna.email in mail.body


def test_names_of_every_day_stand_in_mails_as_they_are(
    browse: Browse, anna: User, home: UUID, mailoutbox: list[Any]
) -> None:
    Tenant.objects.filter(pk=home).update(name="Müller & Söhne (Haus 2.0) – 50/50, d'accord?")
    User.objects.filter(pk=anna.pk).update(display_name="Dr. Änne O'Neill-Łuczak")
    browse(anna).post(
        f"/accounts/households/{home}/invite/", {"email": "dora@example.org", "role": "editor"}
    )
    (mail,) = mailoutbox
    assert "Müller & Söhne (Haus 2.0) – 50/50, d'accord?" in mail.subject
    assert "Dr. Änne O'Neill-Łuczak" in mail.subject


COOKIES = ['"abcdefgh\\000abc"', '"\\377\\376abcdefgh"', "a" * 5000, "é" * 20, '{"a":1}', "'; --"]


@pytest.mark.parametrize("cookie", COOKIES)
def test_a_cookie_that_we_never_set_is_no_cookie(
    browse: Browse, database: None, caplog: pytest.LogCaptureFixture, cookie: str
) -> None:
    """Anybody may send one: it must not even cost us a traceback."""
    names = [
        site.SESSION_COOKIE_NAME, site.CSRF_COOKIE_NAME, site.LANGUAGE_COOKIE_NAME, "messages",
        site.FINWISE04_BROWSER_COOKIE, site.DEVICES_COOKIE_NAME,
    ]  # fmt: skip
    for name in names:
        for path in ("/accounts/login/", "/api/session", "/sync/", "/admin/", "/nothing"):
            answer = browse().get(path, HTTP_COOKIE=f"{name}={cookie}")
            assert answer.status_code in (200, 302, 404)
    assert "Traceback" not in caplog.text and "Internal" not in caplog.text


def test_whatever_shows_something_of_somebody_is_kept_by_nobody(
    browse: Browse, anna: User, home: UUID, other_home: UUID
) -> None:
    """By no proxy, and not in the browser either: who signs out has signed out."""
    _, link = invite(Tenant.objects.get(pk=home), anna.email.replace("@", "x@"), "editor", anna)
    User.objects.filter(pk=anna.pk).update(is_staff=True, is_superuser=True)
    browser = browse(User.objects.get(pk=anna.pk))
    looked = 0
    for path, each in patterns(get_resolver()):
        if each.name in (None, "home", "service-worker", "manifest", "alive", "ready", "jsi18n"):
            continue
        filled = re.sub(r"<uuid:(tenant_id|household)>", str(home), path)
        filled = filled.replace("<str:link>", link).replace("<path:object_id>", str(anna.pk))
        filled = re.sub(r"\^|\$|\\Z", "", filled)
        if re.search(r"[<(?]", filled) or "logout" in filled:
            continue
        answer = browser.get(filled)
        if answer.status_code != 200:
            continue
        looked += 1
        kept = answer.headers.get("Cache-Control", "")
        assert "no-store" in kept, filled
    assert looked > 30
