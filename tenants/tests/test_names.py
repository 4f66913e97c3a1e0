from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.names import BadSchemaName, checked_schema_name, schema_name


@given(st.uuids())
def test_every_uuid_names_a_schema_that_passes_the_check(tenant_id: UUID) -> None:
    """S39"""
    assert checked_schema_name(schema_name(tenant_id)) == f"t_{tenant_id.hex}"


@pytest.mark.parametrize("typed", ["public", "t_1", None, 7, str(UUID(int=7))])
def test_a_name_is_never_made_from_what_somebody_typed(typed: object) -> None:
    """M05"""
    with pytest.raises(BadSchemaName):
        schema_name(typed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "public",
        "information_schema",
        "household_template",
        "pg_catalog",
        "t_" + "a" * 31,
        "t_" + "a" * 33,
        "a" * 64,
        "t_" + "A" * 32,
        "t_" + "g" * 32,
        "t_" + "a" * 32 + "\n",
        "\nt_" + "a" * 32,
        't_"' + "a" * 31,
        "t_" + "a" * 32 + "; DROP SCHEMA public",
        "t_" + "٣" * 32,
        "",
    ],
)
def test_other_names_are_refused_before_any_sql_is_written(name: str) -> None:
    """M05, S39"""
    with pytest.raises(BadSchemaName):
        checked_schema_name(name)
