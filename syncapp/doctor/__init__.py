"""Whether a household's bookkeeping is sound, and mending it where nothing can be lost by that.

    findings.py  what can be wrong, each with its code
    looking.py   finds it, in one snapshot
    mending.py   mends it, in one transaction under the head's lock

What a schema is made of is compared by `tenants/shape.py`.
"""

from .findings import CODES, Finding
from .looking import look
from .mending import mend

__all__ = ["CODES", "Finding", "look", "mend"]
