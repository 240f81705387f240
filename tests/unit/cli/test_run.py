from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx

from tests.unit.cli.conftest import COMMAND, Freehold


def test_run_tells_where_it_answers_and_stops_when_asked(folder: Path) -> None:
    process = subprocess.Popen(
        [COMMAND, "run", "shop", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        address = re.search(r"http://[\d.:]+", told[0])
        assert address, told

        assert httpx.get(f"{address[0]}/api/v1/hello").json() == "hello"

        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, error
    assert [line.split() for line in told[1:]] == [
        ["documentation", f"{address[0]}/docs"],
        ["metrics", f"{address[0]}/metrics"],
    ]


def test_an_occupied_port_is_one_line(command: Freehold, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("run", "shop", "--port", str(port))

    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not os.path.exists(folder / ".freehold")


def test_an_unknown_deployment(freehold: Freehold) -> None:
    done = freehold("run", "shop", "--deploy", "prod")

    assert done.returncode == 2
    assert "deploy.prod" in done.stderr
