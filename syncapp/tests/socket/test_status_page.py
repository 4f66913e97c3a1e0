"""The status page: who may see what, what it says, and that it is live."""

from __future__ import annotations

import contextlib
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from syncapp import curing
from syncapp.tests.household import Household
from syncapp.tests.socket.phone import PATIENCE_S, Phone, dial
from syncapp.tests.socket.processes import ServerProcess
from syncapp.tests.socket.server import ServerThread
from syncapp.tests.socket.test_live import wait_until_listening
from syncapp.views import live, status
from tenants.memberships import end_membership, set_role
from tenants.models import AuditEntry, Summary, Tenant, User
from tenants.tokens import create_token

SECRET = "4711.4711"


@pytest.fixture
def owner(household: Household) -> User:
    return User.objects.get(pk=household.owner)


@pytest.fixture
def new_staff(new_person: Callable[[], User]) -> Callable[..., User]:
    """Makes staff with these of Django's permissions."""

    def make(*permissions: str) -> User:
        person = new_person()
        person.is_staff = True
        person.save()
        person.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
        return person

    return make


@pytest.fixture
def staff(new_staff: Callable[..., User]) -> User:
    return new_staff("view_tenant", "change_tenant")


def browser(person: User, **options: Any) -> Client:
    client = Client(HTTP_HOST="localhost", **options)
    client.force_login(person)
    return client


def page_of(person: User, household: Household, **headers: str) -> str:
    answer = browser(person).get(f"/sync/{household.id}/", headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


class Page:
    """An open status page's socket."""

    def __init__(self, url: str, household: Household, client: Client, **options: Any) -> None:
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        origin = options.pop("origin", url.replace("ws://", "http://"))
        self.socket: ClientConnection = connect(
            f"{url}/ws/status/{household.id}/?lang=en",
            additional_headers=headers,
            origin=origin,
            subprotocols=["finwise.status.v1"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
            open_timeout=PATIENCE_S,
            legacy=True,
        )

    def hear(self) -> dict[str, str]:
        return json.loads(self.socket.recv(timeout=PATIENCE_S))

    def hear_until(self, text: str) -> dict[str, str]:
        """The first picture in which this stands."""
        while text not in (told := self.hear()).get("html", ""):
            pass
        return told

    def hear_close(self) -> int:
        try:
            while True:
                self.hear()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


@pytest.fixture
def open_page(server: ServerThread) -> Iterator[Callable[..., Page]]:
    made: list[Page] = []

    def make(person: User, household: Household, **options: Any) -> Page:
        made.append(Page(server.url, household, browser(person), **options))
        return made[-1]

    yield make
    for page in made:
        page.socket.close()


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open pages never look by themselves: what they show, or that they end, they were told."""
    monkeypatch.setattr(live, "LOOK_EVERY_S", 3600)


# --- who may see what ------------------------------------------------------------------


def test_a_member_sees_his_households_and_no_others(
    households: Callable[[], Household], new_member: Callable[..., User]
) -> None:
    ours, theirs = households(), households()
    viewer = new_member(ours, "viewer")
    text = browser(viewer).get("/sync/").content.decode()
    assert str(ours.id) in text
    assert str(theirs.id) not in text
    for place in (theirs.id, uuid.uuid4()):
        for method in ("get", "post"):
            path = f"/sync/{place}/" + ("now/" if method == "post" else "")
            assert getattr(browser(viewer), method)(path).status_code == 404


def test_staff_see_all_and_find_them(
    households: Callable[[], Household], staff: User, owner: User, household: Household
) -> None:
    ours, theirs = household, households()
    text = browser(staff).get("/sync/").content.decode()
    assert str(ours.id) in text and str(theirs.id) in text
    for query in (str(ours.id), owner.email, f"t_{ours.id.hex}"):
        text = browser(staff).get("/sync/", {"q": query}).content.decode()
        assert str(ours.id) in text and str(theirs.id) not in text
    for query in ("'; DROP TABLE x", "\0", "%"):
        assert browser(staff).get("/sync/", {"q": query}).status_code == 200


def test_nobody_else_sees_anything(household: Household) -> None:
    client = Client(HTTP_HOST="localhost")
    for path in ("/sync/", f"/sync/{household.id}/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/accounts/login/")


def test_sync_now_needs_a_post_from_our_own_page(owner: User, household: Household) -> None:
    assert browser(owner).get(f"/sync/{household.id}/now/").status_code == 405
    strict = browser(owner, enforce_csrf_checks=True)
    assert strict.post(f"/sync/{household.id}/now/").status_code == 403


# --- what it says ----------------------------------------------------------------------


def test_the_page_speaks_german_and_english(owner: User, household: Household) -> None:
    german = page_of(owner, household, accept_language="de")
    assert "Jetzt synchronisieren" in german and 'lang="de"' in german
    english = page_of(owner, household, accept_language="en")
    assert "Sync now" in english and 'lang="en"' in english


def test_every_sentence_is_translated() -> None:
    from syncapp.core.errors import REFUSAL_CODES
    from syncapp.light import Reason
    from syncapp.views import wording

    assert set(wording._SENTENCES) == set(Reason)
    assert set(wording.REFUSALS) == set(REFUSAL_CODES)
    known = set()
    for po in settings.ROOT.glob("*/locale/de/LC_MESSAGES/django.po"):
        for entry in re.findall(r'^msgid ((?:".*"\n)+)', po.read_text("utf-8"), re.MULTILINE):
            known.add("".join(re.findall(r'"(.*)"', entry)))
    pages = [*(settings.ROOT / "syncapp").glob("views/*.py"), *settings.ROOT.glob("*/admin.py")]
    pages += [*settings.ROOT.glob("syncapp/admin/*.py"), settings.ROOT / "finwise/operators.py"]
    wanted = set()
    for path in pages:
        source = path.read_text(encoding="utf-8")
        for each in re.findall(r'(?:gettext_lazy|\b_)\(\s*((?:"(?:[^"\\]|\\.)+"\s*)+)', source):
            wanted.add("".join(re.findall(r'"((?:[^"\\]|\\.)+)"', each)))
    for folder in ("sync", "admin/households", "admin/tokens"):
        for path in (settings.ROOT / "templates" / folder).glob("*.html"):
            text = path.read_text(encoding="utf-8")
            wanted |= set(re.findall(r"""{% translate ["'](.+?)["'] %}""", text))
            for each in re.findall(r"{% blocktranslate.*?%}(.*?){% endblocktranslate %}", text):
                wanted.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", each))
    assert len(wanted) > 150
    assert wanted - known == set()


def test_the_page_has_no_inline_script_style_or_handler(owner: User, household: Household) -> None:
    text = page_of(owner, household)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text)


def test_what_devices_say_of_themselves_is_shown_inert(owner: User, household: Household) -> None:
    """S36"""
    hostile = "<img src=x onerror=alert(1)>{{ 7|add:7 }}"
    household.device(hostile)
    text = page_of(owner, household)
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;{{ 7|add:7 }}" in text


def test_no_amount_and_no_name_of_a_row_is_on_the_page(owner: User, household: Household) -> None:
    phone, tablet = household.device("phone"), household.device("tablet")
    row = str(uuid.uuid4())
    phone.push(phone.change("create", "account", row, {"name": "Geheimkonto", "balance": "1"}))
    tablet.push(tablet.change("edit", "account", row, {"balance": SECRET}))
    tablet.push(tablet.change("edit", "account", row, {"iban": SECRET}))
    text = page_of(owner, household)
    assert "account · balance" in text.lower()  # the conflict
    assert "not a valid IBAN" in text  # the refusal
    assert SECRET not in text and "Geheimkonto" not in text


def test_an_old_summary_is_never_green(owner: User, household: Household) -> None:
    household.device().pull()
    browser(owner).get("/sync/")
    found = Summary.objects.get(tenant_id=household.id)
    Tenant.objects.filter(pk=household.id).update(status="maintenance")
    try:
        found.light = "green"
        found.save()
        assert '"light amber"' in browser(owner).get("/sync/").content.decode()
        Tenant.objects.filter(pk=household.id).update(status="ready")
        assert '"light green"' in browser(owner).get("/sync/").content.decode()
        found.at -= status.summaries.FRESH_FOR
        found.save()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(status.summarising, "summarise", lambda *args: 0)
            assert '"light green"' not in browser(owner).get("/sync/").content.decode()
    finally:
        Tenant.objects.filter(pk=household.id).update(status="ready")


def test_an_app_that_is_too_old_is_seen_at_the_door_until_another_comes_in(
    owner: User, household: Household, phone: Phone
) -> None:
    phone.socket = dial(
        phone.url, phone.tenant_id, token=phone.token, protocols=["finwise.sync.v0"]
    )
    assert phone.refused() == ("upgrade_needed", 4426)
    page = page_of(owner, household, **{"Accept-Language": "en"})
    assert "Turned away at the door" in page and "The app is too old for this server." in page
    assert "1 turned away at the door." in page
    told = read_status(household)
    assert [(each["code"], each["isHeardSince"]) for each in told["turnedAway"]] == [
        ("upgrade_needed", False)
    ]
    phone.online()
    told = read_status(household)
    assert [each["isHeardSince"] for each in told["turnedAway"]] == [True]
    assert told["light"] != "amber"
    assert "A device of theirs has come in since." in page_of(owner, household)


def test_a_first_frame_that_is_nonsense_is_seen_at_the_door_and_written_down_once(
    owner: User, household: Household, phone: Phone
) -> None:
    noted = []
    for _ in range(2):
        phone.connect().say("<script>alert(1)</script>")
        assert phone.refused() == ("bad_frame", 4400)
        noted.append(read_status(household)["turnedAway"])
    (once,) = noted[0]
    assert once["code"] == "bad_frame" and noted[1] == noted[0]
    assert "(bad_frame)" in page_of(owner, household)


def test_nothing_is_noted_of_somebody_who_is_no_member(
    household: Household, new_person: Callable[[], User], new_phone: Callable[..., Phone]
) -> None:
    stranger = new_person()
    phone = new_phone()
    token = create_token(stranger, "phone")
    phone.socket = dial(phone.url, phone.tenant_id, token=token, protocols=["finwise.sync.v0"])
    assert phone.refused() == ("upgrade_needed", 4426)
    assert read_status(household)["turnedAway"] == []


def read_status(household: Household) -> dict[str, Any]:
    """What `manage.py sync_status --json` tells a program of this household."""
    written = io.StringIO()
    with contextlib.suppress(CommandError):  # somebody should look
        call_command("sync_status", str(household.id), "--json", stdout=written)
    return json.loads(written.getvalue())


def test_a_household_that_is_away_says_so(
    owner: User, household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncapp.core.errors import Busy

    def busy(tenant_id: uuid.UUID) -> None:
        raise Busy

    monkeypatch.setattr(status, "look", busy)
    answer = browser(owner).get(f"/sync/{household.id}/", headers={"accept-language": "en"})
    assert answer.status_code == 503
    assert "Nothing is lost" in answer.content.decode()


def test_the_list_asks_as_little_for_many_households_as_for_one(
    households: Callable[[], Household],
    staff: User,
    django_assert_max_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [households() for _ in range(4)]
    client = browser(staff)
    client.get("/sync/")
    # Households of other tests are on the page too, and their summaries may be due by now.
    monkeypatch.setattr(status, "RENEWED_BY_A_PAGE", 0)
    with django_assert_max_num_queries(10):
        text = client.get("/sync/").content.decode()
    assert all(str(each.id) in text for each in made)


# --- live ------------------------------------------------------------------------------


def test_an_open_page_is_told_when_a_device_comes_changes_and_goes(
    owner: User, household: Household, phone: Phone, open_page: Callable[..., Page]
) -> None:
    page = open_page(owner, household)
    assert "No device has connected yet" in page.hear()["html"]
    phone.online(name="Annas phone")
    page.hear_until("Annas phone")
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    phone.say({"type": "ping", "cursor": phone.cursor})
    phone.expect("pong")
    assert page.hear_until("All sent and all read.")["said"].startswith("in step")
    phone.hang_up()
    page.hear_until("Silent since")


def test_a_push_that_is_refused_as_a_viewers_turns_the_light_amber_at_once(
    owner: User,
    household: Household,
    new_member: Callable[..., User],
    new_phone: Callable[..., Phone],
    open_page: Callable[..., Page],
    only_told: None,
) -> None:
    bert = new_member(household, "editor")
    phone = new_phone(bert).online(name="Berts phone")
    set_role(Tenant.objects.get(pk=household.id), bert, "viewer")
    page = open_page(owner, household)
    page.hear()
    phone.push(phone.new_group("Bank"), phone.new_group("Depot"))
    phone.expect("error", code="forbidden")
    page.hear_until("Its person may only look, so what waits on it cannot be sent: 2.")


def test_every_answer_to_sync_now_appears_as_it_comes(
    owner: User,
    household: Household,
    phone: Phone,
    new_phone: Callable[[], Phone],
    server: ServerThread,
    open_page: Callable[..., Page],
) -> None:
    tablet, gone = new_phone(), new_phone()
    gone.online(name="laptop")
    gone.hang_up()
    phone.online(name="phone")
    tablet.online(name="tablet")
    wait_until_listening(server)
    page = open_page(owner, household)
    page.hear_until("Silent since")
    answer = browser(owner).post(
        f"/sync/{household.id}/now/", headers={"accept": "application/json"}
    )
    request_id = answer.json()["request"]
    for device in (phone, tablet):
        device.expect("sync_request", id=request_id)
    phone.say({"type": "report", "id": request_id, "sent": 2, "cursor": phone.cursor})
    page.hear_until("1 of 3 done, 1 not answered yet, 1 offline since")
    tablet.say({"type": "report", "id": request_id, "outcome": "pending", "pending": 1})
    page.hear_until("1 of 3 done, 1 could not finish, 1 offline since")
    # And without JavaScript, on a reload.
    plain = page_of(owner, household, accept_language="en")
    assert "1 of 3 done, 1 could not finish, 1 offline since" in plain


def test_sync_now_without_javascript_leads_back_to_the_page(
    owner: User, household: Household
) -> None:
    answer = browser(owner).post(f"/sync/{household.id}/now/", follow=True)
    assert answer.redirect_chain == [(f"/sync/{household.id}/", 302)]
    assert b"0 of 0 done" in answer.content


def test_what_staff_do_is_written_down_and_what_members_do_is_not(
    owner: User, staff: User, household: Household
) -> None:
    AuditEntry.objects.all().delete()
    for person in (owner, staff):
        browser(person).post(f"/sync/{household.id}/now/")
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.tenant_id) == ("sync_now", staff, household.id)


def test_staff_see_and_do_what_they_were_allowed_to(
    household: Household, new_staff: Callable[..., User], open_page: Callable[..., Page]
) -> None:
    """S46"""
    AuditEntry.objects.all().delete()
    page = f"/sync/{household.id}/"
    nobody, watcher = new_staff(), new_staff("view_tenant")
    assert str(household.id) not in browser(nobody).get("/sync/").content.decode()
    assert browser(nobody).get(page).status_code == 404
    assert browser(nobody).post(f"{page}now/").status_code == 404
    assert open_page(nobody, household).hear_close() == 4403
    text = page_of(watcher, household)
    assert "sync-now" not in text
    assert open_page(watcher, household).hear()["html"]
    assert browser(watcher).post(f"{page}now/").status_code == 403
    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.actor, entry.detail) == ("refused", watcher, "sync_now")


def test_a_foreign_page_is_refused_outright(
    owner: User, household: Household, open_page: Callable[..., Page]
) -> None:
    for origin in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            open_page(owner, household, origin=origin)
        assert refused.value.response.status_code == 403


def test_somebody_elses_household_is_told_nothing(
    households: Callable[[], Household],
    new_member: Callable[..., User],
    open_page: Callable[..., Page],
) -> None:
    ours, theirs = households(), households()
    viewer = new_member(ours, "viewer")
    page = open_page(viewer, theirs)
    assert page.hear_close() == 4403
    unknown = Household(uuid.uuid4(), theirs.owner)
    assert open_page(viewer, unknown).hear_close() == 4403


def test_whoever_signs_out_or_is_put_out_sees_nothing_more(
    household: Household,
    new_member: Callable[..., User],
    server: ServerThread,
    open_page: Callable[..., Page],
    only_told: None,
) -> None:
    """S13, S15"""
    viewer = new_member(household, "viewer")
    page = open_page(viewer, household)
    page.hear()
    wait_until_listening(server)
    editor = new_member(household, "editor")
    other = open_page(editor, household)
    other.hear()
    end_membership(Tenant.objects.get(pk=household.id), viewer)
    assert page.hear_close() == 4403
    editor.is_active = False
    editor.save()
    assert other.hear_close() == 4401


def test_a_page_that_speaks_is_none_of_ours(
    owner: User, household: Household, open_page: Callable[..., Page]
) -> None:
    page = open_page(owner, household)
    page.hear()
    page.socket.send("{}")
    assert page.hear_close() == 4400


def test_a_person_has_room_for_so_many_pages_and_no_more(
    owner: User,
    household: Household,
    open_page: Callable[..., Page],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "PAGES_MAX", 2)
    pages = [open_page(owner, household) for _ in range(2)]
    for page in pages:
        page.hear()
    assert open_page(owner, household).hear_close() == 4429
    pages[0].socket.send("{}")
    assert pages[0].hear_close() == 4400
    open_page(owner, household).hear()


def test_an_open_page_leaves_nothing_behind(
    owner: User, household: Household, server: ServerThread, open_page: Callable[..., Page]
) -> None:
    page = open_page(owner, household)
    page.hear()
    page.socket.close()
    server.wait_for(lambda hub: not hub._watchers)
    server.wait_until_idle()


# --- what an operator can do -----------------------------------------------------------


def test_a_device_that_is_to_start_over_takes_a_snapshot(
    phone: Phone, household: Household, server: ServerThread
) -> None:
    phone.online()
    phone.push_and_settle(phone.new_group("Bank"))
    phone.take_live()
    wait_until_listening(server)
    curing.force_reset(household.id, uuid.UUID(phone.id))
    assert phone.hear_close()[1] == 1012
    phone.connect()
    assert phone.hello()["reset"] == "operator"
    phone.connect()
    welcome = phone.hello(reset="operator")  # noted; and then it is over
    assert "reset" not in welcome


def test_a_revoked_device_is_put_out_and_takes_a_new_identity(
    phone: Phone, new_phone: Callable[[], Phone], household: Household, server: ServerThread
) -> None:
    """K02, S18"""
    other = new_phone()
    phone.online()
    other.online()
    wait_until_listening(server)
    curing.revoke_device(household.id, uuid.UUID(phone.id))
    assert phone.hear_close()[1] == 1012
    phone.connect()
    assert phone.hello()["identity"] == "taken"
    other.ping()  # goes on


def test_a_revoked_device_is_put_out_at_the_beat_if_nobody_was_told(
    phone: Phone, household: Household, server: ServerThread, raw_connection: Any
) -> None:
    phone.online()
    raw_connection.execute(f"UPDATE {household.schema}.sync_device SET is_revoked = true")
    raw_connection.commit()
    server.run(server.hub().refresh())
    assert phone.hear_close()[1] == 1012


def test_a_new_epoch_makes_every_device_start_over(
    phone: Phone, new_phone: Callable[[], Phone], household: Household, server: ServerThread
) -> None:
    other = new_phone()
    phone.online()
    other.online()
    wait_until_listening(server)
    curing.begin_new_epoch(household.id)
    for device in (phone, other):
        assert device.hear_close()[1] == 1012
        device.connect()
        assert device.hello()["reset"] == "operator"


def test_nobody_can_cure_a_device_that_is_not_there(household: Household) -> None:
    for cure in (curing.force_reset, curing.revoke_device):
        with pytest.raises(LookupError):
            cure(household.id, uuid.uuid4())


# --- several processes -----------------------------------------------------------------


@pytest.fixture
def other_process(households: Callable[[], Household]) -> Iterator[ServerProcess]:
    running = ServerProcess()
    yield running
    running.stop()


def test_a_page_shows_the_answers_of_devices_that_another_process_serves(
    owner: User,
    household: Household,
    new_phone: Callable[..., Phone],
    server: ServerThread,
    other_process: ServerProcess,
    open_page: Callable[..., Page],
) -> None:
    here = new_phone().online(name="here")
    there = new_phone(url=other_process.url).online(name="there")
    wait_until_listening(server)
    page = open_page(owner, household)
    page.hear_until("there")
    browser(owner).post(f"/sync/{household.id}/now/")
    for device in (here, there):
        asked = device.hear_until("sync_request")
        device.say({"type": "report", "id": asked["id"], "cursor": device.cursor})
    page.hear_until("2 of 2 done")


def test_a_server_ends_at_once_with_pages_open(
    owner: User, household: Household, other_process: ServerProcess
) -> None:
    page = Page(other_process.url, household, browser(owner))
    page.hear()
    said = other_process.stop()
    assert page.hear_close() == 1012
    # It waited for nobody until its patience was over.
    assert "graceful shutdown exceeded" not in said
    assert "Traceback" not in said
