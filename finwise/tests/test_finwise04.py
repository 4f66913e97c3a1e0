"""A built FinWise 0.4 app, served from our origin."""

from __future__ import annotations

import base64
import hashlib

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory, override_settings

import tenants.finwise04
from finwise import finwise04, urls

PAGE = '<!doctype html><script type="module" src="{base}assets/index-1a2b3c4d.js"></script>'


@pytest.fixture
def new_app(tmp_path):
    def make(base="/"):
        (tmp_path / "assets").mkdir()
        (tmp_path / "index.html").write_text(PAGE.format(base=base))
        (tmp_path / "assets" / "index-1a2b3c4d.js").write_text("1")
        (tmp_path / "favicon.ico").write_bytes(b"icon")
        (tmp_path.parent / "secret.txt").write_text("secret")
        return finwise04.App(tmp_path)

    return make


@pytest.fixture
def client_of(client):
    """A client of a site with this app in it."""

    def make(app):
        first, rest = app.urlpatterns(tenants.finwise04.urlpatterns)
        module = type("Urls", (), {"urlpatterns": [*first, *urls.urlpatterns, *rest]})
        overriding = override_settings(ROOT_URLCONF=module, FINWISE04_ENABLED=True)
        overriding.enable()
        made.append(overriding)
        return client

    made = []
    yield make
    for each in made:
        each.disable()


def test_the_app_lies_where_it_was_built_for(new_app, client_of):
    client = client_of(new_app())
    for address in ("/", "/dashboard", "/accounts-overview", "/budgets/2025/06"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert b"assets/index-1a2b3c4d.js" in answer.content
        assert answer["Cache-Control"] == "no-cache"
        assert answer["Content-Type"] == "text/html"
    script = client.get("/assets/index-1a2b3c4d.js")
    assert script.content == b"1"
    assert "javascript" in script["Content-Type"]
    assert "immutable" in script["Cache-Control"]
    assert client.get("/favicon.ico").content == b"icon"


def test_a_build_for_a_folder_leaves_our_own_app_in_its_place(new_app, client_of):
    app = new_app("/finwise04/")
    assert app.base == "/finwise04/"
    client = client_of(app)
    assert client.get("/finwise04/").status_code == 200
    assert client.get("/finwise04/dashboard").status_code == 200
    assert client.get("/finwise04/assets/index-1a2b3c4d.js").content == b"1"
    assert client.get("/dashboard").status_code == 404
    assert b"index-1a2b3c4d" not in client.get("/").content


@pytest.mark.parametrize("address", ["/login", "/register", "/users", "/tenants", "/tenants/"])
def test_its_pages_may_be_called_as_what_it_asks_for(new_app, client_of, address):
    client = client_of(new_app())
    visit = client.get(address, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert b"index-1a2b3c4d" in visit.content
    assert b"index-1a2b3c4d" not in client.get(address, headers={"accept": "*/*"}).content
    assert client.post(address, headers={"accept": "text/html"}).status_code == 403


def test_a_browser_is_told_apart_from_the_apps_page_on(new_app, client_of):
    client = client_of(new_app())
    name = settings.FINWISE04_BROWSER_COOKIE
    assert name not in client.get("/assets/index-1a2b3c4d.js").cookies
    cookie = client.get("/").cookies[name]
    assert (len(cookie.value), cookie["httponly"], cookie["samesite"]) == (32, True, "Lax")
    # What the app asks at once, side by side, finds it there.
    for address in ("/users", "/tenants", "/api/v1/websocket/health", "/", "/accounts"):
        assert name not in client.get(address).cookies


def test_our_service_worker_is_not_the_apps(new_app, client_of, tmp_path):
    client = client_of(new_app())
    assert client.get("/sw.js").status_code == 404
    (tmp_path / "sw.js").write_text("its own")
    assert client.get("/sw.js").content == b"its own"


def test_our_own_addresses_stay_ours(new_app, client_of):
    client = client_of(new_app())
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/api/v1/websocket/health").json() == {"status": "ok"}
    for address in ("/api/nothing", "/static/nothing.js", "/assets/nothing.js", "/admin/nothing"):
        assert b"index-1a2b3c4d" not in client.get(address).content


def test_nothing_outside_of_the_folder_is_served(new_app):
    app = new_app()
    request = RequestFactory().get("/")
    request.session = SessionStore()
    for name in ("../secret.txt", "assets/../../secret.txt", "/etc/passwd", "%2e%2e/secret.txt"):
        try:
            content = app.answer(request, name).content
        except finwise04.Http404:
            continue
        assert b"secret" not in content
        assert b"root:" not in content


def test_its_pages_may_load_only_from_here(new_app, client_of):
    policy = client_of(new_app()).get("/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self' ws://testserver:* wss://testserver:* https://api.iconify" in policy
    assert "style-src 'self' 'unsafe-inline';" in policy
    assert "font-src 'self' data:;" in policy


def test_fonts_come_from_where_its_page_links_to_and_programs_do_not(tmp_path, client_of):
    (tmp_path / "index.html").write_text(
        '<link href="https://fonts.googleapis.com/css2?family=Lobster" rel="stylesheet">'
        '<link rel="stylesheet" href="https://styles.example.org/a.css">'
        '<link rel="icon" href="https://icons.example.org/a.svg">'
        '<link rel="stylesheet" href="/assets/a.css"><script src="/assets/a.js"></script>'
    )
    policy = client_of(finwise04.App(tmp_path)).get("/")["Content-Security-Policy"]
    linked = "https://fonts.googleapis.com https://styles.example.org"
    assert f"style-src 'self' 'unsafe-inline' {linked};" in policy
    assert "font-src 'self' data: https://fonts.gstatic.com https://styles.example.org;" in policy
    assert "script-src 'self';" in policy
    assert "icons.example.org" not in policy


def test_of_inline_scripts_only_those_of_its_page_run(tmp_path, client_of):
    script = "document.documentElement.dataset.theme = 'dark'"
    (tmp_path / "index.html").write_text(f'<script>{script}</script><script src="/assets/a.js">')
    policy = client_of(finwise04.App(tmp_path)).get("/")["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy


def test_it_takes_no_writes(new_app, client_of):
    assert client_of(new_app()).post("/dashboard").status_code == 405


def test_a_folder_without_an_app_is_told_at_start(tmp_path):
    with pytest.raises(ImproperlyConfigured, match=r"FINWISE04_APP_DIR.*index\.html"):
        finwise04.App(tmp_path)
