"""The browser's app: how it is served, and when it is built anew."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from finwise.problem import Problem
from finwise.webapp import build, check, node, views
from finwise.webapp.keeping import keep_for_ever


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build as small as can be, being served."""
    (tmp_path / "app").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>FinWise</title>")
    (tmp_path / "sw.js").write_text("self.addEventListener('fetch', () => {})")
    (tmp_path / "manifest.webmanifest").write_text("{}")
    monkeypatch.setattr(views, "DIST", tmp_path)
    return tmp_path


def test_the_shell_is_the_same_for_everybody_and_holds_nothing_inline(
    client: Client, dist: Path
) -> None:
    answer = client.get("/")
    assert answer.content == (dist / "index.html").read_bytes()
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy and "nonce" not in policy
    assert "connect-src 'self' ws://testserver wss://testserver" in policy
    assert "worker-src 'self'" in policy and "manifest-src 'self'" in policy


@pytest.mark.parametrize("path", ["/", "/sw.js", "/manifest.webmanifest"])
def test_the_root_is_always_asked_again_and_answers_unchanged(
    client: Client, dist: Path, path: str
) -> None:
    answer = client.get(path)
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_worker_and_a_manifest_are_served_as_what_they_are(client: Client, dist: Path) -> None:
    assert client.get("/sw.js").headers["Content-Type"].startswith("text/javascript")
    assert client.get("/manifest.webmanifest").headers["Content-Type"] == (
        "application/manifest+json"
    )


def test_an_app_that_is_not_built_is_told_with_what_to_do(client: Client, dist: Path) -> None:
    (dist / "index.html").unlink()
    answer = client.get("/", headers={"accept-language": "de"})
    assert answer.status_code == 503
    assert "Die App ist nicht gebaut" in answer.text
    assert "script/server" in answer.text


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/static/app/index-DN9_6IGC.js", "max-age=31536000, public, immutable"),
        ("/static/app/index-a-b_c-d3.css", "max-age=31536000, public, immutable"),
        ("/static/finwise/icon.svg", "max-age=60"),
        ("/static/finwise/style-of-pages.css", "max-age=60"),
    ],
)
def test_files_named_by_their_content_are_kept_for_ever(url: str, kept: str) -> None:
    headers = {"Cache-Control": "max-age=60"}
    keep_for_ever(headers, "", url)
    assert headers["Cache-Control"] == kept


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A front end of three files, built."""
    for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts"):
        (tmp_path / name).write_text(name)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text("start()")
    monkeypatch.setattr(build, "FRONTEND", tmp_path)
    monkeypatch.setattr(build, "DIST", tmp_path / "dist")
    monkeypatch.setattr(build, "LOCK_FILE", tmp_path / "package-lock.json")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / build.DIGEST).write_text(build.digest())
    return tmp_path


def test_what_is_built_from_the_same_sources_is_left_alone(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[str] = []
    monkeypatch.setattr(build, "build", lambda: builds.append("built"))
    build.ensure()
    assert builds == []
    (sources / "src" / "main.ts").write_text("start(again)")
    build.ensure()
    assert builds == ["built"]


@pytest.mark.parametrize("change", ["text", "name", "new"])
def test_any_change_of_a_source_asks_for_a_build(sources: Path, change: str) -> None:
    main = sources / "src" / "main.ts"
    if change == "text":
        main.write_text("start();")
    elif change == "name":
        main.rename(main.with_name("other.ts"))
    else:
        main.with_name("App.vue").touch()
    assert not build.is_current()


def test_a_test_is_no_source(sources: Path) -> None:
    (sources / "src" / "main.test.ts").write_text("expect()")
    assert build.is_current()


def test_a_failed_build_keeps_the_last_one_and_says_why(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (sources / "dist" / "index.html").write_text("the last one")
    (sources / "src" / "main.ts").write_text("changed")
    npm = (sys.executable, "-c", "import sys; print('npm error code EAI_AGAIN'); sys.exit(1)")
    monkeypatch.setattr(node, "find_or_install", lambda: node.Node(sources, npm))
    assert build.main([]) == 1
    said = capsys.readouterr().err
    assert "the package registry cannot be reached" in said
    assert "The app of the last build is served instead." in said
    assert (sources / "dist" / "index.html").read_text() == "the last one"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("npm error code ENOSPC", "the disk is full"),
        ("npm error code EACCES", "may not write"),
        ("npm error code EINTEGRITY", "not the one that was pinned"),
        ("Could not resolve ./nothing", "Could not resolve ./nothing"),
        ("", "nothing about the reason"),
    ],
)
def test_what_npm_says_becomes_a_sentence(said: str, told: str) -> None:
    assert told in build.sentence_for(said)


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [("v20.18.9", False), ("v20.19.0", True), ("v24.0.1", True), ("v8.1.0", False), ("?", False)],
)
def test_a_node_that_is_too_old_is_not_used(tmp_path: Path, version: str, is_enough: bool) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    assert node.is_new_enough(str(program)) is is_enough


def test_no_node_at_all_and_no_way_to_install_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "find", lambda: None)
    monkeypatch.setattr(node, "of_wheel", lambda: None)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(node.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(Problem, match=r"no Node\.js of version 20\.19 or newer"):
        node.find_or_install()


def test_a_first_visit_loads_what_the_shell_names_and_one_language(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    for name, size in {"index-a": 10, "de-b": 7, "en-c": 5, "SyncPanel-d": 90}.items():
        # Bytes without a pattern stay as many when they are packed.
        parts = (hashlib.sha256(f"{name}{n}".encode()).digest() for n in range(size * 32))
        (tmp_path / "app" / f"{name}.js").write_bytes(b"".join(parts))
    (tmp_path / "index.html").write_text('<script src="/static/app/index-a.js"></script>')
    assert 16.9 < check.first_load_kib(tmp_path) < 17.2
