"""The exit codes of the `device` command."""

FINE = 0
NOT_UP_TO_DATE = 1  # everything is kept; the message says why
WRONG_USAGE = 2
NEEDS_YOU = 3  # refusals, conflicts, or lines that could not be imported
