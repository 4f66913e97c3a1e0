"""A household with apps and phones, in one thread."""

from __future__ import annotations

import pytest

from syncapp.tests.device.harness import Phone, Server, Time, sync
from syncapp.tests.finwise04.rig import AppLink, MemoryShown


@pytest.fixture
def server():
    made = Server(Time())
    made.add()
    return made


@pytest.fixture
def new_app(server):
    """Apps of one person; each in a browser of its own unless told otherwise."""
    store = MemoryShown()
    count = iter(range(100))

    def make(browser=None, **options):
        return AppLink(server, store, browser or f"browser {next(count)}", **options)

    return make


@pytest.fixture
def phone(server):
    """A device of our own protocol, online and up to date."""
    made = Phone(server)
    sync(server, made)
    return made


@pytest.fixture
def settle(server):
    """Bring everybody up to date; time passes."""

    def rest(*links_and_phones):
        for _ in range(3):
            server.time.ms += 1000
            for each in links_and_phones:
                each.come_online() if isinstance(each, AppLink) else sync(server, each)

    return rest
