"""What the FinWise 0.4 app asks for over HTTP: people and households, as JSON.

The app carries no CSRF token and no credential of its own. So whatever writes is taken only
from a page of ours, as `application/json`, and who asks is whoever our session says.

What its person may read is said in German, as the app is.
"""

from __future__ import annotations

import functools
import json
import logging
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.email_verification import send_verification_email_for_user
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import csrf_exempt

from syncapp.core.errors import CreationLimit, EmailUnverified, NotYours, SyncError
from tenants.browsers import remember_browser
from tenants.hashers import imported
from tenants.models import Membership, Tenant, User
from tenants.origins import is_ours
from tenants.provisioning import NAME_MAX_CHARACTERS, provision

BODY_MAX_BYTES = 64 * 1024
PASSWORD_MAX_CHARACTERS = 1024
NAMELESS = "Haushalt"
NAMESAKES_MAX = 5  # whose passwords are tried, when somebody signs in by name
BORN_HERE = "finwise04_born_here"  # in the session: fingerprints, by person
BORN_HERE_MAX = 20
# They hold emoji and some scripts together. Other characters without a shape only deceive.
_JOINERS = "\u200c\u200d"
_SHAPELESS = {"Cc", "Cf", "Co", "Cs"}
_TOO_OFTEN = "Zu viele Versuche. Bitte warte ein wenig."

log = logging.getLogger(__name__)
View = Callable[..., HttpResponse]


class Problem(Exception):
    """What the app is answered instead, with a status and a sentence."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)


def endpoint(**views: View) -> View:
    """One address: a view for each method, behind everything that they have in common."""

    @csrf_exempt  # instead: `_checked`
    @functools.wraps(next(iter(views.values())))
    def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            response = _checked(request, views)(request, **arguments)
        except Problem as problem:
            response = JsonResponse(_told(problem), status=problem.status)
        return _finished(request, response, views)

    return answer


def _told(problem: Problem) -> dict[str, str]:
    """As the app's own server says it, and as the app shows it, which reads only `message`.

    Where there is none it says "API request failed with status 401" to itself, and what it then
    does about a wrong password may hang on that.
    """
    told = {"detail": problem.detail}
    if problem.status != 401:
        told["message"] = f"{problem.detail} (API request failed with status {problem.status})"
    return told


def _checked(request: HttpRequest, views: dict[str, View]) -> View:
    """The view for this request. Raises Problem for one that may not come in."""
    if not settings.FINWISE04_ENABLED:
        raise Problem(404, "Not Found")
    origin = request.headers.get("Origin")
    own = f"{request.scheme}://{request.get_host()}"
    allowed = (*settings.CSRF_TRUSTED_ORIGINS, *settings.FINWISE04_ORIGINS)
    if origin is not None and not is_ours(origin, allowed, own):
        raise Problem(403, "This page may not ask.")
    if request.method == "OPTIONS":
        return lambda request, **arguments: HttpResponse(status=204)
    view = views.get(request.method or "")
    if view is None:
        raise Problem(405, "Method Not Allowed")
    if request.method != "GET":
        # Browsers name the origin of every such request; without it this is no page of ours.
        if origin is None:
            raise Problem(403, "This page may not ask.")
        if request.content_type != "application/json":
            raise Problem(415, "Send application/json.")
    return view


def _finished(request: HttpRequest, response: HttpResponse, views: dict[str, View]) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    origin = request.headers.get("Origin", "")
    if is_ours(origin, settings.FINWISE04_ORIGINS, None):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = ", ".join(sorted(views))
        response["Access-Control-Allow-Headers"] = "content-type"
        response["Vary"] = "Origin"
    if settings.FINWISE04_ENABLED:
        remember_browser(request, response)
    return response


# --- people ----------------------------------------------------------------------------


def list_people(request: HttpRequest) -> HttpResponse:
    """Who is signed in, and nobody else. The app asks before anybody is."""
    if not request.user.is_authenticated:
        return JsonResponse([], safe=False)
    # The app cannot tell that a session has run out: each start renews it.
    request.session.modified = True
    return JsonResponse([_person(request.user)], safe=False)


def register(request: HttpRequest) -> HttpResponse:
    """Sign up with a password.

    Its strength is not judged: the app takes any refusal for "offline", keeps the person to
    itself, and comes back with a hash, of which nobody can tell.
    """
    body = _body(request)
    password = body.get("password")
    if not isinstance(password, str) or not 0 < len(password) <= PASSWORD_MAX_CHARACTERS:
        raise Problem(422, "A password is needed.")
    person = User(email=_email(body), display_name=_name(body))
    person.set_password(password)
    _sign_up(request, person)
    _sign_in(request, person, "password")
    return JsonResponse(_person(person), status=201)


def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in with an e-mail address, or a name that is nobody else's, and a password."""
    body = _body(request)
    who, password = body.get("username_or_email"), body.get("password")
    if not isinstance(who, str) or not isinstance(password, str):
        raise Problem(422, "username_or_email and password are needed.")
    if len(who) > 254 or len(password) > PASSWORD_MAX_CHARACTERS or "\x00" in who:
        raise Problem(401, "Invalid credentials")
    _limit(request, "login")
    found = [
        person
        for email in _addresses_of(who.strip())
        if (person := _authenticated(request, email, password)) is not None
    ]
    # A second factor cannot be asked for here; /accounts/login/ does, for the same browser.
    if len(found) != 1 or not found[0].is_active or is_mfa_enabled(found[0]):
        raise Problem(401, "Invalid credentials")
    _sign_in(request, found[0], "password")
    return JsonResponse(_person(found[0]))


def put_person(request: HttpRequest) -> HttpResponse:
    """Sign up somebody who was born offline, once; later, change oneself."""
    body = _body(request)
    person_id = _uuid(body.get("uuid"))
    person = User.objects.filter(pk=person_id).first()
    if person is not None:
        return _change(request, person, body)
    password = imported(body.get("hashed_password"))
    if password is None:
        raise Problem(422, "hashed_password is a bcrypt hash of cost 4 to 12.")
    person = User(pk=person_id, email=_email(body), display_name=_name(body), password=password)
    # In use from now on, whether or not it is they who are signed in: so the keys that came from
    # here are void when somebody else proves that the address is theirs.
    person.last_login = timezone.now()
    _sign_up(request, person)
    if not request.user.is_authenticated:
        _sign_in(request, person, "sign_up")
    _note_born_here(request, person)
    return JsonResponse(_person(person))


def change_person(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Change oneself; somebody else answers as nobody does."""
    person = User.objects.filter(pk=person_id).first()
    if request.user.is_authenticated and not (person and _is_here(request, person)):
        raise Problem(404, "User not found")
    return _change(request, person, _body(request))


def _change(request: HttpRequest, person: User | None, body: dict[str, Any]) -> HttpResponse:
    if not request.user.is_authenticated:
        raise Problem(401, "Sign in first.")
    if person is None or not _is_here(request, person):
        raise Problem(403, "This is somebody else.")
    if _email(body) != person.email:
        raise Problem(400, "Deine E-Mail-Adresse änderst du unter /accounts/email/.")
    person.display_name = _name(body)
    person.save(update_fields=["display_name"])
    return JsonResponse(_person(person))


def _is_here(request: HttpRequest, person: User) -> bool:
    """Whether this person is signed in, or was born in this browser."""
    return person.pk == request.user.pk or _is_born_here(request, person)


def _sign_up(request: HttpRequest, person: User) -> None:
    """Store a new person, and ask whether the address is theirs."""
    adapter = get_adapter(request)
    # An invitation opens the door for the address that it was sent to.
    if not (settings.ACCOUNT_IS_OPEN or adapter.is_email_verified(request, person.email)):
        raise Problem(403, "Hier kann sich niemand selbst anmelden. Bitte um eine Einladung.")
    _limit(request, "signup")
    try:
        with transaction.atomic():
            person.save(force_insert=True)
            EmailAddress.objects.create(user=person, email=person.email, primary=True)
    except IntegrityError:
        raise Problem(400, "Diese E-Mail-Adresse ist schon vergeben.") from None
    try:
        send_verification_email_for_user(request, person)
    except OSError:  # the mail can be asked for again; a refusal would be taken for "offline"
        log.warning("a confirmation could not be sent", exc_info=True)


def _sign_in(request: HttpRequest, person: User, method: str) -> None:
    born_here = request.session.get(BORN_HERE)
    get_adapter(request).login(request, person)
    record_authentication(request, person, method=method, email=person.email)
    if born_here:  # another's session was emptied
        request.session[BORN_HERE] = born_here


def _note_born_here(request: HttpRequest, person: User) -> None:
    """Several may have been born offline in one browser, and the app signs none of them in."""
    noted = [*request.session.get(BORN_HERE, {}).items()]
    noted.append((str(person.pk), person.get_session_auth_hash()))
    request.session[BORN_HERE] = dict(noted[-BORN_HERE_MAX:])


def _is_born_here(request: HttpRequest, person: User) -> bool:
    """Whether this very browser has signed them up, and nobody has taken the account since."""
    noted = request.session.get(BORN_HERE, {}).get(str(person.pk), "")
    return person.is_active and constant_time_compare(noted, person.get_session_auth_hash())


def _authenticated(request: HttpRequest, email: str, password: str) -> User | None:
    try:
        return get_adapter(request).authenticate(request, email=email, password=password)
    except ValidationError:  # too many attempts
        raise Problem(429, _TOO_OFTEN) from None


def _addresses_of(who: str) -> list[str]:
    if "@" in who or not who:
        return [who]
    name = _plain(who, len(who))  # as it was kept
    namesakes = User.objects.filter(display_name__iexact=name, is_active=True)
    addresses = list(namesakes.values_list("email", flat=True)[: NAMESAKES_MAX + 1])
    # Nobody: as slow as somebody.
    return addresses if 0 < len(addresses) <= NAMESAKES_MAX else [who]


def _person(person: Any) -> dict[str, str]:
    born = _iso(person.created_at)
    return {
        "uuid": str(person.pk),
        "name": person.display_name or person.email,
        "email": person.email,
        "createdAt": born,
        "updatedAt": born,
    }


# --- households ------------------------------------------------------------------------


def list_households(request: HttpRequest) -> HttpResponse:
    """The households of whoever is signed in; `user_id` has to be theirs."""
    person = _who(request, request.GET.get("user_id", ""))
    found = (
        Membership.objects.filter(user=person)
        .exclude(tenant__status=Tenant.Status.DELETED)
        .select_related("tenant")
        .order_by("created_at", "tenant_id")
    )
    return JsonResponse([_household(each.tenant, person) for each in found], safe=False)


def announce_household(request: HttpRequest) -> HttpResponse:
    """Make a household that was born on a device; any number of times the same one."""
    body = _body(request)
    person = _who(request, body.get("user_id"))
    if not isinstance(body.get("name"), str):
        raise Problem(422, "A household has a name.")
    name = _plain(body["name"], NAME_MAX_CHARACTERS) or NAMELESS
    try:
        tenant = provision(_uuid(body.get("uuid")), name, person.pk)
    except NotYours as error:
        raise Problem(404, error.message) from None
    except EmailUnverified:
        raise Problem(403, "Bitte bestätige zuerst deine E-Mail-Adresse.") from None
    except CreationLimit:
        raise Problem(429, "Für heute sind es zu viele neue Haushalte.") from None
    except SyncError as error:
        raise Problem(503, error.message) from None
    return JsonResponse(_household(tenant, person))


def _who(request: HttpRequest, user_id: Any) -> User:
    """Who is signed in, if it is they whom the app means.

    Of several people who were born in this browser, the app means one after the other.
    """
    if not request.user.is_authenticated:
        raise Problem(401, "Sign in first.")
    person_id = _uuid(user_id)
    if person_id == request.user.pk:
        return request.user
    person = User.objects.filter(pk=person_id).first()
    if person is None or not _is_born_here(request, person) or is_mfa_enabled(person):
        raise Problem(404, "User not found")
    _sign_in(request, person, "sign_up")
    return person


def _household(tenant: Tenant, person: User) -> dict[str, str]:
    return {
        "uuid": str(tenant.pk),
        "name": tenant.name,
        # The app lists what is the reader's own, and an invited member reads, too.
        "user_id": str(person.pk),
        "createdAt": _iso(tenant.created_at),
        # The name is decided here: what the app has is never newer.
        "updatedAt": _iso(timezone.now()),
    }


def health(request: HttpRequest) -> HttpResponse:
    """The app asks this when its socket could not be opened for a while."""
    return JsonResponse({"status": "ok"})


# --- reading ---------------------------------------------------------------------------


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        raw = request.body
    except RequestDataTooBig:
        raise Problem(413, "This is too large.") from None
    if len(raw) > BODY_MAX_BYTES:
        raise Problem(413, "This is too large.")
    try:
        body = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Problem(422, "This is no JSON.") from None
    if not isinstance(body, dict):
        raise Problem(422, "This is no JSON object.")
    return body


def _uuid(value: Any) -> UUID:
    try:
        if not isinstance(value, str) or len(value) != len(str(uuid4())):
            raise ValueError
        return UUID(value)
    except ValueError:
        raise Problem(422, "This is no UUID.") from None


def _email(body: dict[str, Any]) -> str:
    email = body.get("email")
    if not isinstance(email, str) or len(email) > 254:
        raise Problem(422, "An e-mail address is needed.")
    email = User.objects.normalize_email(email.strip())
    try:
        validate_email(email)
    except ValidationError:
        raise Problem(422, "Das ist keine E-Mail-Adresse.") from None
    return email


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str):
        raise Problem(422, "A name is needed.")
    return _plain(name, User._meta.get_field("display_name").max_length)


def _plain(name: str, max_characters: int) -> str:
    """A name as it can be shown: on one line, without what has no shape, not too long."""
    spaced = (" " if each.isspace() else each for each in unicodedata.normalize("NFC", name))
    shown = "".join(
        each for each in spaced if each in _JOINERS or unicodedata.category(each) not in _SHAPELESS
    )
    return " ".join(shown.split())[:max_characters].strip(f" {_JOINERS}")


def _limit(request: HttpRequest, action: str) -> None:
    if not ratelimit.consume(request, app="allauth.account", action=action):
        raise Problem(429, _TOO_OFTEN)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# With and without a slash, as the app asks.
urlpatterns = [
    path("users", endpoint(GET=list_people, POST=put_person)),
    path("users/<uuid:person_id>", endpoint(PUT=change_person)),
    path("register", endpoint(POST=register)),
    path("login", endpoint(POST=sign_in)),
    path("tenants", endpoint(GET=list_households, POST=announce_household)),
    path("tenants/", endpoint(GET=list_households, POST=announce_household)),
    path("api/v1/websocket/health", endpoint(GET=health)),
]
