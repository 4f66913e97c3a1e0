"""Every sentence on a page exists in German, and what is read is what was written."""

import re
from collections import Counter

import pytest

from finwise.places import ROOT
from finwise.translations import compile_po

CATALOGUES = sorted(ROOT.glob("[!.]*/locale/*/LC_MESSAGES/*.po"))
SENTENCE = re.compile(r"""{% translate (?:"([^"]+)"|'([^']+)') %}""")
BLOCK = re.compile(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", re.DOTALL)
IN_CODE = re.compile(r"""\b_\(\s*"([^"]+)"\s*\)""")


@pytest.mark.parametrize("po", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_compiled_catalogues_are_fresh(po) -> None:
    fresh = compile_po(po.read_text(encoding="utf-8"))
    assert po.with_suffix(".mo").read_bytes() == fresh, "run script/translations"


def test_every_sentence_of_a_page_or_mail_exists_in_german() -> None:
    sentences: set[str] = set()
    for template in (ROOT / "templates").rglob("*.*"):
        text = template.read_text(encoding="utf-8")
        sentences |= {plain or quoted for plain, quoted in SENTENCE.findall(text)}
        sentences |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", each) for each in BLOCK.findall(text)}
    for code in (ROOT / "tenants").rglob("*.py"):
        sentences |= set(IN_CODE.findall(code.read_text(encoding="utf-8")))
    catalogue = "".join(po.read_text(encoding="utf-8") for po in CATALOGUES)
    assert len(sentences) > 100
    assert {each for each in sentences if f'msgid "{each}"\nmsgstr "' not in catalogue} == set()


def test_no_sentence_is_translated_in_two_places() -> None:
    """Django would take one of the two, and nobody could say which."""
    ids = [
        each
        for po in CATALOGUES
        for each in re.findall(r'^msgid "(.+)"$', po.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert [each for each, times in Counter(ids).items() if times > 1] == []


def test_a_line_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        compile_po('msgid ""\nnonsense\n')
