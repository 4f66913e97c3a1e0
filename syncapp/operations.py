"""The migration operation that makes a table a synced one."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor as Editor
from django.db.migrations.operations.base import Operation, OperationCategory

_BY_HAND = "coalesce(current_setting('finwise.writer', true), '') NOT IN ('engine', 'purge')"
_NOT_PURGE = "coalesce(current_setting('finwise.writer', true), '') <> 'purge'"

_TRIGGERS = f"""
CREATE TRIGGER sync_1_lock BEFORE INSERT OR UPDATE OR DELETE ON {{table}}
    FOR EACH STATEMENT WHEN ({_BY_HAND}) EXECUTE FUNCTION sync_lock_head();
CREATE TRIGGER sync_2_stamp BEFORE INSERT OR UPDATE OR DELETE ON {{table}}
    FOR EACH ROW WHEN ({_BY_HAND}) EXECUTE FUNCTION sync_stamp_row();
CREATE TRIGGER sync_3_truncate BEFORE TRUNCATE ON {{table}}
    FOR EACH STATEMENT WHEN ({_NOT_PURGE}) EXECUTE FUNCTION sync_refuse_truncate();
"""

TRIGGER_NAMES = ("sync_1_lock", "sync_2_stamp", "sync_3_truncate")


class SyncTable(Operation):
    """Put the sync triggers on a model's table, in the schema that is being migrated."""

    reduces_to_sql = True
    reversible = True
    category = OperationCategory.SQL

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Triggers are not part of the model state."""

    def database_forwards(
        self, app_label: str, schema_editor: Editor, from_state: Any, to_state: Any
    ) -> None:
        if table := self._table(schema_editor, to_state, app_label):
            schema_editor.execute(_TRIGGERS.format(table=table))

    def database_backwards(
        self, app_label: str, schema_editor: Editor, from_state: Any, to_state: Any
    ) -> None:
        if table := self._table(schema_editor, from_state, app_label):
            for name in TRIGGER_NAMES:
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")

    def _table(self, schema_editor: Editor, state: Any, app_label: str) -> str | None:
        """The quoted table, or None in a schema that does not have it (public)."""
        model = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return None
        return schema_editor.quote_name(model._meta.db_table)

    def describe(self) -> str:
        return f"Every write to {self.model_name} is stamped, numbered and delivered"
