"""Accounts and groups out of a spreadsheet's CSV, into the queue of a device.

table.py     bytes to records: encoding, delimiter, quoting, line numbers
columns.py   which column means what, in German and English
values.py    cells to values: amounts, yes and no, kinds of account, IBANs
importer.py  lines to rows: what is new, what has changed, what is wrong
"""

from .importer import BadLine, ImportReport, import_csv

__all__ = ["BadLine", "ImportReport", "import_csv"]
