"""What travels in tests that know no Django: accounts and groups like the real ones."""

from __future__ import annotations

from syncapp.core.entity import Entity, Field

ACCOUNT_TYPES = (
    "giro", "tagesgeld", "festgeld", "spar", "kreditkarte", "depot", "bauspar", "darlehen",
    "geschaeft", "gemeinschaft", "fremdwaehrung", "virtuell", "bar", "sonstiges",
)  # fmt: skip

_GROUP = (
    Field("name", "text", is_required=True, max_length=120),
    Field("sortOrder", "int", 0),
    Field("image", "image", "", max_length=136_597),
)
_ACCOUNT = (
    Field("name", "text", is_required=True, max_length=120),
    Field("description", "text", "", max_length=500),
    Field("note", "text", "", max_length=4000),
    Field("accountType", "choice", "giro", choices=ACCOUNT_TYPES),
    Field("isActive", "bool", True),
    Field("isOfflineBudget", "bool", False),
    Field("accountGroupId", "reference", None, is_nullable=True, target="account_group"),
    Field("sortOrder", "int", 0),
    Field("iban", "iban", "", max_length=34),
    Field("balance", "decimal", "0"),
    Field("creditLimit", "decimal", "0"),
    Field("offset", "decimal", "0"),
    Field("image", "image", "", max_length=136_597),
)


def entity(name: str, *fields: Field, is_read_only: bool = False) -> Entity:
    return Entity(name, {each.name: each for each in fields}, is_read_only)


HOUSEHOLD: dict[str, Entity] = {
    "account": entity("account", *_ACCOUNT),
    "account_group": entity("account_group", *_GROUP),
    "conflict": entity("conflict", is_read_only=True),
}
