"""A system as its users run it: `freehold up`, a process for each service, a database for each, a real broker."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from freehold import System
from freehold.model.topology import Topology
from freehold.testing.clock import START, SharedClock
from tests import servers
from tests.buses import BROKERS
from tests.databases import Databases

R = TypeVar("R")
ROOT = Path(__file__).parents[2]
FREEHOLD = Path(sys.executable).parent / "freehold"
START_SECONDS = 180.0


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        system: this one.
        settings: what its tests set beside the repository's own freehold.toml, from the folder for the site's files.
        on_mariadb: by deployment, which services have chosen another engine than the others.
        on_redis: the deployments whose processes share a store; elsewhere each has one in its memory.
    """

    system: System
    settings: Callable[[Path], Mapping[str, object]] = lambda folder: {}
    on_mariadb: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    on_redis: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What its gateway is announced as."""
        return self.system.title or self.system.name


@dataclass
class Site:
    """A running `freehold up`.

    Args:
        plan: of what.
        deployment: the section of freehold.toml.
        folder: what it keeps, and the books of the simulated gateway.
        databases: the address of each service's own.
        bus: the broker's address.
    """

    plan: Plan
    deployment: str
    folder: Path
    databases: Mapping[str, str] = field(repr=False)
    bus: str = field(repr=False)
    addresses: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.clock = SharedClock(self.folder / "clock")
        self.clock.advance(seconds=(START - self.clock.now()).total_seconds())
        self._heard = threading.Condition()

    @property
    def has_redis(self) -> bool:
        """Whether its store is one that can be flushed."""
        return self.deployment in self.plan.on_redis

    @property
    def environment(self) -> dict[str, str]:
        """What the deployment says that freehold.toml does not."""
        settings = {
            "DATA": str(self.folder / "home"),
            "BUS": self.bus,
            "STORE": servers.redis().url if self.has_redis else "memory://",
            "RATE_LIMITS": "false",  # all clients of a test have one address
            "TEST_CLOCK": str(self.folder / "clock"),
            **{name: str(value) for name, value in self.plan.settings(self.folder).items()},
            **{f"SERVICES__{service.upper()}__DATABASE": url for service, url in self.databases.items()},
        }
        return {f"FREEHOLD_{key}": value for key, value in settings.items()}

    def start(self) -> None:
        """Start the command a user would start, and wait until the gateway and all behind it are ready."""
        others = {key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD_")}
        self._process = subprocess.Popen(
            [FREEHOLD, "up", self.plan.system.name, "--deploy", self.deployment, "--port", "0"],
            cwd=ROOT, env=others | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._heard:
            told = self._heard.wait_for(lambda: self.plan.title in self.addresses or self._ended, START_SECONDS)
        assert told, f"not ready after {START_SECONDS:g} s:\n" + "\n".join(self.lines[-50:])
        assert not self._ended, "it ended:\n" + "\n".join(self.lines[-50:])

    _ended = False

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                if found := re.search(r"([\w ]+) answers at (http://[\d.:]+)", line):
                    self.addresses[found[1]] = found[2]
                self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def kill(self, service: str) -> None:
        """kill -9 of a service's process; the supervisor starts another."""
        os.kill(self._pid_of(service), signal.SIGKILL)

    def deaths(self, service: str) -> int:
        """How often the supervisor told that the service's process was killed."""
        told = [line for line in self.lines if f'"{service}.1"' in line]
        return sum("signal SIGKILL" in line for line in told)

    def _pid_of(self, service: str) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        arguments = {int(pid): Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in children}
        return next(pid for pid, given in arguments.items() if [self.plan.system.name, service] == given[4:6])

    def stop(self) -> None:
        """As Ctrl-C does it."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(90)
        finally:
            self._process.kill()  # the services notice, and end
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert code == 0, f"exit code {code} after {time.monotonic() - began:.1f} s:\n" + "\n".join(self.lines[-50:])


@contextmanager
def open_site(plan: Plan, deployment: str, folder: Path) -> Iterator[Site]:
    """The system on databases and topics of its own, which go in the end."""
    broker, topology = BROKERS[deployment], Topology.of(plan.system)
    on_mariadb = plan.on_mariadb.get(deployment, ())
    bus = broker.alone(broker.url(), topology)
    postgres = Databases("postgres-databases", folder, servers.postgres_admin_url())
    mariadb = Databases("mariadb", folder, servers.mariadb_admin_url() if on_mariadb else None)

    async def addresses() -> dict[str, str]:
        await broker.forget(bus, topology)  # what a run left behind that was killed
        return {
            service.name: await (mariadb if service.name in on_mariadb else postgres).url(service.name)
            for service in plan.system.services
        }

    async def forget() -> None:
        await postgres.close()
        await mariadb.close()
        await broker.forget(bus, topology)

    try:
        site = Site(plan, deployment, folder, _apart(addresses), bus)
        try:
            site.start()
            yield site
        finally:
            site.stop()
    finally:
        _apart(forget)


def _apart(function: Callable[[], Awaitable[R]]) -> R:
    """Run it on a loop of its own: a site outlives the loops of its tests."""

    async def run() -> R:
        return await function()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()
