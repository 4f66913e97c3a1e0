"""What people may do with households that are not their own.

Django's permissions decide, in the admin and on every other page alike: being staff opens the
door of the admin and nothing behind it.
"""

from __future__ import annotations

from typing import Any


def may_look_after(person: Any) -> bool:
    """Whether this person may see how every household is."""
    return bool(person.is_staff and person.has_perm("tenants.view_tenant"))


def may_help(person: Any) -> bool:
    """Whether this person may do something for a household that is not his own."""
    return bool(may_look_after(person) and person.has_perm("tenants.change_tenant"))
