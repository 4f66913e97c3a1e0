"""What a schema is made of, so that two can be compared."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

_LINES = """
SELECT concat_ws(' ', 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                 a.attnotnull, a.attidentity, l.collname, pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
  LEFT JOIN pg_collation l ON l.oid = a.attcollation
 WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT concat_ws(' ', 'relation', relkind, relname, reloptions)
  FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
UNION ALL
SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
UNION ALL
SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = %(schema)s
UNION ALL
SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), t.tgenabled)
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT concat_ws(' ', 'function', pg_get_functiondef(oid))
  FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
UNION ALL
SELECT concat_ws(' ', 'type', typname, typtype)
  FROM pg_type WHERE typnamespace = %(schema)s::regnamespace
"""


def portrait(connection: BaseDatabaseWrapper, schema: str) -> set[str]:
    """Return one line for everything in a schema but its rows, with its name left out."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES, {"schema": schema})
        return {line.replace(schema, "*") for (line,) in cursor.fetchall()}
