"""What the channel layer is told, and under which names."""

from __future__ import annotations

import uuid

import pytest
from channels.layers import BaseChannelLayer

from syncapp.relay import group_of


def test_a_group_is_named_by_hexadecimal_digits_alone() -> None:
    """S44"""
    tenant_id = uuid.uuid4()
    name = group_of(tenant_id)
    assert tenant_id.hex in name
    assert BaseChannelLayer().require_valid_group_name(name)


@pytest.mark.parametrize("typed", ["x\n", "t_00", "../x", "", None, 7])
def test_a_group_is_never_named_by_what_somebody_typed(typed: object) -> None:
    """S44"""
    with pytest.raises((AttributeError, TypeError, ValueError)):
        group_of(typed)  # type: ignore[arg-type]
