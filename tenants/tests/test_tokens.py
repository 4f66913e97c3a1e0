from datetime import timedelta
from typing import Any

import pytest
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
