"""A server of the tests' own: on loopback, on a free port, its data in a temporary folder, gone with the test run."""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from tests.servers.docker import Image, image, own_user
from tests.servers.times import alone, getting, got, looking, started

T = TypeVar("T")
START_SECONDS = 60
# Programs end with the thread that started them, so it must be one that lives as long as this process.
_spawner = ThreadPoolExecutor(1)


class PrivateServer:
    """Starts a program, knows when it answers, and stops, kills and starts it again with its data kept.

    A kind of server says what it is called, whether it `is_up`, and which `command` starts it on `self.port`.
    """

    name = "a server"
    stop_signal = signal.SIGTERM
    runs_as: Sequence[str] = ()
    """Users to run it as when the tests run as root; the first that exists. None: as whoever runs the tests."""

    def __init__(self) -> None:
        self._began = looking()
        got()  # what was for others
        self.folder = Path(tempfile.mkdtemp(prefix=f"freehold-{type(self).__name__.lower()}-"))
        atexit.register(self.close)
        self._process: subprocess.Popen[bytes] | None = None
        self.image: Image | None = None
        self.port = free_port()

    # --- what a kind of server says -----------------------------------------------------------------------------------

    def command(self) -> Sequence[str | Path]:
        """What starts it in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What it needs beside this process's environment."""
        return {}

    def folders(self) -> Sequence[Path]:
        """What it reads and writes; its programs may come out of an image that has nothing else."""
        return [self.folder]

    def is_up(self) -> bool:
        """Whether it answers."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def version(self) -> str:
        """Its name and version, in a line."""
        return self.name

    # --- its programs -------------------------------------------------------------------------------------------------

    def obtain(self, look: Callable[[], T | None], *packages: str, of: str, there: T, missing: str) -> T:
        """What `look` finds installed; else what it is in an image; else what it finds once Debian's packages are here.

        Args:
            look: the programs, or None.
            packages: that bring them.
            of: the image's name, where an engine answers.
            there: the programs as the image has them.
            missing: says what to do when they cannot be had.

        Raises:
            RuntimeError: with `missing`.
        """
        if (found := look()) is not None:
            return found
        self.image = image(of)
        if self.image is not None:
            return there
        install(*packages)
        if (found := look()) is None:
            raise RuntimeError(missing)
        return found

    # --- its life -----------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start it for the first time, on another port when somebody took the one we looked at."""
        for _ in range(3):
            self._start()
            if self._comes_up():
                origin = f" in {self.image.name}" if self.image is not None else ""
                started(self.version() + origin, got(), time.monotonic() - self._began)
                return
            self.pause()
            self.port = free_port()
        raise RuntimeError(f"{self.name} did not start; its log says:\n{self.log()}")

    def pause(self) -> None:
        """Stop it, with its data kept."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def resume(self) -> None:
        """Start it again at the same address, if it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        self._start()
        if not self._comes_up():
            raise RuntimeError(f"{self.name} did not start again:\n{self.log()}")

    def close(self) -> None:
        self.pause()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """The last of what it wrote."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def run(self, *command: str | Path) -> str:
        """Run a program of the server's to its end, as its user; what it printed. Raises RuntimeError when it fails."""
        done = subprocess.run(
            self._inside(command, "tool"), check=False, capture_output=True, text=True, cwd="/",
            env={**os.environ, **self.environment()}, **self._identity(),
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def write(self, name: str, text: str) -> Path:
        """A file in the server's folder that only its user can read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        self._give(path)
        return path

    def _start(self) -> None:
        self._process = self.spawn(*self.command())

    def spawn(self, *command: str | Path, role: str = "server") -> subprocess.Popen[bytes]:
        """Start a program as the server's user, with its environment and into its log; it ends with this process."""
        with (self.folder / "log").open("ab") as output:
            return _spawner.submit(
                subprocess.Popen, self._inside(command, role), stdout=output, stderr=output, cwd="/",
                env={**os.environ, **self.environment()},
                preexec_fn=partial(_end_with_parent, self.stop_signal), **self._identity(),
            ).result()  # fmt: skip

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if self.is_up():
                return True
            time.sleep(0.02)
        return False

    def send(self, how: signal.Signals) -> None:
        """Send it a signal."""
        if self.image is not None:
            self.image.send("server", how)
        elif self._process is not None:
            self._process.send_signal(how)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self.send(how)
            try:
                self._process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)
                self._process.kill()
                self._process.wait()
            self._process = None

    @cached_property
    def _user(self) -> pwd.struct_passwd | None:
        """Whose the server and its folder are; asked for after its programs are there, which may bring the user."""
        found = _user(self.runs_as, self.name)
        if found is not None:
            os.chown(self.folder, found.pw_uid, found.pw_gid)
        return found

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _inside(self, command: Sequence[str | Path], role: str) -> Sequence[str | Path]:
        if self.image is None:
            return command
        user = (self._user.pw_uid, self._user.pw_gid) if self._user is not None else own_user()
        return self.image.around(command, role=role, folders=self.folders(), user=user, environment=self.environment())

    def _identity(self) -> dict[str, Any]:
        if self._user is None or self.image is not None:  # Docker's client is ours; the container has its own user
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@alone
def install(*packages: str) -> None:
    """Install Debian packages where we may; whoever needs them looks again and says what is missing."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with getting("installed", f"Debian's {' '.join(packages)}"):
            done = subprocess.run(command, check=False, capture_output=True, env=environment)
            if done.returncode:
                subprocess.run(["apt-get", "update", "-q"], check=False, capture_output=True)
                done = subprocess.run(command, check=False, capture_output=True, env=environment)
        if done.returncode:
            print(done.stderr.decode(errors="replace"), file=sys.stderr)


def free_port() -> int:
    """A port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _user(names: Sequence[str], what: str) -> pwd.struct_passwd | None:
    if os.geteuid() != 0 or not names:
        return None
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError(f"{what} does not run as root, and there is no user {' or '.join(names)}. Add one.")


def _end_with_parent(how: signal.Signals) -> None:
    """A test run that is killed takes its servers with it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, how)
