"""What every answer tells the browser, and what a site in production insists on."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from finwise.places import ROOT
from finwise.tests.test_settings import SOUND_KEY

pytestmark = pytest.mark.django_db


def plain_paths(resolver: URLResolver, before: str = "/") -> list[str]:
    """The paths of all pages whose address holds nothing variable."""
    found = []
    for each in resolver.url_patterns:
        path = before + str(each.pattern).replace("^", "").replace("$", "").replace("\\Z", "")
        if any(sign in path for sign in "<(?["):
            continue
        found += plain_paths(each, path) if isinstance(each, URLResolver) else [path]
        assert isinstance(each, URLResolver | URLPattern)
    return found


PATHS = [*plain_paths(get_resolver()), "/nothing/here", "/accounts/", "/api/nothing"]


def test_there_are_pages_to_look_at() -> None:
    assert {"/", "/accounts/login/", "/health/ready", "/admin/"} <= set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_tells_the_browser_to_be_careful(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action"):
        assert rule in policy, policy
    assert "frame-ancestors 'none'" in policy
    if not path.startswith("/admin/"):  # it has a policy of its own
        assert "unsafe" not in policy and "*" not in policy, policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    # Below /accounts/ an address may be a key, and not even our own files need to hear it.
    hidden = "strict-origin" if path.startswith("/accounts/") else "same-origin"
    assert headers["Referrer-Policy"] == hidden
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


# Settings are read once for each process, so a site in production is another one.
LOOK = """
import json, os
import django
from django.test import Client
django.setup()
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from finwise import health, urls
urls.urlpatterns.insert(0, path("cookies", lambda request: (
    request.session.update({"x": 1}), __import__("django.middleware.csrf").middleware.csrf
    .get_token(request), HttpResponse("x"))[-1]))
settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
client = Client(headers={"host": "finwise.example.org"})
plain = client.get("/health/live")
page = client.get("/accounts/login/")
answer = client.get("/cookies", secure=True)
other = client.get("/cookies", secure=True, headers={"host": "evil.example"})
print(json.dumps({
    "health": [plain.status_code],
    "plain": [page.status_code, page.headers.get("Location")],
    "tls": dict(answer.headers),
    "cookies": answer.cookies.output(),
    "other": other.status_code,
}))
"""


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, text=True, capture_output=True, timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "finwise.settings",
            "FINWISE_ENV": "production",
            "FINWISE_SECRET_KEY": SOUND_KEY,
            "FINWISE_HOSTS": "finwise.example.org",
            "FINWISE_EMAIL_URL": "dummymail://",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_site_speaks_over_tls_only_but_for_its_health(site: dict[str, Any]) -> None:
    assert site["health"] == [200]
    assert site["plain"] == [301, "https://finwise.example.org/accounts/login/"]
    hsts = site["tls"]["Strict-Transport-Security"]
    assert hsts == "max-age=31536000; includeSubDomains; preload"


def test_a_sites_cookies_are_bound_to_it(site: dict[str, Any]) -> None:
    lines = site["cookies"].splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "__Host-" in line and "Secure" in line and "Path=/" in line and "Lax" in line
        assert "Domain" not in line
    assert any("__Host-session" in line and "HttpOnly" in line for line in lines)


def test_another_name_is_not_answered(site: dict[str, Any]) -> None:
    assert site["other"] == 400
