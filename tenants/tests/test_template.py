"""The template's text: rendered, cleaned, and proved faithful before anybody relies on it."""

from typing import Any

import pytest
from django.db import connection

from tenants import dump, template
from tenants.models import TemplateDdl

OTHER = "t_" + "a" * 32

PG_DUMP = r"""--
-- PostgreSQL database dump
--

\restrict abc

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: household_template; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA household_template;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: f(); Type: FUNCTION; Schema: household_template; Owner: -
--

CREATE FUNCTION household_template.f() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE x
SET a = 1; -- not pg_dump's SET
END $$;

ALTER TABLE ONLY household_template.t ADD CONSTRAINT household_template_x CHECK (true);

\unrestrict abc
"""


def test_what_pg_dump_says_to_its_own_session_is_left_out() -> None:
    text = dump.cleaned(PG_DUMP)
    assert text.startswith("CREATE SCHEMA household_template;")
    assert "restrict" not in text
    assert "search_path" not in text
    assert "default_tablespace" not in text
    assert "\nSET a = 1;" in text


def test_only_the_schema_itself_is_renamed() -> None:
    text = dump.for_schema(dump.cleaned(PG_DUMP), OTHER)
    assert f"CREATE SCHEMA {OTHER};" in text
    assert f"FUNCTION {OTHER}.f()" in text
    assert "CONSTRAINT household_template_x" in text


def test_output_without_the_schema_is_refused() -> None:
    with pytest.raises(dump.CannotDump):
        dump.cleaned("-- nothing\n")


def test_a_name_that_is_no_household_is_refused() -> None:
    with pytest.raises(ValueError, match="is not the schema"):
        dump.for_schema("CREATE SCHEMA household_template;", "public; DROP SCHEMA public")


def test_a_server_newer_than_pg_dump_is_said(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "_major", lambda program: 12)
    with pytest.raises(dump.CannotDump, match="pg_dump 12 is older than the server's PostgreSQL"):
        dump.dump(connection)


def test_a_machine_without_pg_dump_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dump, "_shipped", lambda: None)
    monkeypatch.setattr(dump.shutil, "which", lambda name: None)
    with pytest.raises(dump.CannotDump, match="no pg_dump"):
        dump._pg_dump(18)


def test_when_nothing_can_be_rendered_the_old_text_is_not_used_either(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = list(TemplateDdl.objects.all())
    monkeypatch.setattr(dump, "_major", lambda program: 12)
    try:
        assert "older than the server" in str(template.prepare(again=True))
        assert template.current_text() is None
    finally:
        TemplateDdl.objects.bulk_create(kept)


def test_a_text_that_makes_something_else_is_never_stored(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a later pg_dump invents, new households equal migrated ones."""
    kept = list(TemplateDdl.objects.all())
    render = dump.dump

    def careless(source: Any) -> str:
        text = render(source)
        assert "NOT NULL" in text
        return text.replace("seq bigint NOT NULL", "seq bigint")

    monkeypatch.setattr(dump, "dump", careless)
    try:
        assert "makes a different schema" in str(template.prepare(again=True))
        assert template.current_text() is None
    finally:
        TemplateDdl.objects.bulk_create(kept)


def test_a_current_template_is_left_alone(
    ready_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Any) -> str:
        raise AssertionError("rendered again")

    monkeypatch.setattr(dump, "dump", fail)
    assert template.prepare() is None
