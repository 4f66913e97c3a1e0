"""Frames that nobody should send, made from a seed."""

from __future__ import annotations

import json
import random
import string
import uuid
from typing import Any

from syncapp.core.clock import next_stamp

# In every amount, name and note: it must never be seen in a log.
MARKER = "7f3aMARKERb1c9"
MIB = 1024 * 1024

Nonsense = tuple[str, bytes, bool]  # what it is called, its bytes, whether it is sent as text

ODD_TEXT = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1E+1000000", "-0", "0x10", "1_000",
    "9" * 5_000, "0." + "0" * 5_000 + "1", "true", "null", '"\\u0000"', '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\uFFFF"', "[" * 2_000 + "]" * 2_000, '{"a":' * 2_000 + "1" + "}" * 2_000, '"1E+1000000"',
    '"NaN"', '"\\u0661"', "2147483648", "9007199254740993", "18446744073709551616", "{}", "[]",
    '"__proto__"', '{"__proto__":1}', "1.5", "-1", '""', '"' + "x" * 70_000 + '"', f'"{MARKER}"',
    '{"type":"hello"}', '"websocket.disconnect"', '"\\"; DROP TABLE account; --"', '"\u202e"',
]  # fmt: skip


class Source:
    """All frames of one seed. `device` and `node` are those of the device that says hello."""

    def __init__(self, seed: int, device: str, node: str) -> None:
        self._random = random.Random(seed)
        self._device, self._node = device, node
        self._number = 0
        self._stamp = ""
        self._ids = [self._uuid() for _ in range(50)]

    def next(self) -> Nonsense:
        makers = [
            (self._bytes, 4),
            (self._text, 6),
            (self._json, 10),
            (self._misshapen, 30),
            (self._odd, 30),
            (self._scratched, 14),
            (self._huge, 0.2),
            (self._valid, 6),
        ]
        makes = self._random.choices([each for each, _ in makers], [w for _, w in makers])[0]
        return makes()

    # --- makers

    def _bytes(self) -> Nonsense:
        return "random bytes", self._random.randbytes(self._random.randint(0, 300)), False

    def _text(self) -> Nonsense:
        if self._random.random() < 0.3:
            return "no UTF-8", self._random.randbytes(self._random.randint(1, 60)), True
        alphabet = string.printable + "\x00\u00e4\u20ac\U0001f600\ufeff\u202e"
        text = "".join(self._random.choices(alphabet, k=self._random.randint(0, 200)))
        return "random text", text.encode(), True

    def _json(self) -> Nonsense:
        return "random JSON", json.dumps(self._value(4)).encode(), True

    def _misshapen(self) -> Nonsense:
        """A valid frame with one place replaced, taken away or added."""
        frame = self._frame()
        for _ in range(self._random.randint(1, 3)):
            holder, key = self._random.choice(_places(frame))
            match self._random.randrange(4):
                case 0:
                    holder[key] = self._value(2)
                case 1 if isinstance(holder, dict):
                    del holder[key]
                case 2 if isinstance(holder, dict):
                    holder[self._word()] = self._value(1)
                case _ if isinstance(holder, list):
                    holder.append(self._value(2))
            if not frame:
                break
        return "misshapen", json.dumps(frame).encode(), True

    def _odd(self) -> Nonsense:
        """A valid frame with raw text in one place that JSON writers would not write."""
        frame = self._frame()
        holder, key = self._random.choice(_places(frame))
        holder[key] = "@@HERE@@"
        text = json.dumps(frame).replace('"@@HERE@@"', self._random.choice(ODD_TEXT))
        return "odd value", text.encode("utf-8", "surrogatepass"), True

    def _scratched(self) -> Nonsense:
        """A valid frame with some characters changed, lost, doubled, or its end missing."""
        text = bytearray(json.dumps(self._frame()).encode())
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(text) or 1)
            match self._random.randrange(5):
                case 0:
                    text[at : at + 1] = self._random.choice(b'{}[]",:0\\').to_bytes(1, "big")
                case 1:
                    del text[at : at + 1]
                case 2:
                    text[at:at] = text[at : at + self._random.randint(1, 30)]
                case 3:
                    del text[at:]
                case _:
                    text[at:at] = bytes([self._random.randrange(256)])
        return "scratched", bytes(text), True

    def _huge(self) -> Nonsense:
        size = self._random.choice([MIB // 4, MIB - 100, MIB + 1, MIB + 4096])
        frame = self._frame()
        frame["pad"] = "x" * size
        text = json.dumps(frame).encode()
        return "huge", text if self._random.random() < 0.5 else b" " * size, True

    def _valid(self) -> Nonsense:
        return "valid", json.dumps(self._frame()).encode(), True

    # --- parts

    def _frame(self) -> dict[str, Any]:
        kinds = {
            "push": self._push,
            "rows": self._rows,
            "hello": self._hello,
            "pull": lambda: {"cursor": None, "limit": self._random.randint(1, 20), "ask": True},
            "ping": lambda: {"pending": 1, "oldestPendingMs": 2, "refused": 0, "parked": 0},
            "report": lambda: {"id": self._uuid(), "sent": 1, "outcome": "done"},
        }
        kind = self._random.choices(list(kinds), [8, 4, 2, 2, 2, 2])[0]
        return {"type": kind, **kinds[kind]()}

    def _hello(self) -> dict[str, Any]:
        return {
            "device": self._device,
            "node": self._node,
            "formerNodes": [],
            "name": MARKER,
            "cursor": None,
            "household": {"name": MARKER},
        }

    def _push(self) -> dict[str, Any]:
        changes = [self._change() for _ in range(self._random.randint(1, 3))]
        return {"changes": changes, "acknowledged": 0}

    def _change(self) -> dict[str, Any]:
        self._number += 1
        kind = self._random.choice(["create", "edit", "delete"])
        return {
            "number": self._number,
            "entity": self._random.choice(["account", "account_group", "conflict"]),
            "id": self._random.choice(self._ids),
            "kind": kind,
            "stamp": self._tick(),
            "fields": {} if kind == "delete" else self._fields(),
            "seen": {},
        }

    def _rows(self) -> dict[str, Any]:
        row = {
            "entity": "account",
            "id": self._random.choice(self._ids),
            "fields": {**self._fields(), "exists": True},
            "stamp": self._tick(),
        }
        return {"rows": [row], "last": True}

    def _fields(self) -> dict[str, Any]:
        return {
            "name": MARKER,
            "note": f"{MARKER} {self._word()}",
            "balance": f"{self._random.randint(-(10**9), 10**9)}.25",
            "accountType": "giro",
        }

    def _tick(self) -> str:
        self._stamp = next_stamp(self._stamp, 1_700_000_000_000, self._node)
        return self._stamp

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _word(self) -> str:
        return "".join(self._random.choices(string.ascii_letters, k=self._random.randint(1, 12)))

    def _value(self, depth: int) -> Any:
        match self._random.randrange(9 if depth else 6):
            case 0:
                return None
            case 1:
                return self._random.choice([True, False])
            case 2:
                return self._random.choice([0, -1, 2**31, 2**53, 2**64, -(2**63), 10**30])
            case 3:
                return self._random.uniform(-1e6, 1e6)
            case 4 | 5:
                return self._random.choice(
                    [self._word(), MARKER, "\x00", "", "x" * 5_000, self._uuid(), self._tick()]
                )
            case 6:
                return [self._value(depth - 1) for _ in range(self._random.randint(0, 4))]
            case _:
                size = self._random.randint(0, 4)
                return {self._word(): self._value(depth - 1) for _ in range(size)}


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) inside a JSON value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list) and value[key]:
            found += _places(value[key])
    return found
