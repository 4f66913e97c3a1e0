"""FinWise's own PostgreSQL, for when no DATABASE_URL names another.

    process that needs the database ── lease ──▶ supervisor ── child ──▶ postgres

A process takes a *lease*: an open connection to the supervisor's Unix socket. The first lease
starts the supervisor, the supervisor starts PostgreSQL and restarts it if it dies, and when the
last lease is gone it stops PostgreSQL and ends. A killed process cannot forget to give its lease
back, because the kernel closes the connection; a killed supervisor takes PostgreSQL with it,
because the kernel was asked to (Linux) or because the next one stops what it finds (elsewhere).
So nothing is ever left running, and several commands can share one server.

    lease.py       what others call: ensure_running, running
    supervisor.py  the process in the middle
    cluster.py     one data directory: make it, start it, stop it
    account.py     who runs PostgreSQL when we are root, and what that account can reach
    place.py       which files lie where
"""

from finwise.postgres.lease import Lease, ensure_running, running

__all__ = ["Lease", "ensure_running", "running"]
