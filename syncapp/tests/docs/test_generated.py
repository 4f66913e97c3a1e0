"""The documents generated from the messages are fresh, and say so when they are not."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from django.core.management import CommandError, call_command

from syncapp import protocol
from syncapp.core import entity, errors, messages
from syncapp.protocol import shapes
from syncapp.registry import entities
from syncapp.tests.core.test_errors import all_errors


def test_the_generated_documents_are_fresh(capsys):
    call_command("generate_protocol", "--check")
    assert capsys.readouterr().out == "The generated documents are up to date.\n"


def test_a_document_that_is_out_of_date_is_named_with_the_command_that_renews_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(protocol, "ROOT", tmp_path)
    with pytest.raises(CommandError, match=r"messages\.ts.*Run: python manage\.py generate_prot"):
        call_command("generate_protocol", "--check")
    call_command("generate_protocol")
    assert f"Wrote {protocol.TYPESCRIPT}\n" in capsys.readouterr().out
    call_command("generate_protocol", "--check")
    (tmp_path / protocol.ASYNCAPI).write_text("{}")
    with pytest.raises(CommandError, match=r"^Out of date: docs/protocol/asyncapi\.json\. Run"):
        call_command("generate_protocol", "--check")


def test_a_new_key_in_python_makes_both_documents_stale(monkeypatch, tmp_path):
    class Pong(msgspec.Struct, rename="camel", tag="pong"):
        time_ms: int
        head: messages.Count
        mood: str = ""

    down = [Pong if each is messages.Pong else each for each in shapes.DOWN]
    structs = [Pong if each is messages.Pong else each for each in shapes.STRUCTS]
    monkeypatch.setattr(shapes, "DOWN", down)
    monkeypatch.setattr(shapes, "STRUCTS", structs)
    assert protocol.stale() == [protocol.ASYNCAPI, protocol.TYPESCRIPT]


def test_every_frame_and_part_has_a_sentence():
    for struct in shapes.STRUCTS:
        assert re.match(r"[A-Z].+\.", shapes.summary(struct), re.DOTALL), struct


def test_no_struct_of_the_wire_is_forgotten():
    on_the_wire = {
        value
        for name, value in vars(messages).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and name[0] != "_"
    } - {msgspec.Struct}
    assert on_the_wire <= set(shapes.STRUCTS)


def test_what_a_device_is_told_of_entities_is_exactly_what_the_types_say():
    told = entity.describe(entities())
    typed = msgspec.convert(told, dict[str, shapes.EntityDescription])
    assert msgspec.to_builtins(typed) == told


def test_every_close_code_of_an_error_is_told():
    told = {code for codes in shapes.close_codes().values() for code in codes}
    closing = {each.code for each in all_errors() if each.close_code is not None}
    assert told == closing


def test_every_refusal_code_is_told():
    assert list(shapes.refusal_codes()) == list(errors.REFUSAL_CODES)


def test_the_asyncapi_document_names_every_frame_and_refers_to_nothing_that_is_missing():
    document = json.loads(protocol.documents()[protocol.ASYNCAPI])
    frames = {*messages.UP_FRAMES, *messages.DOWN_FRAMES}
    assert document["components"]["messages"].keys() == frames
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        place = document
        for key in reference.split("/"):
            place = place[key]


def test_the_typescript_names_every_key_of_every_frame():
    text = protocol.documents()[protocol.TYPESCRIPT]
    for struct in shapes.STRUCTS:
        for field in shapes.fields(struct):
            assert re.search(rf"readonly {field.name}\??: ", text), f"{struct}.{field.name}"
    assert "Python" not in text
    assert max(map(len, text.splitlines())) <= 110
