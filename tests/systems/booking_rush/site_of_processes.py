"""Booking Rush as its users run it: `freehold up`, a process for each service, a database for each, a real broker."""

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

from freehold.model.topology import Topology
from freehold.testing.clock import START, SharedClock
from systems.booking_rush.system import system
from tests import servers
from tests.buses import BROKERS
from tests.databases import Databases

R = TypeVar("R")
ROOT = Path(__file__).parents[3]
FREEHOLD = Path(sys.executable).parent / "freehold"
START_SECONDS = 180.0
DEPLOYMENTS = ("kafka", "rabbitmq")
"""Sections of the repository's own freehold.toml."""
ON_MARIADB = {"rabbitmq": ("ticket",)}
"""Which services of a deployment chose another engine than the others."""
ON_REDIS = ("kafka",)
"""Where processes share a store; elsewhere each has one in its memory."""


@dataclass
class Site:
    """A running `freehold up`.

    Args:
        deployment: the section of freehold.toml.
        folder: what it keeps, and the books of the simulated gateway.
        databases: the address of each service's own.
        bus: the broker's address.
    """

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
        return self.deployment in ON_REDIS

    @property
    def environment(self) -> dict[str, str]:
        """What the deployment says that freehold.toml does not."""
        settings = {
            "DATA": str(self.folder / "home"),
            "BUS": self.bus,
            "STORE": servers.redis().url if self.has_redis else "memory://",
            "RATE_LIMITS": "false",  # all buyers of a test have one address
            "TEST_CLOCK": str(self.folder / "clock"),
            "SERVICES__AUTH__SETTINGS__PASSWORD_TIME_COST": "1",
            "SERVICES__AUTH__SETTINGS__PASSWORD_MEMORY_KIB": "8",
            "SERVICES__AUTH__SETTINGS__PASSWORD_PARALLELISM": "1",
            "SERVICES__BOOKING__SETTINGS__QUEUE_LINE_SECONDS": "0.02",
            "SERVICES__PAYMENT__SETTINGS__SIM_STATE_FILE": str(self.folder / "gateway.sqlite"),
            "SERVICES__PAYMENT__SETTINGS__SIM_ASYNC_DELAY_MS": str(11 * 60_000),  # beyond any hold
            **{f"SERVICES__{service.upper()}__DATABASE": url for service, url in self.databases.items()},
        }
        return {f"FREEHOLD_{key}": value for key, value in settings.items()}

    def start(self) -> None:
        """Start the command a user would start, and wait until the gateway and all behind it are ready."""
        others = {key: value for key, value in os.environ.items() if not key.startswith("FREEHOLD_")}
        self._process = subprocess.Popen(
            [FREEHOLD, "up", "booking_rush", "--deploy", self.deployment, "--port", "0"],
            cwd=ROOT, env=others | self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        with self._heard:
            told = self._heard.wait_for(lambda: "Booking Rush" in self.addresses or self._ended, START_SECONDS)
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
        return next(pid for pid, given in arguments.items() if ["booking_rush", service] == given[4:6])

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
def open_site(deployment: str, folder: Path) -> Iterator[Site]:
    """Booking Rush on databases and topics of its own, which go in the end."""
    broker, topology = BROKERS[deployment], Topology.of(system)
    bus = broker.alone(broker.url(), topology)
    postgres = Databases("postgres-databases", folder, servers.postgres_admin_url())
    mariadb = Databases("mariadb", folder, servers.mariadb_admin_url() if deployment in ON_MARIADB else None)

    async def addresses() -> dict[str, str]:
        await broker.forget(bus, topology)  # what a run left behind that was killed
        return {
            service.name: await (mariadb if service.name in ON_MARIADB.get(deployment, ()) else postgres).url(
                service.name
            )
            for service in system.services
        }

    async def forget() -> None:
        await postgres.close()
        await mariadb.close()
        await broker.forget(bus, topology)

    try:
        site = Site(deployment, folder, _apart(addresses), bus)
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
