"""Every sentence on a page exists in German, and what is read is what was written."""

import re

import pytest
from django.utils import translation

from finwise.places import ROOT
from finwise.translations import compile_po

CATALOGUES = sorted(ROOT.glob("[!.]*/locale/*/LC_MESSAGES/*.po"))
SENTENCE = re.compile(r"""{% translate "([^"]+)" %}""")


@pytest.mark.parametrize("po", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_compiled_catalogues_are_fresh(po) -> None:
    fresh = compile_po(po.read_text(encoding="utf-8"))
    assert po.with_suffix(".mo").read_bytes() == fresh, "run script/translations"


def test_every_sentence_of_a_template_exists_in_german() -> None:
    sentences = {
        sentence
        for template in (ROOT / "templates").rglob("*.html")
        for sentence in SENTENCE.findall(template.read_text(encoding="utf-8"))
    }
    assert sentences
    with translation.override("de"):
        assert {each for each in sentences if translation.gettext(each) == each} == set()


def test_a_line_that_is_not_understood_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        compile_po('msgid ""\nnonsense\n')
