"""What can be typed behind `manage.py device`."""

from __future__ import annotations

import argparse
import os

DESCRIPTION = (
    "A device of a household: keeps accounts and groups in a file, works without a network, and"
    " syncs with a FinWise server. Exit codes: 0 all is well; 1 not up to date, everything is"
    " kept; 2 wrong usage; 3 something needs you (refusals, conflicts, lines that could not be"
    " imported)."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.description = DESCRIPTION
    parser.add_argument(
        "--store",
        default=os.environ.get("FINWISE_STORE", "phone.sqlite"),
        help="the file in which this device keeps everything (or FINWISE_STORE; %(default)s)",
    )
    parser.add_argument("--url", help="the server, like ws://127.0.0.1:8000; kept in the store")
    parser.add_argument("--token", help="who you are (or FINWISE_TOKEN); never kept")
    parser.add_argument(
        "--household", "--tenant", help="the UUID of the household to join; once is enough"
    )
    parser.add_argument("--device-name", default="", help="what others see this device as")
    parser.add_argument("--json", action="store_true", help="one JSON value for scripts")
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")

    new = actions.add_parser("new-household", help="begin a household here, without a network")
    new.add_argument("--name", required=True)

    group = actions.add_parser("add-group", help="queue a new group")
    group.add_argument("name")
    _fields(group)

    account = actions.add_parser("add-account", help="queue a new account")
    account.add_argument("name")
    account.add_argument("--type", help="giro, tagesgeld, depot, … or in words: 'Current account'")
    account.add_argument("--group", help="name or id of its group")
    account.add_argument("--iban")
    account.add_argument("--balance", help="12.50 or 12,50")
    account.add_argument("--credit-limit")
    account.add_argument("--offset")
    account.add_argument("--description")
    account.add_argument("--note")
    account.add_argument("--inactive", action="store_true")
    account.add_argument("--offline-budget", action="store_true")
    _fields(account)

    edit = actions.add_parser("edit", help="queue new values of a row")
    edit.add_argument("row", help="its name, id, or the beginning of its id")
    edit.add_argument("--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE",
                      required=True)  # fmt: skip

    delete = actions.add_parser("delete", help="queue the deletion of a row")
    delete.add_argument("row", help="its name, id, or the beginning of its id")

    show = actions.add_parser("list", help="show the rows of this device")
    show.add_argument("entity", nargs="?", help="account or account_group; both if left out")
    show.add_argument("--deleted", action="store_true", help="deleted rows, too")

    sync = actions.add_parser("sync", help="send and receive until all is up to date")
    sync.add_argument("--patience", type=float, default=30.0, metavar="SECONDS",
                      help="without a sign of progress (%(default)s)")  # fmt: skip
    actions.add_parser("watch", help="stay connected and tell what changes, until Ctrl-C")

    load = actions.add_parser("import", help="queue the accounts and groups of a CSV file")
    load.add_argument("file")

    actions.add_parser("status", help="how this device stands; asks no server")

    refused = actions.add_parser("refused", help="changes that the server could not accept")
    refused.add_argument("--discard", type=int, metavar="N", help="give up change N")
    refused.add_argument("--again", type=int, metavar="N", help="queue change N anew")
    _fields(refused)

    conflicts = actions.add_parser("conflicts", help="values that were overruled")
    conflicts.add_argument("--use-mine", metavar="ID", help="take the overruled value after all")
    conflicts.add_argument("--dismiss", metavar="ID", help="leave it as it is")


def _fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE",
        help="any field by its wire name, such as sortOrder=3",
    )  # fmt: skip
