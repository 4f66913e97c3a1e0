"""The AsyncAPI 3.0 document, with the JSON schemas that msgspec derives from the structs."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from syncapp.core import messages
from syncapp.core.errors import FRAME_ERRORS

from . import shapes

_REF = "#/components/schemas/{name}"
_CHANNEL = "#/channels/sync"


def asyncapi() -> str:
    """The document as JSON text."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    frames = [*shapes.UP, *shapes.DOWN]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "FinWise sync",
            "version": "1",
            "description": (
                "How devices of a household keep in step with its server, over one WebSocket. "
                "Generated from syncapp/core/messages.py by `manage.py generate_protocol`; "
                "docs/protocol/SPEC.md holds the rules."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            "sync": {
                "address": "/ws/sync/{household}/",
                "title": "A household's socket",
                "description": f"Subprotocol {messages.PROTOCOL}; JSON text frames.",
                "parameters": {"household": {"description": "The household's UUID, lower case."}},
                "messages": {
                    shapes.tag(each): {"$ref": f"#/components/messages/{shapes.tag(each)}"}
                    for each in frames
                },
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        # The application described is the server: it receives what devices send.
        "operations": {
            "deviceToServer": _operation("receive", "What a device sends.", shapes.UP),
            "serverToDevice": _operation("send", "What the server sends.", shapes.DOWN),
        },
        "components": {
            "messages": {shapes.tag(each): _message(each) for each in frames},
            "schemas": _schemas(),
        },
        "x-limits": shapes.constants(),
        "x-errors": {
            each.code: {
                "sentence": each.sentence,
                "retryable": each.retryable,
                "closeCode": each.close_code,
            }
            for each in FRAME_ERRORS
        },
        "x-refusals": shapes.refusal_codes(),
        "x-close-codes": {str(code): errors for code, errors in shapes.close_codes().items()},
    }


def _operation(action: str, summary: str, frames: list[type[msgspec.Struct]]) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": _CHANNEL},
        "messages": [{"$ref": f"{_CHANNEL}/messages/{shapes.tag(each)}"} for each in frames],
    }


def _message(frame: type[msgspec.Struct]) -> dict[str, Any]:
    message = {"name": shapes.tag(frame), "title": frame.__name__}
    summary = shapes.summary(frame)
    if summary:
        message["summary"] = summary
    return {**message, "payload": {"$ref": _REF.format(name=frame.__name__)}}


def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(shapes.STRUCTS, ref_template=_REF)
    schemas["Welcome"]["properties"]["entities"]["additionalProperties"] = {
        "$ref": _REF.format(name="EntityDescription")
    }
    # In the order of the structs, not of the alphabet: parts, then frames.
    return {each.__name__: schemas[each.__name__] for each in shapes.STRUCTS}
