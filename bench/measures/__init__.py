"""The measures by name, in the order in which they run and are told."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..figures import Figure
from ..house import House
from ..scale import Scale

Measure = Callable[[House, Scale], list[Figure]]

BROWSER = "browser"  # by itself: it needs a Chromium, and most of the machine
NAMES = ("flush", "converge", "live", "first_load", "provisioning", "operators", "idle")
# Asked for as "load": many devices for minutes, or for a day.
LOAD = ("crowd", "town", "large", "soak")
SETS = {"": NAMES, "browser": (BROWSER,), "load": LOAD}


def measure(name: str) -> Measure:
    """The function of a measure. Imports it late: it needs Django, and that the database."""
    found: Measure = import_module(f"bench.measures.{name}").measure
    return found
