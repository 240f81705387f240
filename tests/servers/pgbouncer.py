"""PgBouncer in transaction mode before a PostgreSQL server: found where it is installed, otherwise Debian's package."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import make_url

from tests.servers.private import PrivateServer, install

POOL = 20
"""Connections to the server for each role and database; everybody's transactions take turns on them."""


class PgBouncer(PrivateServer):
    """A private one that lets in whoever the server would, and asks it for their passwords' verifiers.

    Args:
        admin_url: the PostgreSQL server's, with a superuser.
    """

    name = "PgBouncer"
    runs_as = ("postgres", "nobody")

    def __init__(self, admin_url: str) -> None:
        super().__init__()
        self._program = _program()
        self._server = make_url(admin_url)
        self.launch()
        self.address = f"127.0.0.1:{self.port}"

    def command(self) -> Sequence[str | Path]:
        users = self.write("users", f'"{self._server.username}" "{self._server.password}"\n')
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "pool_mode": "transaction",
            "auth_type": "scram-sha-256", "auth_file": users, "auth_user": self._server.username,
            "auth_query": "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1",
            "default_pool_size": POOL, "max_client_conn": 2000, "server_idle_timeout": 1, "server_round_robin": 1,
        }  # fmt: skip
        lines = [f"{key} = {value}" for key, value in settings.items()]
        server = f"* = host={self._server.host} port={self._server.port}"
        return [self._program, self.write("pgbouncer.ini", "\n".join(["[databases]", server, "[pgbouncer]", *lines]))]

    def version(self) -> str:
        return self.run(self._program, "--version").partition("\n")[0]


def _program() -> str:
    found = _installed()
    if found is None:
        install("pgbouncer")
        found = _installed()
    if found is None:
        raise RuntimeError(
            "The tests need PgBouncer and it is not installed. Install Debian's pgbouncer, or set "
            "FREEHOLD_TEST_PGBOUNCER to host:port of one in transaction mode before the tests' PostgreSQL server."
        )
    return found


def _installed() -> str | None:
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
