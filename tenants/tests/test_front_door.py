"""Signing up and in, from the first page to the last way in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import bcrypt
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client, RequestFactory

from tenants.front_door import SecondFactorAdapter
from tenants.hashers import imported
from tenants.models import User

Browse = Callable[..., Client]

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def bert(new_person: Callable[..., User]) -> User:
    return new_person("bert", password=PASSWORD)


@pytest.fixture
def in_production(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def sign_in(browser: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return browser.post("/accounts/login/", {"login": email, "password": password}, **more)


def is_in(browser: Client) -> bool:
    return SESSION_KEY in browser.session


def link_in(mail: Any) -> str:
    (found,) = re.findall(r"http://testserver(/\S+)", mail.body)
    return found


# --- signing up


def test_who_signs_up_confirms_the_address_and_is_in(
    browse: Browse, in_production: None, mailoutbox: list[Any]
) -> None:
    browser = browse(headers={"accept-language": "en-GB"})
    answer = browser.post(
        "/accounts/signup/?next=/accounts/tokens/",
        {
            "email": "Carla@Example.org",
            "password1": PASSWORD,
            "display_name": " Carla ",
            "next": "/accounts/tokens/",
        },
    )
    assert answer.headers["Location"] == "/accounts/confirm-email/"
    assert not is_in(browser)
    carla = User.objects.get(email="carla@example.org")
    assert (carla.display_name, carla.language) == ("Carla", "en")
    assert not carla.email_verified
    link = link_in(mailoutbox[0])
    assert not EmailAddress.objects.get(user=carla).verified
    browser.get(link)  # a mail scanner looks, too
    carla.refresh_from_db()
    assert not carla.email_verified
    assert browser.post(link).headers["Location"] == "/accounts/tokens/"
    assert is_in(browser)
    carla.refresh_from_db()
    assert carla.email_verified


def test_a_confirmation_in_another_browser_signs_nobody_in(
    browse: Browse, in_production: None, mailoutbox: list[Any]
) -> None:
    browse().post("/accounts/signup/", {"email": "carla@example.org", "password1": PASSWORD})
    other = browse()
    other.post(link_in(mailoutbox[0]))
    assert User.objects.get(email="carla@example.org").email_verified
    assert not is_in(other)


def test_signing_up_again_tells_a_stranger_nothing_and_the_owner_everything(
    browse: Browse, bert: User, in_production: None, mailoutbox: list[Any]
) -> None:
    """S55: no list of who has an account."""
    answers = [
        browse().post("/accounts/signup/", {"email": email, "password1": PASSWORD})
        for email in (bert.email, "nobody@example.org")
    ]
    assert answers[0].status_code == answers[1].status_code == 302
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert User.objects.filter(email=bert.email).count() == 1
    assert {mail.to[0] for mail in mailoutbox} == {bert.email, "nobody@example.org"}
    told = next(mail for mail in mailoutbox if mail.to == [bert.email])
    assert "/accounts/password/reset/" in told.body


@pytest.mark.parametrize("password", ["short", "password1234", "1029384756019", "carla@example"])
def test_a_weak_password_is_not_taken(browse: Browse, password: str) -> None:
    answer = browse().post(
        "/accounts/signup/", {"email": "carla@example.org", "password1": password}
    )
    assert answer.status_code == 200
    assert 'class="error"' in answer.text
    assert not User.objects.filter(email="carla@example.org").exists()


def test_a_closed_site_takes_nobody_uninvited(browse: Browse, settings: Any) -> None:
    settings.ACCOUNT_IS_OPEN = False
    answer = browse().post(
        "/accounts/signup/", {"email": "carla@example.org", "password1": PASSWORD}
    )
    assert "By invitation only" in answer.text
    assert not User.objects.filter(email="carla@example.org").exists()


# --- signing in


def test_signing_in_leads_to_the_app_or_to_where_one_was_going(browse: Browse, bert: User) -> None:
    assert sign_in(browse(), bert.email.upper()).headers["Location"] == "/"
    going = browse().post(
        "/accounts/login/", {"login": bert.email, "password": PASSWORD, "next": "/sync/"}
    )
    assert going.headers["Location"] == "/sync/"


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"]
)
def test_nobody_is_led_away_to_another_site(browse: Browse, bert: User, address: str) -> None:
    answer = browse().post(
        "/accounts/login/", {"login": bert.email, "password": PASSWORD, "next": address}
    )
    assert answer.headers["Location"] == "/"


def test_the_session_is_another_one_after_signing_in(browse: Browse, bert: User) -> None:
    """S55: a session that somebody planted is worth nothing."""
    browser = browse()
    session = browser.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    sign_in(browser, bert.email)
    assert browser.session.session_key != planted
    assert not browser.session.exists(planted)


def test_a_wrong_password_and_an_unknown_address_read_alike(browse: Browse, bert: User) -> None:
    """S55"""
    pages = [
        sign_in(browse(), email, "wrong").text.replace(email, "…")
        for email in (bert.email, "nobody@example.org")
    ]
    csrf = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')
    assert csrf.sub("", pages[0]) == csrf.sub("", pages[1])
    assert "not correct" in pages[0]


class Slow(MD5PasswordHasher):
    """Notes each time that it hashes: what takes the time of a sign-in."""

    algorithm = "slow"
    times = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).times += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("account", ["active", "locked", "without a password", "imported"])
def test_no_answer_is_quicker_because_there_is_such_an_account(
    browse: Browse, new_person: Any, settings: Any, in_production: None, account: str
) -> None:
    """S55: every wrong password, and every second sign-up, costs as much as with a stranger's."""
    settings.PASSWORD_HASHERS = [f"{__name__}.Slow", "tenants.hashers.ImportedBcrypt"]
    person = new_person("carla", password=PASSWORD)
    match account:
        case "locked":
            person.is_active = False
        case "without a password":
            person.set_unusable_password()
        case "imported":
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
            person.password = imported(hashed) or ""
    person.save()

    def cost(path: str, **sent: str) -> int:
        Slow.times = 0
        browse().post(path, sent)
        return Slow.times

    for path, name, field in (
        ("/accounts/login/", "login", "password"),
        ("/accounts/signup/", "email", "password1"),
    ):
        costs = [
            cost(path, **{name: email, field: "quite another pass phrase"})
            for email in (person.email, f"nobody-{account[:3]}@example.org")
        ]
        assert costs[0] == costs[1] > 0, path


def test_who_guesses_has_to_wait_and_others_do_not(
    browse: Browse, bert: User, new_person: Any
) -> None:
    """S55"""
    for _ in range(5):
        assert not is_in(browser := browse()) and sign_in(browser, bert.email, "wrong")
    browser = browse()
    assert "Too many" in sign_in(browser, bert.email).text
    assert not is_in(browser)
    other = new_person("dora", password=PASSWORD)
    elsewhere = browse(REMOTE_ADDR="192.0.2.77")
    sign_in(elsewhere, other.email)
    assert is_in(elsewhere)


def test_an_address_that_tries_everybody_is_stopped(browse: Browse, database: None) -> None:
    answers = [sign_in(browse(), f"{number}@example.org", "wrong") for number in range(31)]
    assert answers[-1].status_code == 429 or "Too many" in answers[-1].text


def test_no_visitor_chooses_the_address_that_counts(
    browse: Browse, bert: User, settings: Any
) -> None:
    """Behind no proxy the header is a visitor's own word; behind one, only its last part counts."""
    from allauth.account.adapter import get_adapter

    request = RequestFactory().get(
        "/", REMOTE_ADDR="192.0.2.1", headers={"x-forwarded-for": "10.0.0.9, 198.51.100.7"}
    )
    assert get_adapter().get_client_ip(request) == "192.0.2.1"
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert get_adapter().get_client_ip(request) == "198.51.100.7"


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("fe80::1%eth0", "fe80::"),
        ("::1", "::"),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(told: str, counts: str) -> None:
    """S55: every line at home has 2^64 of them."""
    from allauth.account.adapter import get_adapter

    request = RequestFactory().get("/", REMOTE_ADDR=told)
    assert get_adapter().get_client_ip(request) == counts


def test_who_guesses_from_many_addresses_of_one_network_has_to_wait(
    browse: Browse, database: None
) -> None:
    answers = [
        sign_in(browse(REMOTE_ADDR=f"2001:db8::{number:x}"), f"{number}@example.org", "wrong")
        for number in range(1, 32)
    ]
    assert answers[-1].status_code == 429 or "Too many" in answers[-1].text
    elsewhere = sign_in(browse(REMOTE_ADDR="2001:db8:0:1::1"), "x@example.org", "wrong")
    assert "not correct" in elsewhere.text


@pytest.mark.parametrize("said", ["evil", "", "unknown", "'; --"])
def test_an_address_that_is_none_gets_nobody_in(
    browse: Browse, bert: User, settings: Any, said: str
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    browser = browse(headers={"x-forwarded-for": said})
    answer = sign_in(browser, bert.email)
    assert answer.status_code == (302 if said == "" else 403)


def test_who_is_locked_out_is_told_so_and_does_not_get_in(browse: Browse, bert: User) -> None:
    bert.is_active = False
    bert.save()
    browser = browse()
    assert sign_in(browser, bert.email).headers["Location"] == "/accounts/inactive/"
    assert not is_in(browser)


@pytest.mark.parametrize("page", ["/admin/", "/admin/login/"])
def test_the_admin_has_no_way_in_of_its_own(browse: Browse, bert: User, page: str) -> None:
    """S46"""
    answer = browse().get(page, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/?next=")
    assert browse(bert).get("/admin/login/").status_code == 403


# --- forgotten and changed passwords


def test_a_forgotten_password_is_replaced_and_ends_every_session(
    browse: Browse, bert: User, mailoutbox: list[Any]
) -> None:
    there = browse()
    sign_in(there, bert.email)
    browser = browse()
    browser.post("/accounts/password/reset/", {"email": bert.email})
    link = link_in(mailoutbox[0])
    form = browser.get(link).headers["Location"]
    assert link not in form  # so that the key is in no Referer
    new = "another pass phrase"
    browser.post(form, {"password1": new, "password2": new})
    assert there.get("/accounts/").status_code == 302
    assert not is_in(browser)
    sign_in(browser, bert.email, new)
    assert is_in(browser)
    assert "not valid any more" in browse().get(link).text


def test_asking_for_a_new_password_tells_nothing(
    browse: Browse, bert: User, mailoutbox: list[Any]
) -> None:
    """Mail goes out either way, so the time that it takes tells nothing either."""
    answers = [
        browse().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in (bert.email, "nobody@example.org")
    ]
    assert answers[0].redirect_chain == answers[1].redirect_chain
    assert answers[0].text == answers[1].text
    known, unknown = mailoutbox
    assert (known.to, unknown.to) == ([bert.email], ["nobody@example.org"])
    assert "/password/reset/key/" in known.body
    assert "/password/reset/key/" not in unknown.body
    assert "/accounts/signup/" in unknown.body


def test_a_mail_server_that_is_away_is_logged_and_tells_strangers_nothing(
    browse: Browse, bert: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answers = [
        browse().post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in (bert.email, "nobody@example.org")
    ]
    assert answers[0].status_code == 200
    assert answers[0].text == answers[1].text
    assert caplog.text.count("a mail could not be sent: ConnectionRefusedError") == 2
    assert bert.email not in caplog.text
    mine = browse(bert)
    page = mine.post(
        "/accounts/email/", {"email": "bert.new@example.org", "action_add": ""}, follow=True
    )
    assert "could not be sent" in page.text
    assert "Confirmation email sent" not in page.text


def test_a_changed_password_ends_the_other_sessions_and_is_told_by_mail(
    browse: Browse, bert: User, mailoutbox: list[Any]
) -> None:
    here, there = browse(), browse()
    sign_in(here, bert.email)
    sign_in(there, bert.email)
    new = "another pass phrase"
    here.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert here.get("/accounts/").status_code == 200
    assert there.get("/accounts/").status_code == 302
    assert [mail.to for mail in mailoutbox] == [[bert.email]]


# --- second factors


def code_of(authenticator: TOTP) -> str:
    from time import time

    secret = SecondFactorAdapter().decrypt(authenticator.instance.data["secret"])
    return format_hotp_value(hotp_value(secret, int(time()) // 30))


def test_with_a_second_step_the_password_alone_is_not_enough(browse: Browse, bert: User) -> None:
    app = TOTP.activate(bert, "JBSWY3DPEHPK3PXP")
    browser = browse()
    assert sign_in(browser, bert.email).headers["Location"] == "/accounts/2fa/authenticate/"
    assert not is_in(browser)
    assert browser.get("/accounts/").status_code == 302
    browser.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert not is_in(browser)
    browser.post("/accounts/2fa/authenticate/", {"code": code_of(app)})
    assert is_in(browser)


def test_a_recovery_code_works_once(browse: Browse, bert: User) -> None:
    TOTP.activate(bert, "JBSWY3DPEHPK3PXP")
    code = RecoveryCodes.activate(bert).get_unused_codes()[0]
    for gets_in in (True, False):
        browser = browse()
        sign_in(browser, bert.email)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert is_in(browser) is gets_in


def test_a_copy_of_the_database_opens_no_account(bert: User, settings: Any) -> None:
    """S50: what a second factor rests on is encrypted with the secret key."""
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(bert, secret)
    stored = Authenticator.objects.get(user=bert).data["secret"]
    assert secret not in stored
    adapter = SecondFactorAdapter()
    assert adapter.decrypt(stored) == secret
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, of today"
    assert adapter.decrypt(stored) == secret
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(Exception, match="Incorrect code"):
        adapter.decrypt(stored)


# --- addresses


def test_what_the_operator_confirms_is_confirmed_for_signing_in(
    browse: Browse, in_production: None, database: None
) -> None:
    dora = User.objects.create_user("dora@example.org", PASSWORD)
    browser = browse()
    sign_in(browser, dora.email)
    assert not is_in(browser)
    dora = User.objects.get(pk=dora.pk)
    dora.email_verified = True
    dora.save()
    sign_in(browser, dora.email)
    assert is_in(browser)
    dora.email = "dora.new@example.org"
    dora.save()
    assert list(EmailAddress.objects.filter(user=dora).values_list("email", "verified")) == [
        ("dora.new@example.org", True)
    ]


def test_an_old_copy_of_a_person_does_not_take_a_confirmation_back(database: None) -> None:
    dora = User.objects.create_user("dora@example.org")
    old = User.objects.get(pk=dora.pk)
    EmailAddress.objects.create(user=dora, email=dora.email, primary=True, verified=True)
    assert User.objects.get(pk=dora.pk).email_verified
    old.display_name = "Dora"
    old.save()
    assert User.objects.get(pk=dora.pk).email_verified
    EmailAddress.objects.filter(user=dora).get().delete()
    assert not User.objects.get(pk=dora.pk).email_verified


def test_another_address_counts_once_it_is_confirmed(
    browse: Browse, bert: User, mailoutbox: list[Any]
) -> None:
    browser = browse(bert)
    old = bert.email
    browser.post("/accounts/email/", {"email": "bert.new@example.org", "action_add": ""})
    bert.refresh_from_db()
    assert (bert.email, bert.email_verified) == (old, True)
    link = link_in(next(mail for mail in mailoutbox if mail.to == ["bert.new@example.org"]))
    browser.post(link)
    bert.refresh_from_db()
    assert (bert.email, bert.email_verified) == ("bert.new@example.org", True)
    assert EmailAddress.objects.filter(user=bert).count() == 1
