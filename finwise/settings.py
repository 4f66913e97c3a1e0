"""Settings for every way of running FinWise. What differs comes from the environment.

FINWISE_ENV chooses between two ways, both safe by themselves:

local       (the default) one person's machine: `script/server`, commands, tests. The secret key is
            random and lies in the state directory, only this machine's names are answered, and
            nothing is shown to visitors when something fails, unless FINWISE_DEBUG=1.
production  a real site: refuses to start until secret key, host names and the way of its mail are
            given and sound, and speaks only over TLS.
"""

from pathlib import Path
from typing import Any

import environ

from finwise import places
from finwise.configuration import (
    admin_look,
    caches,
    channel_layers,
    database,
    local_secret_key,
    logging_for,
    refuse_unsafe,
)
from finwise.webapp.keeping import keep_for_ever

ROOT = places.ROOT
STATE_DIR: Path = places.state_dir()
env = environ.Env()

# --- Which way of running -----------------------------------------------------------------

FINWISE_ENV = env.str("FINWISE_ENV", "local")
IS_PRODUCTION = FINWISE_ENV == "production"
DEBUG = env.bool("FINWISE_DEBUG", False)
SECRET_KEY = env.str("FINWISE_SECRET_KEY", "")
# Still good for reading: with them, a new key signs nobody out and loses no second factor.
SECRET_KEY_FALLBACKS: list[str] = env.list("FINWISE_OLD_SECRET_KEYS", default=[])
ALLOWED_HOSTS: list[str] = env.list("FINWISE_HOSTS", default=[])
# Pages of these origins may post forms and open sockets too, besides the site's own.
CSRF_TRUSTED_ORIGINS: list[str] = env.list("FINWISE_ORIGINS", default=[])
# Pages of these may be the FinWise 0.4 app (below), such as a development server's.
FINWISE04_ORIGINS: list[str] = env.list("FINWISE04_ORIGINS", default=[])
refuse_unsafe(
    FINWISE_ENV,
    debug=DEBUG,
    secret_key=SECRET_KEY,
    old_secret_keys=SECRET_KEY_FALLBACKS,
    hosts=ALLOWED_HOSTS,
    origins=[*CSRF_TRUSTED_ORIGINS, *FINWISE04_ORIGINS],
    database_url=env.str("DATABASE_URL", ""),
    email_url=env.str("FINWISE_EMAIL_URL", ""),
)
if not IS_PRODUCTION:
    SECRET_KEY = SECRET_KEY or local_secret_key(STATE_DIR)
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, "127.0.0.1", "localhost", "[::1]"]

# --- Applications -------------------------------------------------------------------------

SHARED_APPS = [
    # An app's commands win over those of the same name in the apps below it.
    "daphne",  # runserver with sockets
    "finwise",
    "tenants",  # create_tenant, delete_tenant, migrate
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_tenants",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "unfold.apps.BasicAppConfig",  # the admin's look; its templates come before Django's
    "finwise.operators.OperatorAdminConfig",
    "channels",
]
# Their tables, functions and triggers lie in each household's schema and nowhere else.
TENANT_APPS = ["syncapp", "accounts"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]

ROOT_URLCONF = "finwise.urls"
ASGI_APPLICATION = "finwise.asgi.application"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "finwise.security.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants.sessions.NoteOfUse",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Data ---------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {"default": database(env.str("DATABASE_URL", ""))}
# For whom DATABASE_URL leads through a pool that hands sessions around.
LISTEN_URL = env.str("FINWISE_LISTEN_URL", "")
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
# A connection whose search path is right is not told again. tenants/context.py relies on it.
TENANT_LIMIT_SET_CALLS = True
# Households that a person may have made by devices; the operator is not limited.
TENANT_CREATIONS_PER_DAY = env.int("FINWISE_HOUSEHOLDS_PER_DAY", 20)
TENANT_NEEDS_VERIFIED_EMAIL = IS_PRODUCTION

CHANNEL_LAYERS = channel_layers(env.str("REDIS_URL", ""))
# What counts attempts: with Redis for all processes together. Nothing of a household is in it.
CACHES = caches(env.str("REDIS_URL", ""))

# --- E-mail -------------------------------------------------------------------------------

# Such as smtp+tls://user:password@mail.example.org:587. Without it, mail is written to the log,
# which production refuses unless it is asked for.
EMAIL_CONFIG = env.email_url("FINWISE_EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("FINWISE_EMAIL_FROM", "FinWise <finwise@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 10

# --- People -------------------------------------------------------------------------------

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "tenants.hashers.ImportedBcrypt",  # until the first sign-in
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Sign-in, second factors and the list of sessions are django-allauth's; see tenants/front_door.py.
ACCOUNT_ADAPTER = "tenants.front_door.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "tenants.forms.SignUpForm"
# Whether strangers may make an account. Invited people may in any case.
ACCOUNT_IS_OPEN = env.bool("FINWISE_SIGN_UP", True)
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if IS_PRODUCTION else "optional"
# Only in the browser in which somebody has just signed up.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_CHANGE_EMAIL = True  # one address, and a new one counts once it is confirmed
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of a changed password, address or second factor
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_PRODUCTION else "http"
MFA_ADAPTER = "tenants.front_door.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {"add_webauthn": "tenants.passkeys.AddPasskeyForm"}
MFA_TOTP_TOLERANCE = 1  # a phone may be half a minute off
# Without TLS browsers offer passkeys at http://localhost only, not at http://127.0.0.1.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_PRODUCTION
USERSESSIONS_TRACK_ACTIVITY = True
SESSION_ENGINE = "tenants.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
DEVICES_COOKIE_NAME = "finwise_devices"  # tenants/known_devices.py

# --- Browsers -----------------------------------------------------------------------------

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Whether X-Forwarded-* can be believed: a proxy of the operator's sets them, and nobody else can.
IS_BEHIND_PROXY = env.bool("FINWISE_BEHIND_PROXY", False)
# Whose address counts for limits: the last one in X-Forwarded-For, and never what a visitor
# wrote there; without a proxy, the other end of the connection.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if IS_BEHIND_PROXY else 0
if IS_PRODUCTION:
    # The prefix makes browsers refuse a cookie that a neighbouring site tries to set.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    DEVICES_COOKIE_NAME = "__Host-devices"
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = env.bool("FINWISE_REDIRECT_TO_TLS", True)
    SECURE_REDIRECT_EXEMPT = ["^health/"]  # asked from inside, where there is no TLS
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if IS_BEHIND_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- FinWise 0.4 ---------------------------------------------------------------------------

# Whether the FinWise 0.4 app may sign in and sync here; see docs/finwise04.md.
FINWISE04_ENABLED = env.bool("FINWISE04_ENABLED", False)
# Tells browsers apart, longer than a session lasts; see tenants/browsers.py.
FINWISE04_BROWSER_COOKIE = ("__Host-" if IS_PRODUCTION else "") + "finwise04_browser"
# The folder of a built app that is to be served here. Empty: none.
FINWISE04_APP_DIR = env.str("FINWISE04_APP_DIR", "")

# --- The admin ----------------------------------------------------------------------------

UNFOLD = admin_look()
UNFOLD_HOUSEHOLD = admin_look(is_household=True)

# --- Languages, files, log ----------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("de", "Deutsch"), ("en", "English")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = ROOT / "staticfiles"
# What finwise/webapp/build.py has built; their names hold a digest of their content.
BUILT_FILES = ROOT / "frontend" / "dist" / "app"
STATICFILES_DIRS = [("app", BUILT_FILES)] if BUILT_FILES.is_dir() else []
SERVESTATIC_ADD_HEADERS_FUNCTION = keep_for_ever
# Without a collectstatic the files are served from where they lie, and as they lie there now:
# the app may be built anew meanwhile.
SERVESTATIC_USE_FINDERS = not IS_PRODUCTION
SERVESTATIC_AUTOREFRESH = not IS_PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

LOGGING_CONFIG = None  # structlog's own set-up, done here so that every entry point has it
# Prometheus asks here; 0: nobody does. Never at an address that visitors reach.
METRICS_PORT = env.int("FINWISE_METRICS_PORT", 0)
METRICS_HOST = env.str("FINWISE_METRICS_HOST", "127.0.0.1")
LOG_LEVEL = env.str("FINWISE_LOG_LEVEL", "INFO")
logging_for(LOG_LEVEL, as_json=IS_PRODUCTION)
