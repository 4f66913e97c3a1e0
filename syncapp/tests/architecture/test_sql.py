"""The head's lock comes before any row: nothing may lock a synced row by itself."""

from __future__ import annotations

import ast
import re

from syncapp.sql import statements, text_of

from .source import ROOT, files, tree

LOCKS = re.compile(r"FOR\s+(?:NO\s+KEY\s+)?UPDATE|FOR\s+(?:KEY\s+)?SHARE", re.IGNORECASE)
READS = re.compile(r"(?:FROM|JOIN)\s+([\w{}.%\"]+)", re.IGNORECASE)


def test_the_only_row_that_the_engine_locks_is_the_head():
    locking = {}
    for file in ("household", "table"):
        for name, statement in statements(file).items():
            if LOCKS.search(statement):
                locking[name] = READS.findall(statement)
    assert locking == {"lock_head": ["{schema}.sync_head"]}


def test_the_only_row_that_the_triggers_lock_is_the_head():
    lines = [line for line in text_of("triggers").splitlines() if LOCKS.search(line)]
    assert lines
    for line in lines:
        assert READS.findall(line) == ["%I.sync_head"], line


def test_the_head_is_locked_in_a_statement_of_its_own():
    # Locking and reading rows at once would read them in the snapshot from before the wait.
    assert READS.findall(statements("household")["lock_head"]) == ["{schema}.sync_head"]
    locking = re.search(
        r"FUNCTION sync_lock_head\(\).*?AS \$\$(.*?)\$\$", text_of("triggers"), re.DOTALL
    )
    assert locking is not None
    assert locking[1].count("EXECUTE") == 1


def test_no_python_locks_synced_rows():
    for package in ("syncapp", "accounts"):
        for path in files(package):
            for node in ast.walk(tree(path)):
                where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Attribute):
                    assert node.attr != "select_for_update", where
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    is_code = "SELECT" in node.value and LOCKS.search(node.value)
                    assert not is_code, where


def test_stamps_that_come_out_of_json_are_compared_byte_by_byte():
    """D04: a text out of jsonb has the collation of the database, not that of any column."""
    compares = re.compile(
        r"(?:\b(?:max|min)\(\s*|[<>]=?\s*)\w+\.value\b(?! COLLATE \"C\")"
        r"|\.value\)?\s*(?:<|>)"
    )
    assert compares.search("max(s.value)") and compares.search("s.value <= %(future)s")
    looked = [path.stem for path in sorted((ROOT / "syncapp" / "sql").glob("*.sql"))]
    assert {"table", "doctor", "triggers"} <= set(looked)
    for name in looked:
        assert not (found := compares.search(text_of(name))), f"{name}: {found}"


def test_every_statement_names_its_schema():
    for name, statement in statements("household").items():
        for table in READS.findall(statement) + re.findall(
            r"(?:INTO|UPDATE)\s+([\w{}.]+)", statement
        ):
            is_table = "sync_" in table
            assert not is_table or table.startswith("{schema}."), f"{name}: {table}"


def test_the_triggers_name_everything_by_the_table_they_serve():
    for line in text_of("triggers").splitlines():
        code = line.split("--")[0]
        for table in re.findall(r"(\S+)sync_(?:head|transaction|take)\b", code):
            is_definition = "CREATE OR REPLACE FUNCTION" in code
            assert is_definition or table.endswith("%I."), line
