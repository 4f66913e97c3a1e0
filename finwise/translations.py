"""From a .po file to the .mo file that gettext reads, without gettext's own tools.

Knows what our files use: msgid and msgstr, over one or several lines. No plurals, no contexts.
"""

import ast
import struct

MAGIC = 0x950412DE


def compile_po(text: str) -> bytes:
    """Return the .mo file for a .po file.

    Raises ValueError on a line that it does not understand.
    """
    messages: dict[str, list[str]] = {}
    current: list[str] | None = None
    key: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("msgid "):
            current = key = []
            line = line.removeprefix("msgid ")
        elif line.startswith("msgstr "):
            current = messages.setdefault("".join(key), [])
            line = line.removeprefix("msgstr ")
        if current is None or not line.startswith('"'):
            raise ValueError(f"line {number} is not understood: {raw}")
        current.append(ast.literal_eval(line))
    return pack({source: "".join(parts) for source, parts in messages.items() if any(parts)})


def pack(messages: dict[str, str]) -> bytes:
    """Lay out a .mo file: a header, two tables of (length, offset), the texts; sorted."""
    pairs = sorted((source.encode(), target.encode()) for source, target in messages.items())
    tables_start = 7 * 4
    texts_start = tables_start + 2 * 8 * len(pairs)
    texts = b""
    tables: list[bytes] = []
    for column in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<2I", len(pair[column]), texts_start + len(texts)))
            texts += pair[column] + b"\0"
    header = struct.pack(
        "<7I", MAGIC, 0, len(pairs), tables_start, tables_start + 8 * len(pairs), 0, 0
    )
    return header + b"".join(tables) + texts
