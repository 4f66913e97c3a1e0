"""The TypeScript of the wire: one interface for each struct, unions tagged by `type`."""

from __future__ import annotations

import json
import textwrap
import typing
from typing import Any, Literal

from msgspec import Struct

from syncapp.core.errors import FRAME_ERRORS

from . import shapes

_WIDTH = 96

_HEAD = """\
// Generated from syncapp/core/messages.py by `manage.py generate_protocol`. Do not edit.
//
// The wire: every frame of protocol version 1. A key with "?" may be absent and then means
// what its comment says. A device ignores keys and error codes that it does not know.
"""
_JSON = """\
/** What JSON holds. Known fields hold scalars; what a newer server says may be more. */
export type Json = Scalar | readonly Json[] | { readonly [key: string]: Json }
export type Scalar = string | number | boolean | null
"""

# Names that mean something else in every browser.
_RENAMED = {"Error": "ErrorFrame", "Node": "NodeText"}
_SCALARS = {str: "string", int: "number", bool: "boolean", type(None): "null", Any: "Json"}


def typescript() -> str:
    """The module as text."""
    sections = [
        _HEAD,
        _section("Limits", _constants()),
        _section("Values", "\n".join([_JSON.rstrip(), *_aliases()]) + "\n"),
        _section("Parts of frames", _interfaces(shapes.PARTS)),
        _section("Device to server", _interfaces(shapes.UP)),
        _union("UpFrame", "What a device sends.", shapes.UP),
        _section("Server to device", _interfaces(shapes.DOWN)),
        _union("DownFrame", "What the server sends.", shapes.DOWN),
        _section("Codes", _errors()),
        _refusals(),
        _closings(),
    ]
    return "\n".join(sections)


def _section(title: str, body: str) -> str:
    return f"// --- {title} {'-' * (_WIDTH - len(title) - 8)}\n\n{body}"


def _constants() -> str:
    return "".join(
        f"export const {name} = {json.dumps(value)}\n" for name, value in shapes.constants().items()
    )


def _aliases() -> list[str]:
    lines = []
    for name, annotation in shapes.aliases().items():
        if typing.get_origin(annotation) is Literal:
            lines.append(f"export type {name} = {_type(annotation, is_named=False)}")
        elif annotation.__origin__ is str:
            lines += [_comment(_limits(annotation)), f"export type {_name(name)} = string"]
    return lines


def _limits(annotation: Any) -> str:
    """What a text may hold, in words: its length and pattern."""
    meta = annotation.__metadata__[0]
    least = "" if meta.min_length is None else f"{meta.min_length} to "
    words = f"{least or 'At most '}{meta.max_length} characters"
    return f"{words}: {meta.pattern}" if meta.pattern else words


def _interfaces(structs: list[type[Struct]]) -> str:
    return "\n".join(_interface(each) for each in structs)


def _interface(struct: type[Struct]) -> str:
    lines = [f"export interface {_name(struct.__name__)} {{"]
    summary = shapes.summary(struct)
    if summary:
        lines.insert(0, _comment(summary))
    tag = shapes.tag(struct)
    if tag is not None:
        lines.append(f'  readonly type: "{tag}"')
    for field in shapes.fields(struct):
        mark = "" if field.is_required else "?"
        absent = "" if field.is_required else f" // absent: {_literal(field.default)}"
        lines.append(f"  readonly {field.name}{mark}: {_type(field.annotation)}{absent}")
    return "\n".join([*lines, "}", ""])


def _union(name: str, summary: str, structs: list[type[Struct]]) -> str:
    members = "".join(f"\n  | {_name(each.__name__)}" for each in structs)
    return (
        f"/** {summary} */\nexport type {name} ={members}\n"
        f'export type {name}Type = {name}["type"]\n'
    )


def _errors() -> str:
    lines = [
        _comment(
            "Why a frame was not accepted. It settled nothing; the sender keeps what it sent."
        ),
        "export const ERRORS = {",
    ]
    for error in FRAME_ERRORS:
        close_code = "null" if error.close_code is None else str(error.close_code)
        lines += [
            f"  {error.code}: {{",
            f"    sentence: {json.dumps(error.sentence)},",
            f"    retryable: {json.dumps(error.retryable)},",
            f"    closeCode: {close_code},",
            "  },",
        ]
    return "\n".join([*lines, "} as const", "export type ErrorCode = keyof typeof ERRORS", ""])


def _refusals() -> str:
    lines = [
        _comment("Why one change can be refused. The sentence a person reads comes with it."),
        "export const REFUSAL_CODES = [",
    ]
    for code, meaning in shapes.refusal_codes().items():
        lines.append(f'  "{code}",{f" // {meaning}" if meaning else ""}')
    return "\n".join(
        [*lines, "] as const", "export type RefusalCode = (typeof REFUSAL_CODES)[number]", ""]
    )


def _closings() -> str:
    lines = [
        _comment("The errors after which a socket closes, by WebSocket close code."),
        "export const CLOSE_CODES = {",
    ]
    for code, errors in shapes.close_codes().items():
        lines.append(f"  {code}: {json.dumps(errors)},")
    return "\n".join([*lines, "} as const", ""])


def _type(annotation: Any, *, is_named: bool = True) -> str:
    """A Python annotation as a TypeScript type."""
    if is_named:
        for name, alias in shapes.aliases().items():
            if alias == annotation:
                is_text = typing.get_origin(alias) is Literal or alias.__origin__ is str
                return _name(name) if is_text else "number"
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return _name(annotation.__name__)
    inner = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " | ".join(json.dumps(each) for each in inner)
    if shapes.is_union(annotation):
        return " | ".join(_type(each) for each in inner)
    if origin is list:
        return f"readonly {_type(inner[0])}[]"
    if origin is dict:
        return f"Readonly<Record<string, {_type(inner[1])}>>"
    raise TypeError(f"no TypeScript for {annotation!r} yet")


def _literal(value: Any) -> str:
    if isinstance(value, Struct):
        return "{}"
    return json.dumps(value)


def _name(name: str) -> str:
    return _RENAMED.get(name, name)


def _comment(text: str) -> str:
    if "\n" not in text and len(text) <= _WIDTH - 7:
        return f"/** {text} */"
    lines = ["/**"]
    for paragraph in text.split("\n\n"):
        if len(lines) > 1:
            lines.append(" *")
        lines += [f" * {line}" for line in textwrap.wrap(paragraph, _WIDTH - 3)]
    return "\n".join([*lines, " */"])
