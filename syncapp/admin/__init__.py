"""Looking after households: the list, each one's devices, what can be done for them.

households.py  the list at /admin/, and one household's page
cures.py       what can be done, each with a page that asks first and an audit entry
site.py        the admin of one household's own rows, under that household's address
rows.py        a page for a kind of row: saves through `syncapp.editing`, tombstones can be seen
"""

from . import households  # noqa: F401  registers the pages
