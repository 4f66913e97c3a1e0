"""One word for each idea: the glossary has them all, and none of those we do not use."""

from __future__ import annotations

import re
import typing

import pytest

from syncapp.core.messages import ChangeKind, Fate, ResetReason

from .page import ROOT

# The words of the design, as they are used everywhere.
WORDS = (
    "tenant", "device", "entity", "change", "stamp", "seq", "cursor", "base", "fate", "outbox",
    "news", "conflict", "refusal",
)  # fmt: skip
# And what nobody calls them.
BANNED = re.compile(
    r"\b(mutation|changeset|oplog|upstream|downstream|CRDT|client[- ]side ID)\b", re.I
)


def words() -> dict[str, str]:
    text = (ROOT / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return dict(rows[2:] if rows[1][0].startswith("-") else rows[1:])


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_design_is_explained(word):
    assert len(words()[word]) > 20


def test_the_words_of_the_protocol_are_explained():
    fates = set(typing.get_args(Fate))
    assert fates <= words().keys()
    reasons = set(typing.get_args(ResetReason))
    assert reasons <= set(re.findall(r"`(\w+)`", words()["reset"]))
    assert set(typing.get_args(ChangeKind)) == {"create", "edit", "delete"}


def test_the_words_are_in_order_and_each_stands_once():
    listed = [word.lower() for word in words()]
    assert listed == sorted(set(listed))


def test_no_page_uses_another_word():
    for page in (ROOT / "docs").rglob("*.md"):
        # What stands in a block is somebody else's language.
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        if page.name != "glossary.md":
            assert not BANNED.search(text), f"{page}: {BANNED.search(text)}"
