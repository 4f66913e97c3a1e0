from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.hashers import get_hasher, make_password
from django.core.management import call_command
from django.utils import timezone

from tenants.models import Token, User
from tenants.tokens import create_token, revoke_token, token_of


def test_a_token_signs_in_its_person(anna: User) -> None:
    text = create_token(anna, "importer")
    token = token_of(text)
    assert token is not None
    assert (token.user, token.name) == (anna, "importer")


def test_only_a_hash_is_stored(anna: User) -> None:
    text = create_token(anna, "importer")
    stored = " ".join(str(value) for value in Token.objects.values().get(user=anna).values())
    assert text.startswith("fw_")
    assert text.rsplit("_", 1)[1] not in stored


def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(anna: User) -> None:
    text = create_token(anna, "importer")
    other = create_token(anna, "other")
    swapped = text[: len("fw_") + 33] + other[len("fw_") + 33 :]
    for wrong in ("", "fw_", "fw__", text[:-1], text + "x", text.upper(), swapped, "é" * 79, "\0"):
        assert token_of(wrong) is None


def test_a_revoked_token_and_one_of_an_inactive_person_are_not_valid(anna: User) -> None:
    text = create_token(anna, "importer")
    token = token_of(text)
    assert token is not None
    revoke_token(token)
    assert token_of(text) is None
    second = create_token(anna, "second")
    User.objects.filter(pk=anna.pk).update(is_active=False)
    assert token_of(second) is None


def test_use_is_noted_but_not_at_every_connection(
    anna: User, django_assert_num_queries: Any
) -> None:
    text = create_token(anna, "importer")
    with django_assert_num_queries(2):
        token_of(text)
    with django_assert_num_queries(1):
        token_of(text)
    Token.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    with django_assert_num_queries(2):
        token_of(text)


@pytest.mark.parametrize("name", ["importer"])
def test_two_tokens_never_share_a_secret(anna: User, name: str) -> None:
    assert len({create_token(anna, name) for _ in range(20)}) == 20


def end_by_set_password(user: User) -> None:
    user.set_password("another pass phrase")
    user.save(update_fields=["password"])


def end_by_the_operators_command(user: User) -> None:
    with mock.patch("getpass.getpass", return_value="another pass phrase"):
        call_command("changepassword", user.email, stdout=StringIO())


def end_by_taking_the_password_away(user: User) -> None:
    user.set_unusable_password()
    user.save()


@pytest.mark.parametrize(
    "change",
    [end_by_set_password, end_by_the_operators_command, end_by_taking_the_password_away],
)
def test_a_new_password_revokes_what_may_have_been_made_with_the_old_one(
    anna: User, new_person: Callable[..., User], change: Callable[[User], None]
) -> None:
    bert = new_person("bert")
    mine, his = create_token(anna, "phone"), create_token(bert, "phone")
    change(anna)
    assert token_of(mine) is None
    assert token_of(his) is not None


def test_whatever_is_no_new_password_leaves_tokens_alone(anna: User) -> None:
    anna.set_password("correct horse battery")
    anna.save()
    mine = create_token(anna, "phone")
    anna.display_name = "Anna"
    anna.save()
    anna.save(update_fields=["display_name"])
    again = User.objects.get(pk=anna.pk)
    again.save()
    # Hashed anew at a sign-in, because hashes have become slower meanwhile.
    weak = make_password("correct horse battery", hasher="pbkdf2_sha256")
    _, count, salt, _ = weak.split("$")
    hasher = get_hasher("pbkdf2_sha256")
    again.password = hasher.encode("correct horse battery", salt, iterations=int(count) // 10)
    User.objects.filter(pk=anna.pk).update(password=again.password)
    assert again.check_password("correct horse battery")
    again.refresh_from_db()
    assert again.password.split("$")[1] == count
    assert token_of(mine) is not None


def test_a_token_needs_no_renewing(anna: User) -> None:
    """S17: it ends by being revoked, and by nothing else; so no socket ends for a renewal."""
    text = create_token(anna, "importer")
    long_ago = timezone.now() - timedelta(days=3650)
    Token.objects.filter(user=anna).update(created_at=long_ago, last_used_at=long_ago)
    assert token_of(text) is not None
    assert not [each.name for each in Token._meta.fields if "expire" in each.name]
