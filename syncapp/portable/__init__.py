"""A whole household as a file: JSON lines that any FinWise can read, and that a person can.

format.py     the lines, and what makes one of them unacceptable
exporting.py  out of the database, in one snapshot
importing.py  into the database, in one transaction, as a new epoch
"""

from .exporting import export_household
from .format import BadLines, Portable, read_lines
from .importing import Imported, NotEmpty, import_household

__all__ = [
    "BadLines",
    "Imported",
    "NotEmpty",
    "Portable",
    "export_household",
    "import_household",
    "read_lines",
]
