"""MariaDB: found where it is installed, otherwise from an image or Debian's package."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.servers.private import PrivateServer

MISSING = (
    "The tests need a MariaDB server (10.6 or newer) and none is installed. Install Debian's mariadb-server, or set "
    "FREEHOLD_TEST_MARIADB to an administrator's URL (mysql://user:password@host:port/mysql)."
)


class MariaDB(PrivateServer):
    """A private server with the durability settings of production, whose administrator comes over TCP with a password."""

    name = "MariaDB"
    runs_as = ("mysql", "nobody")

    def __init__(self) -> None:
        super().__init__()
        self._server, self._install_db = self.obtain(
            _installed, "mariadb-server", of="mariadb:11.4", there=("mariadbd", "mariadb-install-db"), missing=MISSING
        )
        (self.folder / "tmp").mkdir()
        self._give(self.folder / "tmp")
        password = secrets.token_urlsafe(16)
        # A server that starts removes what it takes for an old one's temporary tables: each has a folder of its own.
        self.run(
            self._install_db, "--no-defaults", f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder / 'tmp'}",
            "--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal",
        )  # fmt: skip
        self._init = self.write("init.sql", _administrator(password))
        self.launch()
        self._init.write_text("")  # the password is in the server now
        self.url = f"mysql://freehold_admin:{password}@127.0.0.1:{self.port}/mysql"

    def command(self) -> Sequence[str | Path]:
        settings = {
            "datadir": self.folder / "data", "tmpdir": self.folder / "tmp", "socket": self.folder / "socket",
            "pid-file": self.folder / "pid", "bind-address": "127.0.0.1", "port": self.port, "max-connections": 200,
            "init-file": self._init, "innodb-flush-log-at-trx-commit": 1, "innodb-buffer-pool-size": "64M",
            "innodb-log-file-size": "32M", "performance-schema": "OFF",
        }  # fmt: skip
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._server, "--no-defaults", "--skip-name-resolve", "--skip-log-bin", *options]

    def is_up(self) -> bool:
        # It listens before it has run the file that makes the administrator.
        written = (self.folder / "log").read_text(errors="replace")
        return written.count("ready for connections") > self._starts

    def _start(self) -> None:
        log = self.folder / "log"
        self._starts = log.read_text(errors="replace").count("ready for connections") if log.exists() else 0
        super()._start()

    def version(self) -> str:
        return f"MariaDB {self.run(self._server, '--version').partition('Ver ')[2].partition(' ')[0]}"


def _administrator(password: str) -> str:
    """Statements that a server runs when it starts, each on a line."""
    return (
        f"CREATE USER IF NOT EXISTS freehold_admin@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON *.* TO freehold_admin@'%' WITH GRANT OPTION;\n"
    )


def _installed() -> tuple[str, str] | None:
    path = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
    server, installer = (
        shutil.which(name) or shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db")
    )
    return (server, installer) if server and installer else None
