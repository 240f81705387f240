"""A system as processes: `freehold up` and `freehold serve`, started as a user would, killed, and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.buses import Buses, having
from tests.conformance.parcels.system import system
from tests.servers.private import free_port

pytestmark = pytest.mark.guarantee("G9")

ROOT = Path(__file__).parents[2]
FREEHOLD = Path(sys.executable).parent / "freehold"
NAMED = "tests.conformance.parcels.system:system"
DEADLINE = 90.0


def environment(folder: Path, bus: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    own = {
        "FREEHOLD_DATA": str(folder / "data"), "FREEHOLD_BUS": bus, "FREEHOLD_PARTITIONS": "4",
        "FREEHOLD_RATE_LIMITS": "false",
    }  # fmt: skip
    return {**kept, **own, **more}


class Command:
    """A running `freehold` command, and the lines that it wrote."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [FREEHOLD, *arguments], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line) if line.startswith("{") else {"event": line.rstrip("\n")})

    def said(self, pattern: str, process: str = "") -> list[str]:
        """What a line said that matches, of one process or of all."""
        events = [str(line.get("event")) for line in list(self.lines) if process in str(line.get("process", ""))]
        return [event for event in events if re.search(pattern, event)]

    def until(self, pattern: str, *, times: int = 1) -> str:
        """Wait until a line matches so many times; the last of them."""
        wait(lambda: len(self.said(pattern)) >= times or self.process.poll() is not None)
        found = self.said(pattern)
        assert len(found) >= times, self.lines
        return found[-1]

    def address(self, name: str = "") -> str:
        """Where it answers."""
        told = self.until(f"^{name or '.*'} answers at http")
        found = re.search(r"http://[0-9.]+:\d+", told)
        assert found is not None
        return found[0]

    def ended(self) -> int:
        """Wait until it has ended; its exit code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def stop(self) -> int:
        self.process.terminate()
        return self.ended()

    def children(self) -> dict[str, int]:
        """The processes that it supervises, by service; the newest where there are several."""
        found = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                parent = re.search(r"^PPid:\t(\d+)$", status.read_text(), re.MULTILINE)
                arguments = (status.parent / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent is not None and int(parent[1]) == self.process.pid and NAMED.encode() in arguments:
                found[arguments[arguments.index(NAMED.encode()) + 1].decode()] = int(status.parent.name)
        return found

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(params=having("keeps", "shares"))
def bus(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a broker where this system is alone."""
    with alone(request.param) as url:
        yield url


@contextmanager
def alone(kind: str) -> Iterator[str]:
    import asyncio
    from dataclasses import replace

    from freehold.model.topology import Topology

    buses = Buses(kind, replace(Topology.of(system, partitions=4), system=system.name))
    yield buses.url
    asyncio.run(buses.close())


@pytest.fixture
def kafka() -> Iterator[str]:
    with alone("kafka") as url:
        yield url


@contextmanager
def up(folder: Path, bus: str, **more: str) -> Iterator[tuple[Command, httpx.Client]]:
    with Command("up", NAMED, "--port", "0", environment=environment(folder, bus, **more)) as command:
        base = command.address("parcels")
        with httpx.Client(base_url=base, timeout=60) as client:
            token = client.post("/api/guests").json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield command, client


def send(client: httpx.Client, item: int) -> dict[str, Any]:
    answer = client.post("/api/parcels", json={"item": item})
    assert answer.status_code == 201, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


def weighed(client: httpx.Client) -> dict[str, int]:
    answer = client.get("/api/weighed")
    assert answer.status_code == 200, answer.text
    counted: dict[str, int] = answer.json()
    return counted


# --- freehold up ------------------------------------------------------------------------------------------------------


def test_services_in_processes_ask_and_tell_each_other_and_come_back_when_they_are_killed(
    tmp_path: Path, bus: str
) -> None:
    with up(tmp_path, bus) as (command, client):
        assert send(client, 7)["grams"] == 700  # depot asked scale, and knew the guest by gate's key
        wait(lambda: weighed(client)["weighed"] == 1)  # and scale was told
        processes = command.children()
        assert processes.keys() == {"gateway", "gate", "depot", "scale"}

        for name in ("scale", "depot"):
            os.kill(processes[name], signal.SIGKILL)
        # The gateway's idle connections were cut, which shows at the next request; others wait for who starts again.
        wait(lambda: client.get("/api/weighed").status_code == 200)
        wait(lambda: client.post("/api/parcels", json={"item": 0}).status_code == 201)
        sent = [send(client, item) for item in range(9)]
        wait(lambda: weighed(client)["weighed"] == 11)
        assert {one["process"] for one in sent} == {command.children()["depot"]} != {processes["depot"]}
        assert len(command.said("ended with signal SIGKILL and starts again")) == 2

        again = command.children()
        assert command.stop() == 0
        assert not any(map(alive, again.values()))
    assert not command.said("Traceback")


def test_a_service_with_several_workers_shares_its_events_and_requests(tmp_path: Path, kafka: str) -> None:
    workers = {f"FREEHOLD_SERVICES__{name}__WORKERS": "2" for name in ("DEPOT", "SCALE")}
    with up(tmp_path, kafka, **workers) as (command, client):
        command.until("scale answers at", times=2)
        command.until("depot answers at", times=2)
        answered: set[int] = set()
        sent = 0

        def shared() -> bool:
            nonlocal sent
            with ThreadPoolExecutor(20) as crowd:
                answered.update(one["process"] for one in crowd.map(lambda item: send(client, item), range(20)))
            sent += 20
            return len(answered) == 2 and weighed(client)["processes"] == 2

        wait(shared)
        wait(lambda: weighed(client)["weighed"] == sent)
        assert command.stop() == 0


def test_each_process_knows_its_own_database_only(tmp_path: Path, kafka: str, postgres_url: str) -> None:
    more = {
        "FREEHOLD_LAYOUT": "databases", "FREEHOLD_DATABASE_SERVER": postgres_url, "FREEHOLD_SECRET": "a secret of tests" * 3
    }  # fmt: skip
    with up(tmp_path, kafka, **more) as (command, client):
        send(client, 1)
        wait(lambda: weighed(client)["weighed"] == 1)
        for name, pid in command.children().items():
            pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            known = dict(pair.split("=", 1) for pair in pairs if pair)
            databases = {key for key in known if key.endswith("__DATABASE")}
            assert databases == (set() if name == "gateway" else {f"FREEHOLD_SERVICES__{name.upper()}__DATABASE"})
            assert not known.keys() & {"FREEHOLD_DATABASE_SERVER", "FREEHOLD_SECRET"}
        assert command.stop() == 0


def test_when_it_is_killed_itself_the_services_end(tmp_path: Path, kafka: str) -> None:
    with up(tmp_path, kafka) as (command, _):
        children = command.children()
        command.process.kill()
        wait(lambda: not any(map(alive, children.values())))


def test_it_ends_when_a_service_cannot_be_started_as_it_is_configured(tmp_path: Path, kafka: str) -> None:
    wrong = environment(tmp_path, kafka, FREEHOLD_SERVICES__SCALE__DATABASE="postgresql://scale:x@127.0.0.1:1/scale")
    with Command("up", NAMED, "--port", "0", environment=wrong) as command:
        assert command.ended() == 2
    assert command.said("services.scale.database: .*cannot be used", process="scale.1")


def test_the_local_bus_is_for_one_process(tmp_path: Path) -> None:
    for arguments in (("up", NAMED, "--port", "0"), ("serve", NAMED, "depot", "--port", "0")):
        with Command(*arguments, environment=environment(tmp_path, "local://")) as command:
            assert command.ended() == 2
        (told,) = command.said("freehold: bus: local:// connects")
        assert "kafka://" in told
        assert "freehold run" in told


# --- freehold serve ---------------------------------------------------------------------------------------------------


def test_a_process_tells_what_it_misses_and_serves_once_it_is_there(tmp_path: Path, kafka: str) -> None:
    with Command("serve", NAMED, "gate", "--port", "0", environment=environment(tmp_path, kafka)) as gate:
        address = gate.address("gate")
        assert gate.stop() == 0
    known = environment(tmp_path, kafka, FREEHOLD_SERVICES__GATE__ADDRESS=address)
    with Command("serve", NAMED, "depot", "--port", "0", environment=known) as depot:
        ready = f"{depot.address('depot')}/health/ready"
        answer = httpx.get(ready)
        assert (answer.status_code, answer.json()["missing"]) == (503, {"keys of gate": "does not answer"})
        port = address.rpartition(":")[2]
        with Command("serve", NAMED, "gate", "--port", port, environment=known) as gate:
            gate.address("gate")
            wait(lambda: httpx.get(ready).status_code == 200)
            assert gate.stop() == 0
        assert httpx.get(ready).status_code == 200  # what it knows now it knows without asking
        assert depot.stop() == 0


def test_parts_alone_and_together(tmp_path: Path, kafka: str) -> None:
    """Requests, the relay and consumers of one service, each in a process of its own."""
    ports = {name: str(free_port()) for name in ("gate", "depot", "scale")}
    addresses = {f"FREEHOLD_SERVICES__{name.upper()}__ADDRESS": f"http://127.0.0.1:{p}" for name, p in ports.items()}
    own = environment(tmp_path, kafka, **addresses)

    def serve(name: str, *options: str, port: str = "0") -> Command:
        return Command("serve", NAMED, name, "--port", port, *options, environment=own)

    with (
        serve("gate", port=ports["gate"]) as gate,
        serve("scale", "--part", "http", port=ports["scale"]) as scale,
        serve("depot", "--part", "http", port=ports["depot"]) as depot,
        serve("depot", "--part", "relay") as relay,
        httpx.Client(timeout=60) as client,
    ):
        token = client.post(f"{gate.address()}/api/guests").json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        scale.address()
        parcels = f"{depot.address()}/api/parcels"

        def sent() -> bool:
            """They started at once: one may not know another's keys yet, says so, and asks for them once a second."""
            answer = client.post(parcels, json={"item": 3})
            assert answer.status_code in (201, 503), answer.text
            return answer.status_code == 201

        wait(sent)
        assert client.post(f"{relay.address()}/api/parcels", json={"item": 3}).status_code == 404
        assert client.get(f"{relay.address()}/health/ready").status_code == 200
        assert weighed_at(scale.address()) == 0  # nobody consumes
        with serve("scale", "--part", "consumers") as consumer:
            wait(lambda: weighed_at(scale.address()) == 1)
            assert consumer.stop() == 0
        assert [each.stop() for each in (depot, relay, gate, scale)] == [0, 0, 0, 0]


def weighed_at(address: str) -> int:
    return int(httpx.get(f"{address}/api/weighed").json()["weighed"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody",), "service 'nobody': parcels has none of this name. It has: gate, depot, scale, gateway"),
        (("depot", "--part", "mail"), "--part: 'mail' is none. There are: http, relay, consumers"),
    ],
)
def test_what_is_asked_wrongly(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    with Command("serve", NAMED, *arguments, environment=environment(tmp_path, "kafka://127.0.0.1:1")) as command:
        assert command.ended() == 2
    assert command.said(re.escape(told))
