"""A household on one device: rows, queue, and what every frame does to them.

Synchronous and without a socket: `conversation.py` feeds it frames and sends what it says.
A simulation drives it frame by frame.

    ground.py    the store, the clock, who we are, the rows as their person sees them
    editing.py   create, edit, delete
    hearing.py   welcome and changes: what the server says
    settling.py  ack: what became of what was sent
    identity.py  copies of a store, and households whose id is taken
    sending.py   hello, pull, push, rows, ping, report: what the device says
    review.py    refusals and conflicts: what needs a person
"""

from __future__ import annotations

from .review import Review
from .sending import Sending


class Replica(Review, Sending):
    """One household's replica over one store. Constructor: see `Ground`."""


__all__ = ["Replica"]
