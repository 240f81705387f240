"""The tutorial: its files are written, its commands run, and what they print is compared, as printed."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from freehold.engines.provision import drop_database, drop_role
from tests.docs.documents import DOCS, Command, commands, write_files

TUTORIAL = DOCS / "tutorial" / "index.md"
SERVER = "postgresql://postgres:secret@127.0.0.1:5432/postgres"
SERVICES = ("products", "orders", "payments")
DEADLINE = 60.0


class Terminal:
    """Runs a document's commands in one folder, with one environment; `freehold run` stays until the next one."""

    def __init__(self, folder: Path, admin_url: str) -> None:
        self._folder = folder
        scripts = str(Path(sys.executable).parent)
        path = os.pathsep.join([scripts, os.environ.get("PATH", "")])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
        self._environment = {**kept, "PATH": path, "PYTHONPATH": str(folder)}
        admin = make_url(admin_url)
        self._here = {
            SERVER: admin_url,
            "127.0.0.1:5432": f"{admin.host}:{admin.port or 5432}",
            "8080": str(_free_port()),
        }
        self._serving: subprocess.Popen[str] | None = None

    def run(self, command: Command) -> None:
        line, wanted = self._localised(command.line), self._localised(command.output)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self._environment[name] = value
        elif line.startswith("freehold run "):
            self.stop()
            self._serve(line, wanted)
        else:
            done = subprocess.run(
                ["bash", "-c", f"set -o pipefail; {line}"], cwd=self._folder, env=self._environment,
                capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"
            _compare(line, done.stdout, wanted)

    def stop(self) -> None:
        """End what serves, as Ctrl-C does; it must end well."""
        if self._serving is not None:
            process, self._serving = self._serving, None
            process.terminate()
            rest, _ = process.communicate(timeout=DEADLINE)
            assert process.returncode == 0, rest

    def kill(self) -> None:
        if self._serving is not None:
            self._serving.kill()
            self._serving.communicate()

    def _serve(self, line: str, wanted: str) -> None:
        self._serving = subprocess.Popen(
            line.split(), cwd=self._folder, env=self._environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self._serving.stdout is not None
        printed = ""
        until = time.monotonic() + DEADLINE
        while "metrics " not in printed:
            read = self._serving.stdout.readline()
            assert read, f"$ {line}\n{printed}"
            assert time.monotonic() < until, f"$ {line} is not ready:\n{printed}"
            printed += read
        if wanted.strip():
            _compare(line, printed, wanted)

    def _localised(self, text: str) -> str:
        for printed, here in self._here.items():
            text = text.replace(printed, here)
        return text


def _compare(line: str, printed: str, wanted: str) -> None:
    """Exactly, but for what an ellipsis stands for."""
    pattern = ".*".join(map(re.escape, wanted.rstrip().split("…")))
    assert re.fullmatch(pattern, printed.rstrip()), f"$ {line}\nprinted:\n{printed}\nthe document says:\n{wanted}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _drop(admin_url: str) -> None:
    for service in SERVICES:
        await drop_database(admin_url, f"shop_{service}_db")
        await drop_role(admin_url, f"shop_{service}")


@pytest.fixture
def server(postgres_url: str) -> Iterator[str]:
    """A server without the shop's databases, before and after."""
    asyncio.run(_drop(postgres_url))
    yield postgres_url
    asyncio.run(_drop(postgres_url))


def test_it_runs_as_printed(tmp_path: Path, server: str) -> None:
    write_files(TUTORIAL, tmp_path)
    terminal = Terminal(tmp_path, server)
    found = commands(TUTORIAL)
    assert [c.line.split()[0] for c in found].count("freehold") >= 5
    try:
        for command in found:
            terminal.run(command)
        terminal.stop()
    finally:
        terminal.kill()
