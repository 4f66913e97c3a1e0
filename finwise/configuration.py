"""The decisions behind settings.py, as functions that can be tested without Django."""

import logging.config
import os
import re
import secrets
from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from finwise.masking import mask_line
from finwise.problem import Problem
from finwise.tracebacks import print_without_values, text_without_values

SECRET_KEY_MIN_CHARACTERS = 50
SECRET_KEY_MIN_DIFFERENT = 10
# What examples and images of PostgreSQL come with.
KNOWN_WORDS = ("postgres", "password", "passwort", "secret", "changeme", "admin", "example", "test")
ORIGIN = re.compile(r"https://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", re.ASCII)

# One database thread per worker of tenants/context.py, plus those of pages and the admin.
POOL_SIZE = 8 + 4
LOCK_TIMEOUT_MS = 3_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 30_000


class Refusal(Problem, ImproperlyConfigured):
    """The environment asks for something unsafe or impossible."""


def is_weak(secret_key: str) -> bool:
    return (
        len(secret_key) < SECRET_KEY_MIN_CHARACTERS
        or len(set(secret_key)) < SECRET_KEY_MIN_DIFFERENT
        or secret_key.startswith("django-insecure-")
    )


def refuse_unsafe(
    way: str,
    *,
    debug: bool,
    secret_key: str,
    old_secret_keys: list[str],
    hosts: list[str],
    origins: list[str],
    database_url: str,
    email_url: str,
) -> None:
    """Raise Refusal, with what to do, if a site would start unsafely."""
    if way not in ("local", "production"):
        raise Refusal(f"FINWISE_ENV is {way!r}; it has to be local or production.")
    if way == "local":
        return
    if debug:
        raise Refusal(
            "FINWISE_DEBUG shows visitors the inside of the site. Leave it out in production."
        )
    if is_weak(secret_key):
        raise Refusal(
            "FINWISE_SECRET_KEY is missing or weak. Make one with\n"
            "  python3 -c 'import secrets; print(secrets.token_urlsafe(64))'\n"
            "and keep it: with another one, everybody is signed out."
        )
    if any(is_weak(old) for old in old_secret_keys):
        raise Refusal(
            "FINWISE_OLD_SECRET_KEYS holds a weak key. What is signed with it is believed, so "
            "leave it out: whoever signed in while it was in use signs in again."
        )
    target = environ.Env.db_url_config(database_url) if database_url else {}
    if target.get("PASSWORD") and target["PASSWORD"].lower() in (*KNOWN_WORDS, target.get("USER")):
        raise Refusal(
            "The password in DATABASE_URL is one that everybody knows. Give the role another one."
        )
    if not email_url:
        raise Refusal(
            "FINWISE_EMAIL_URL is missing, such as smtp+tls://user:password@mail.example.org:587. "
            "Without it every mail would be written to the log, with the links that open "
            "accounts and households. If that is what you want, say so: "
            "FINWISE_EMAIL_URL=consolemail://"
        )
    # Django takes ".example.org" for every name below it, whoever has that.
    if not hosts or any("*" in host or host.startswith(".") or not host for host in hosts):
        raise Refusal(
            "FINWISE_HOSTS has to name the site's hosts, such as finwise.example.org, one by one, "
            "separated by commas, and no pattern."
        )
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise Refusal(
                f"FINWISE_ORIGINS or FINWISE04_ORIGINS holds {origin!r}. An origin is written like "
                "https://finwise.example.org, without a path and without a pattern."
            )


def local_secret_key(state_dir: Path) -> str:
    """Return this state directory's secret key; makes a random one at first need."""
    path = state_dir / "secret_key"
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    except PermissionError as error:
        raise Refusal(
            f"{path} belongs to another user. Run this as that user, or choose another folder: "
            "FINWISE_STATE_DIR=/some/folder"
        ) from error
    state_dir.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"secret_key.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(64))
    try:
        os.link(unfinished, path)  # fails if another process was first; then its key holds
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
    return path.read_text()


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for the database that `url` names.

    An empty url leaves a database that cannot be reached: manage.py and script/server fill in the
    embedded PostgreSQL, and what needs no database does not start one.
    """
    found = environ.Env.db_url_config(url or "postgresql://finwise@127.0.0.1:1/finwise")
    options = dict(found.get("OPTIONS", {}))
    # postgresql://user:word@/name?host=/folder is how a Unix socket is written. Django's own
    # tools, and whoever starts pg_dump, look for it in HOST and PORT.
    host = options.pop("host", found.get("HOST", ""))
    port = options.pop("port", found.get("PORT", ""))
    options["options"] = " ".join(
        part
        for part in (
            str(options.get("options", "")),
            f"-c lock_timeout={LOCK_TIMEOUT_MS}",
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}",
        )
        if part
    )
    options.setdefault("connect_timeout", 5)
    return {
        **found,
        "ENGINE": "django_tenants.postgresql_backend",
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
        "CONN_MAX_AGE": 0,
    }


def keep_connections(target: dict[str, Any]) -> None:
    """Make `target`, Django's settings of one database, keep its connections in a pool.

    For processes that serve, before they open the first connection. Commands do without: a pool
    has threads, and they fork.
    """
    # Short: with the pool's own times, the first success after a restart of PostgreSQL took 8 s,
    # and callers waited 10 s for their "try again"; with these it takes 1 s and 3 s.
    times = {"timeout": 3, "reconnect_timeout": 2}
    target["OPTIONS"]["pool"] = {"min_size": 2, "max_size": POOL_SIZE, **times}
    # A connection that PostgreSQL closed meanwhile is replaced before it is used.
    target["CONN_HEALTH_CHECKS"] = True


def channel_layers(redis_url: str) -> dict[str, dict[str, Any]]:
    """Without Redis one process talks to itself; with it, all processes hear each other."""
    if not redis_url:
        return {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # The pub/sub layer: comes back by itself when Redis does, and never fills up.
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url], "prefix": "finwise"},
        }
    }


def caches(redis_url: str) -> dict[str, dict[str, Any]]:
    """Without Redis one process counts for itself; with it, all processes count together."""
    if not redis_url:
        return {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    return {
        "default": {
            "BACKEND": "finwise.cache.ForgivingRedisCache",
            "LOCATION": redis_url,
            "KEY_PREFIX": "finwise",
            "OPTIONS": {
                # Never pickle: who can write to Redis could then run code here.
                "serializer": "finwise.cache.JsonSerializer",
                "socket_connect_timeout": 1,
                "socket_timeout": 1,
            },
        }
    }


def logging_for(level: str, *, as_json: bool) -> None:
    """Set up logging for the process: lines for people, or JSON for machines.

    What is logged are events and identifiers, never the fields of a row: amounts and names have
    no place in a log. Keys that got into an address are masked.
    """
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        stamp,
    ]
    if as_json:
        ending = [
            structlog.processors.ExceptionRenderer(text_without_values),
            structlog.processors.JSONRenderer(),
        ]
    else:
        ending = [
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=print_without_values)
        ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        *ending,
                        mask_line,
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # One line per request is noise beside the sync traffic.
                "uvicorn.access": {"level": "WARNING"},
                "uvicorn.error": {"level": "WARNING"},
                "daphne.http_protocol": {"level": "WARNING"},
                "asyncio": {"level": "WARNING"},
                # At DEBUG these write down every frame and every message of the layer.
                "websockets": {"level": "INFO"},
                "fido2": {"level": "WARNING"},  # would note each passkey that signs in
                "channels_redis": {"level": "INFO"},
                # Robots try every name; they get their 400 without a traceback in our log.
                "django.security.DisallowedHost": {"level": "CRITICAL"},
                "psycopg.pool": {"level": "ERROR"},
                # A traceback each second while Redis is away; syncapp.relay says it once.
                "channels_redis.pubsub": {"level": "CRITICAL"},
            },
        }
    )


def admin_look(*, is_household: bool = False) -> dict[str, Any]:
    """How unfold shows the admin: our name, icon and colours, and the way around.

    is_household: for the admin of one household's rows.
    """
    return {
        "SITE_TITLE": "FinWise",
        "SITE_HEADER": "FinWise",
        "SITE_SUBHEADER": _("Looking after households"),
        "SITE_ICON": _icon,
        "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _icon}],
        "SHOW_HISTORY": False,
        "SHOW_BACK_BUTTON": True,
        "BORDER_RADIUS": "8px",
        "STYLES": [lambda request: static("syncapp/admin.css")],
        "COLORS": {"primary": _TEAL},
        "SIDEBAR": {
            "show_search": False,
            "show_all_applications": False,
            "navigation": _INSIDE if is_household else _NAVIGATION,
        },
    }


def _icon(request: Any) -> str:
    return static("finwise/icon.svg")


def _page(title: Any, icon: str, name: str, permission: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "permission": lambda request: request.user.has_perm(permission),
    }


_NAVIGATION: list[dict[str, Any]] = [
    {
        "items": [
            _page(
                _("Households"), "home", "admin:tenants_tenant_changelist", "tenants.view_tenant"
            ),
            _page(_("People"), "person", "admin:tenants_user_changelist", "tenants.view_user"),
            _page(
                _("Memberships"),
                "group",
                "admin:tenants_membership_changelist",
                "tenants.view_membership",
            ),
            _page(_("Tokens"), "key", "admin:tenants_token_changelist", "tenants.view_token"),
            _page(
                _("Audit"),
                "history",
                "admin:tenants_auditentry_changelist",
                "tenants.view_auditentry",
            ),
            {
                "title": _("Status page"),
                "icon": "monitor_heart",
                "link": reverse_lazy("sync-households"),
            },
        ]
    }
]

# Of one household: written while its address is the prefix, see syncapp/admin/site.py.
_INSIDE: list[dict[str, Any]] = [
    {
        "items": [
            _page(
                _("Accounts"),
                "account_balance",
                "admin:accounts_account_changelist",
                "accounts.view_account",
            ),
            _page(
                _("Account groups"),
                "folder",
                "admin:accounts_accountgroup_changelist",
                "accounts.view_accountgroup",
            ),
        ]
    }
]

_TEAL = {
    "50": "oklch(98.4% .014 180.72)",
    "100": "oklch(95.3% .051 180.801)",
    "200": "oklch(91% .096 180.426)",
    "300": "oklch(85.5% .138 181.071)",
    "400": "oklch(77.7% .152 181.912)",
    "500": "oklch(70.4% .14 182.503)",
    "600": "oklch(54% .106 184.704)",
    "700": "oklch(48% .09 186.391)",
    "800": "oklch(43.7% .078 188.216)",
    "900": "oklch(38.6% .063 188.416)",
    "950": "oklch(27.7% .046 192.524)",
}
