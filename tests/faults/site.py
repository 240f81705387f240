"""Booking Rush as a real process that dies and is started again, and a crowd of buyers that does not give up."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from freehold.testing import ManualClock
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.system import system
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, Person
from tests.systems.booking_rush.stage import Stage, open_again

ROOT = Path(__file__).parents[2]
FREEHOLD = Path(sys.executable).parent / "freehold"
HOLD_SECONDS = 4.0
PATIENCE = 150.0


@dataclass
class Site:
    """Where the system lives, and the process that runs it now."""

    databases: Databases
    folder: Path
    event: Mapping[str, Any]
    buyers: list[dict[str, str]]
    process: asyncio.subprocess.Process | None = None
    base: str = ""
    deaths: list[int] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    async def environment(self) -> dict[str, str]:
        settings = {
            "FREEHOLD_DATA": str(self.folder / "home"),
            "FREEHOLD_RATE_LIMITS": "false",
            "FREEHOLD_SERVICES__PAYMENT__SETTINGS__SIM_STATE_FILE": str(self.folder / "gateway.sqlite"),
            "FREEHOLD_SERVICES__PAYMENT__SETTINGS__STUCK_AFTER_MINUTES": "0.05",
            "FREEHOLD_SERVICES__BOOKING__SETTINGS__RESERVATION_TTL_MINUTES": str(HOLD_SECONDS / 60),
        }
        for service in system.services:
            settings[f"FREEHOLD_SERVICES__{service.name.upper()}__DATABASE"] = await self.databases.url(service.name)
        return {**os.environ, **settings}

    async def start(self, *, crash_at: str = "") -> None:
        """Start the command a user would start, and wait until it answers."""
        environment = await self.environment()
        if crash_at:
            environment["FREEHOLD_CRASH_AT"] = crash_at
        self.process = await asyncio.create_subprocess_exec(
            str(FREEHOLD), "run", "booking_rush", "--port", "0", "--no-demo",
            cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.base = ""
        while not self.base:
            line = (await self.process.stdout.readline()).decode()
            if not line:
                if crash_at:  # it died while starting: the point was reached there
                    return
                raise AssertionError("the process ended before it answered:\n" + "".join(self.output))
            self.output.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.base = found[0]

    async def keep_alive(self, crashes: Sequence[str] = ()) -> None:
        """Whenever the process dies, start it again, to die at the next of these points."""
        coming = list(crashes)
        while True:
            assert self.process is not None
            assert self.process.stdout is not None
            while line := await self.process.stdout.readline():
                self.output.append(line.decode())
            self.deaths.append(await self.process.wait())
            self.base = ""
            await self.start(crash_at=coming.pop(0) if coming else "")

    async def stop(self) -> None:
        """Ask it to stop, as an operator would."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.communicate()
        assert self.process.returncode == 0, "".join(self.output[-50:])

    def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


@asynccontextmanager
async def open_site(databases: Databases, folder: Path, *, buyers: int, seats: tuple[int, ...]) -> AsyncIterator[Site]:
    """Fresh databases with one event on sale and so many customers who are logged in."""
    async with await open_again(databases, folder, ManualClock(datetime.now(UTC))) as world:
        async with world.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        stage = Stage(world)
        organizer = await stage.person("organizer")
        event = await stage.event(organizer, seats=seats)
        people: list[Person] = [await stage.person() for _ in range(buyers)]
        tokens = [person.headers for person in people]
        await world.settle()
    site = Site(databases, folder, event, tokens)
    try:
        yield site
    finally:
        site.kill()


class Crowd:
    """Buyers who repeat each request, under its own key, until somebody answers it.

    Args:
        site: where they buy.
        at_once: how many of them do.
    """

    def __init__(self, site: Site, *, at_once: int = 16) -> None:
        self.site = site
        self._turns = asyncio.Semaphore(at_once)
        self.outcomes: Counter[str] = Counter()
        self.granted: dict[str, dict[str, str]] = {}
        self.compensated: set[str] = set()
        self._client = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=64))

    async def rush(self) -> None:
        """Everybody, one after another where there is a turn."""
        async with self._client:
            await asyncio.gather(*(self._buy(number, headers) for number, headers in enumerate(self.site.buyers)))

    async def _buy(self, number: int, headers: dict[str, str]) -> None:
        async with self._turns:
            await self._shop(number, headers)

    async def _shop(self, number: int, headers: dict[str, str]) -> None:
        event = self.site.event
        zones = event["zones"]
        wish = {
            "event_id": event["id"], "show_id": event["show"]["id"], "zone_id": zones[number % len(zones)]["id"],
            "quantity": 1 + number % 3,
        }  # fmt: skip
        if number % 10 == 6:
            await self._order(number, wish, headers)
            return
        answer = await self._insist("POST", "/bookings/reserve", headers, f"r{number}", wish)
        if answer.status_code != 201:
            assert answer.json()["code"] == "INSUFFICIENT_SEATS", answer.text
            self.outcomes["refused"] += 1
            return
        booking_id = answer.json()["booking_id"]
        self.granted[booking_id] = headers
        self.outcomes[await self._follow(number, booking_id, headers)] += 1

    async def _order(self, number: int, wish: dict[str, Any], headers: dict[str, str]) -> None:
        """All in one, with a card that is declined: the saga turns back and gives the seats back."""
        order = {
            **wish,
            "total_price": 3000 * wish["quantity"],
            "payment_method": "credit_card",
            "card_token": "tok_declined",
        }
        answer = await self._insist("POST", "/saga/bookings", headers, f"s{number}", order)
        if answer.status_code != 202:
            assert answer.json()["code"] == "INSUFFICIENT_SEATS", answer.text
            self.outcomes["refused"] += 1
            return
        saga_id = answer.json()["saga_id"]
        async with asyncio.timeout(PATIENCE):
            while True:
                told = await self._insist("GET", f"/saga/bookings/{saga_id}", headers, until=(200,))
                if told.json()["status"] not in ("pending", "running", "failed", "compensating"):
                    break
                await asyncio.sleep(0.2)
        self.outcomes[told.json()["status"]] += 1
        self.compensated.add(answer.json()["booking_id"])

    async def _follow(self, number: int, booking_id: str, headers: dict[str, str]) -> str:
        """Most pay, some are declined, some think better of it, some let their hold lapse."""
        if number % 10 == 7:
            return "lapsed"
        if number % 10 == 8:
            await self._insist("POST", f"/bookings/{booking_id}/cancel", headers, f"c{number}", {})
            return "cancelled"
        payment = await self._insist("GET", f"/payments/booking/{booking_id}", headers, until=(200,))
        card = "tok_insufficient" if number % 10 == 9 else "tok_visa"
        path = f"/payments/{payment.json()['id']}/process"
        answer = await self._insist("POST", path, headers, f"p{number}", {"card_token": card})
        return str(answer.json().get("status") if answer.status_code == 200 else answer.json()["code"])

    async def _insist(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        key: str = "",
        body: dict[str, Any] | None = None,
        until: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Ask until there is an answer that is not a failure of the system."""
        sent = {**headers, "Idempotency-Key": key} if key else headers
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if self.site.base:
                        url = f"{self.site.base}/api/v1{path}"
                        answer = await self._client.request(method, url, headers=sent, json=body)
                        busy = answer.status_code in (429, 502, 503, 504) or "IN_PROGRESS" in answer.text
                        if not busy and (not until or answer.status_code in until):
                            assert answer.status_code < 500, answer.text
                            return answer
                except httpx.TransportError:
                    self.outcomes["connections lost"] += 1
                await asyncio.sleep(0.05)
