"""Settings are safe by themselves, and refuse what is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finwise import configuration
from finwise.places import ROOT

SOUND_KEY = "b9cUqYz3_7hVtM2sKx0wPfR8dLnE5gJaQ1oWyTiHkZ6mXv4CrSuBpNjFeGlDAO-I"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"secret_key": ""}, "FINWISE_SECRET_KEY is missing or weak"),
        ({"old_secret_keys": [SOUND_KEY, "x"]}, "FINWISE_OLD_SECRET_KEYS holds a weak key"),
        ({"secret_key": "short"}, "FINWISE_SECRET_KEY is missing or weak"),
        ({"secret_key": "ab" * 40}, "FINWISE_SECRET_KEY is missing or weak"),
        ({"secret_key": f"django-insecure-{SOUND_KEY}"}, "FINWISE_SECRET_KEY is missing or weak"),
        ({"debug": True}, "FINWISE_DEBUG"),
        ({"hosts": []}, "FINWISE_HOSTS"),
        ({"hosts": ["finwise.example.org", "*"]}, "FINWISE_HOSTS"),
        ({"hosts": ["*.example.org"]}, "FINWISE_HOSTS"),
        ({"hosts": [".example.org"]}, "FINWISE_HOSTS"),
        ({"hosts": ["finwise.example.org", ""]}, "FINWISE_HOSTS"),
        ({"origins": ["https://*.example.org"]}, "FINWISE_ORIGINS"),
        ({"origins": ["http://finwise.example.org"]}, "FINWISE_ORIGINS"),
        ({"origins": ["https://finwise.example.org/"]}, "FINWISE_ORIGINS"),
        ({"origins": ["*"]}, "FINWISE_ORIGINS"),
        ({"database_url": "postgresql://me:postgres@db/books"}, "DATABASE_URL"),
        ({"database_url": "postgresql://me:Changeme@db/books"}, "DATABASE_URL"),
        ({"database_url": "postgresql://finwise:finwise@db/finwise"}, "DATABASE_URL"),
        ({"email_url": ""}, "FINWISE_EMAIL_URL is missing"),
        ({"way": "prodution"}, "has to be local or production"),
    ],
)
def test_an_unsafe_site_does_not_start(changed: dict, told: str) -> None:
    sound = {
        "way": "production",
        "debug": False,
        "secret_key": SOUND_KEY,
        "old_secret_keys": [SOUND_KEY[::-1]],
        "hosts": ["finwise.example.org"],
        "database_url": "postgresql://finwise:yF3-kq8_Zt@db.example.org/finwise",
        "origins": ["https://app.example.org", "https://app.example.org:8443"],
        "email_url": "smtp+tls://finwise:secret@mail.example.org:587",
    }
    arguments = {**sound, **changed}
    configuration.refuse_unsafe(**sound)
    with pytest.raises(configuration.Refusal, match=told):
        configuration.refuse_unsafe(arguments.pop("way"), **arguments)


def manage(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run manage.py with nothing in its environment but what is named."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def test_django_finds_nothing_to_warn_of_in_production() -> None:
    done = manage(
        "check", "--deploy", "--fail-level", "WARNING",
        FINWISE_ENV="production", FINWISE_SECRET_KEY=SOUND_KEY, FINWISE_HOSTS="finwise.example.org",
        FINWISE_EMAIL_URL="smtp+tls://finwise:secret@mail.example.org:587",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_refusal_is_a_sentence_and_not_a_traceback() -> None:
    done = manage("check", FINWISE_ENV="production")
    assert done.returncode == 1
    assert "FINWISE_SECRET_KEY is missing or weak" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_local_secret_key_is_random_private_and_stays(tmp_path: Path) -> None:
    one = configuration.local_secret_key(tmp_path / "one")
    assert len(one) > configuration.SECRET_KEY_MIN_CHARACTERS
    assert configuration.local_secret_key(tmp_path / "one") == one
    assert configuration.local_secret_key(tmp_path / "two") != one
    assert (tmp_path / "one" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in (tmp_path / "one").iterdir()] == ["secret_key"]


def test_a_unix_socket_lands_where_djangos_tools_look_for_it() -> None:
    found = configuration.database("postgresql://me:pa%3Ass@/books?host=%2FSome%2FFolder&port=5433")
    assert found["HOST"] == "/Some/Folder"
    assert str(found["PORT"]) == "5433"
    assert found["PASSWORD"] == "pa:ss"
    assert found["NAME"] == "books"
    assert set(found["OPTIONS"]) == {"options", "connect_timeout"}


def test_connections_give_up_locks_and_forgotten_transactions() -> None:
    options = configuration.database("postgresql://me@db.example/books")["OPTIONS"]["options"]
    assert "lock_timeout=3000" in options
    assert "idle_in_transaction_session_timeout=30000" in options


def test_only_serving_keeps_connections() -> None:
    target = configuration.database("postgresql://me@db.example/books")
    assert "pool" not in target["OPTIONS"]
    configuration.keep_connections(target)
    assert target["OPTIONS"]["pool"]["max_size"] == 12


def test_without_redis_one_process_talks_to_itself() -> None:
    assert "InMemory" in configuration.channel_layers("")["default"]["BACKEND"]
    layer = configuration.channel_layers("redis://127.0.0.1:6379/1")["default"]
    assert layer["BACKEND"] == "channels_redis.pubsub.RedisPubSubChannelLayer"
    assert layer["CONFIG"]["hosts"] == ["redis://127.0.0.1:6379/1"]
