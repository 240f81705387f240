"""Programs out of a container's image, where a Docker engine answers: on this machine's network, in the test's folder.

They are run like installed ones: with the same arguments, as the same user, at the same addresses. That takes an engine
of this machine; one in a virtual machine has another network, and is not used.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.times import alone, getting


@dataclass(frozen=True)
class Image:
    """An image whose programs are run."""

    name: str
    _run: str = field(default_factory=lambda: f"freehold-tests-{uuid.uuid4().hex[:12]}")

    def around(
        self,
        command: Sequence[str | Path],
        *,
        role: str,
        folders: Sequence[Path],
        user: tuple[int, int],
        environment: Mapping[str, str],
    ) -> list[str | Path]:
        """The command that runs `command` in a container.

        Args:
            role: tells the containers of one server apart.
            folders: are there as they are here.
            user: its number and that of its group.
            environment: what the program needs beside the image's own.
        """
        program, *arguments = command
        mounts = [
            *(f"{folder}:{folder}" for folder in folders),
            "/etc/passwd:/etc/passwd:ro",
            "/etc/group:/etc/group:ro",
        ]
        return [
            "docker", "run", "--rm", "--name", self.container(role), "--network", "host", "--user", f"{user[0]}:{user[1]}",
            "--workdir", "/", *(part for mount in mounts for part in ("--volume", mount)),
            *(part for name, value in environment.items() for part in ("--env", f"{name}={value}")),
            "--entrypoint", program, self.name, *arguments,
        ]  # fmt: skip

    def container(self, role: str) -> str:
        """What a server's container is called."""
        return f"{self._run}-{role}"

    def send(self, role: str, how: signal.Signals) -> None:
        """Send a signal to a server; one to Docker's client would not always reach it."""
        subprocess.run(["docker", "kill", "--signal", how.name, self.container(role)], check=False, capture_output=True)


@alone
def image(name: str) -> Image | None:
    """The image, fetched where it is not here; None where no engine answers, or it cannot be had."""
    if not _answers():
        return None
    if subprocess.run(["docker", "image", "inspect", name], check=False, capture_output=True).returncode:
        with getting("fetched", f"the image {name}"):
            if subprocess.run(["docker", "pull", "--quiet", name], check=False, capture_output=True).returncode:
                return None
    return Image(name)


@functools.cache
def _answers() -> bool:
    """Whether an engine of this machine is there for us."""
    if platform.system() != "Linux" or shutil.which("docker") is None:
        return False
    asked = ["docker", "info", "--format", "{{.OperatingSystem}}"]
    try:
        told = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return told.returncode == 0 and "Docker Desktop" not in told.stdout


def own_user() -> tuple[int, int]:
    """Whoever runs the tests, and their group."""
    return os.geteuid(), os.getegid()
