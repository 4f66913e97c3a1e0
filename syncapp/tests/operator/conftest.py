"""The fixtures of the socket tests, for devices that are connected while an operator works."""

from syncapp.tests.socket.conftest import (  # noqa: F401
    _running_server,
    new_member,
    new_person,
    new_phone,
    raw_connection,
    server,
)
