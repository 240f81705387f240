"""One recorded run, in every layout and over every bus: the same answers, the same events, the same final rows."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert, update

from freehold.model.ports import Engine
from freehold.model.topology import Topology
from freehold.testing import World
from freehold.testing.world import PARTITIONS
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Account, Tenant
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.payment.settings import PaymentSettings
from tests.buses import BROKERS, KINDS
from tests.databases import Databases, Kept
from tests.matrix import FULL
from tests.servers import mariadb_admin_url, postgres_admin_url
from tests.systems.booking_rush.apart import Apart, apart
from tests.systems.booking_rush.catalogue import FAST, HOME
from tests.systems.booking_rush.likeness import CHANCE, differences, likeness
from tests.systems.booking_rush.recording import Answer, Recording, Row, rows_of
from tests.systems.booking_rush.stage import system
from tests.systems.booking_rush.story import Story

SERVICES = [service.name for service in system.services]
LAYOUTS: dict[str, Mapping[str, str]] = {
    kind: dict.fromkeys(SERVICES, kind) for kind in ("sqlite", "postgres-schemas", "postgres-databases", "mariadb")
} | {"mixed": {**dict.fromkeys(SERVICES, "postgres-databases"), "payment": "mariadb"}}
"""The kind of database that each service has."""
PAIRS = [
    ("sqlite", "kafka"), ("postgres-schemas", "rabbitmq"), ("postgres-databases", "local"), ("mariadb", "kafka"),
    ("mixed", "rabbitmq"),
]  # fmt: skip
"""Each layout and each bus once; with FREEHOLD_MATRIX=full every layout with every bus."""
TOGETHER = [cell for cell in itertools.product(LAYOUTS, KINDS) if cell != ("sqlite", "local")] if FULL else PAIRS
APART = [("mixed", "kafka")]
if FULL:
    APART += [("postgres-schemas", "kafka"), ("postgres-databases", "rabbitmq"), ("mariadb", "rabbitmq")]
"""A process for each service, which needs a broker and a server."""


def cells(chosen: list[tuple[str, str]]) -> list[Any]:
    return [
        pytest.param(layout, bus, id=f"{layout}-{bus}", marks=pytest.mark.cell(engine=layout, bus=bus))
        for layout, bus in chosen
    ]


_numbers = itertools.count(1)
_first_run: list[Recording] = []
"""What `first_run` has recorded."""


class Stand:
    """A story's site: a system whose time is in our hands."""

    def __init__(self, world: World | Apart) -> None:
        self._world = world

    @property
    def http(self) -> httpx.AsyncClient:
        return self._world.http

    def tick(self) -> None:
        self._world.clock.advance(seconds=1)

    async def settle(self) -> None:
        await self._world.settle()

    async def advance(self, **parts: float) -> None:
        await self._world.advance(**parts)

    async def promote(self, email: str) -> None:
        async with self._world.work("auth").transaction() as tx:
            await tx.execute(update(Account).where(Account.email == email).values(role="super_admin"))


def _given(folder: Path) -> dict[type[Any], Any]:
    return {
        AuthSettings: FAST,
        BookingSettings: BookingSettings(queue_line_seconds=0.001),
        PaymentSettings: PaymentSettings(sim_state_file=str(folder / "gateway.sqlite")),
    }


async def record(urls: Mapping[str, str], bus: str, folder: Path) -> Recording:
    """Tell the story on these databases and this bus, in one process."""
    async with World(system, databases=urls, bus=bus, given=_given(folder), folder=folder / "home") as world:
        return await _told(world, {name: unit.host.engine for name, unit in world.process.units.items()})


async def record_apart(urls: Mapping[str, str], bus: str, folder: Path) -> Recording:
    """The same, with a process for each service."""
    async with apart(system, urls, bus, given=_given(folder), folder=folder / "home") as site:
        return await _told(site, {name: each.units[name].host.engine for name, each in site.processes.items()})


async def _told(place: World | Apart, engines: Mapping[str, Engine]) -> Recording:
    async with place.work("auth").transaction() as tx:
        home = {"id": HOME, "name": "Home", "slug": "default", "created_at": tx.now(), "updated_at": tx.now()}
        await tx.execute(insert(Tenant), home)
    answers = await Story(Stand(place)).tell()
    return Recording(answers, await rows_of(system, engines))


@asynccontextmanager
async def places(kinds: Mapping[str, str], folder: Path, kept: Kept) -> AsyncIterator[dict[str, str]]:
    """Fresh databases of these kinds."""
    servers = {"sqlite": lambda: None, "postgres": postgres_admin_url, "mariadb": mariadb_admin_url}
    made = {
        kind: Databases(kind, folder, servers[kind.partition("-")[0]](), kept) for kind in sorted(set(kinds.values()))
    }
    try:
        yield {service: await made[kind].url(service) for service, kind in kinds.items()}
    finally:
        for databases in made.values():
            await databases.close()


@asynccontextmanager
async def carrier(kind: str) -> AsyncIterator[str]:
    """The address of a bus that carries nothing yet."""
    broker, topology = BROKERS[kind], Topology.of(system, partitions=PARTITIONS)
    own = replace(topology, system=f"layouts{os.getpid()}x{next(_numbers)}")
    url = broker.alone(broker.url(), own)
    try:
        yield url
    finally:
        await broker.forget(url, topology)


@pytest.fixture
async def first_run(tmp_path: Path) -> Recording:
    """The story in one process, on SQLite; recorded once."""
    if not _first_run:
        _first_run.append(await record({}, "local://", tmp_path))
    return _first_run[0]


@pytest.mark.guarantee("G9")
@pytest.mark.parametrize(("layout", "bus"), cells(TOGETHER))
async def test_the_same_story_leaves_the_same(
    layout: str, bus: str, first_run: Recording, tmp_path: Path, kept: Kept
) -> None:
    async with places(LAYOUTS[layout], tmp_path, kept) as urls, carrier(bus) as address:
        run = await record(urls, address, tmp_path / layout)
    found = differences(likeness(first_run), likeness(run))
    assert not found, "\n".join(found)


@pytest.mark.engines(len(APART), len(APART))
@pytest.mark.parametrize(("layout", "bus"), cells(APART))
async def test_a_process_for_each_service_leaves_the_same(
    layout: str, bus: str, first_run: Recording, tmp_path: Path, kept: Kept
) -> None:
    async with places(LAYOUTS[layout], tmp_path, kept) as urls, carrier(bus) as address:
        run = await record_apart(urls, address, tmp_path / layout)
    found = differences(likeness(first_run), likeness(run))
    assert not found, "\n".join(found)


# --- the comparison itself --------------------------------------------------------------------------------------------


def _another_status(run: Recording) -> None:
    run.answers[70] = replace(run.answers[70], status=418)


def _a_digit_more(run: Recording) -> None:
    at = next(at for at, answer in enumerate(run.answers) if "zones" in answer.request and answer.status == 201)
    run.answers[at].body["price"] = 1999.990001


def _another_header(run: Recording) -> None:
    run.answers[20].headers["content-type"] = "text/plain"


def _members_change_places(run: Recording) -> None:
    at = next(at for at, answer in enumerate(run.answers) if isinstance(answer.body, dict) and len(answer.body) > 2)
    run.answers[at] = replace(run.answers[at], body=dict(reversed(run.answers[at].body.items())))


def _an_answer_too_few(run: Recording) -> None:
    run.answers.pop()


def _an_event_is_missing(run: Recording) -> None:
    run.rows["payment.outbox_events"].pop(7)


def _events_of_a_key_change_places(run: Recording) -> None:
    events = run.rows["payment.outbox_events"]
    first = next(event for event in events if event["seq"] == 1)
    second = next(e for e in events if e["seq"] == 2 and e["partition_key"] == first["partition_key"])
    first["seq"], second["seq"] = second["seq"], first["seq"]


def _a_row_too_many(run: Recording) -> None:
    run.rows["notification.notifications"].append(deepcopy(run.rows["notification.notifications"][3]))


def _a_microsecond(run: Recording) -> None:
    row = run.rows["booking.bookings"][2]
    row["reserved_at"] = row["reserved_at"].replace("+00:00", ".000001+00:00")


def _two_ids_change_places(run: Recording) -> None:
    one, *others = run.rows["notification.notifications"]
    other = next(row for row in others if row["booking_id"] != one["booking_id"])
    one["booking_id"], other["booking_id"] = other["booking_id"], one["booking_id"]


def _a_cause_is_another(run: Recording) -> None:
    """Ids that no answer shows."""
    events = [event for event in run.rows["payment.outbox_events"] if "causationid" in event["headers"]]
    events[0]["headers"]["causationid"] = events[-1]["headers"]["causationid"]


def _consumed_by_another(run: Recording) -> None:
    run.rows["booking.consumed_events"][0]["consumer_name"] += "x"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_another_status, r"^answer 71, .*: at status \d+, and 418$"),
        (_a_digit_more, r"^answer \d+, POST /shows/<id \d+>/zones: at body.price 1999.99, and 1999.990001$"),
        (_another_header, r"^answer 21, .*: at headers.content-type 'application/(problem\+)?json', and 'text/plain'$"),
        (_members_change_places, r"^answer \d+, .*: at body the members "),
        (_an_answer_too_few, r"^\d+ answers, and \d+$"),
        (_an_event_is_missing, r"^payment.outbox_events: \d+ rows, and \d+$"),
        (_events_of_a_key_change_places, r"^payment.outbox_events: at "),
        (_a_row_too_many, r"^notification.notifications: \d+ rows, and \d+$"),
        (_a_microsecond, r"^booking.bookings: at reserved_at 'time .*', and 'time .*\.000001\+00:00'"),
        (_two_ids_change_places, r"^notification.notifications: at booking_id "),
        (_a_cause_is_another, r"^payment.outbox_events: at headers.causationid '<id \d+>', and '<id \d+>'"),
        (_consumed_by_another, r"^booking.consumed_events: at consumer_name "),
    ],
)
def test_a_difference_is_found(change: Callable[[Recording], None], found: str, first_run: Recording) -> None:
    other = deepcopy(first_run)
    change(other)
    told = differences(likeness(first_run), likeness(other))
    assert any(re.search(found, line) for line in told), told


def test_names_do_not_matter(first_run: Recording) -> None:
    """Every id, token and code is another one, and the rows come in another order."""
    texts = json.dumps([[asdict(answer) for answer in first_run.answers], first_run.rows])
    made: dict[str, str] = {}
    answers, rows = json.loads(CHANCE.sub(lambda match: made.setdefault(match[0], _another(match)), texts))
    other = Recording([Answer(**answer) for answer in answers], {table: each[::-1] for table, each in rows.items()})
    assert differences(likeness(first_run), likeness(other)) == []


def _another(match: re.Match[str]) -> str:
    if match.lastgroup == "id":
        return str(uuid4())
    if match.lastgroup == "code":
        return "BK-" + "".join(random.choices("ABCDEFGH", k=8))
    return match[0][:-6] + secrets.token_hex(3)


def test_whoever_leads_a_booking_of_all_in_one_is_chance(first_run: Recording) -> None:
    other = deepcopy(first_run)
    (key,) = (
        k for k, n in Counter(saga["saga_key"] for saga in other.rows["booking.saga_instances"]).items() if n == 2
    )
    trails = [s["headers"] | {"causationid": s["id"].removeprefix("uuid ")}
              for s in other.rows["booking.saga_instances"] if s["saga_key"] == key]  # fmt: skip
    reserved, charged, *led = [e for e in other.rows["booking.outbox_events"] if e["partition_key"] == key]
    assert [event["event_type"] for event in led] == ["booking.confirmed", *["notification.send_confirmation"] * 2]
    confirmed, *orders = led
    (first,) = (trail for trail in trails if trail == confirmed["headers"])
    (second,) = (trail for trail in trails if trail != first)
    _hand_over(other, confirmed, second)
    for order in orders:
        _hand_over(other, order, second if order["headers"] == first else first)
    (begun,) = (e for e in other.rows["payment.outbox_events"]
                if e["partition_key"] == key and e["event_type"] == "payment.initiated")  # fmt: skip
    (cause,) = {each["event_id"].removeprefix("uuid ") for each in (reserved, charged)} - {
        begun["headers"]["causationid"]
    }
    begun["headers"]["causationid"] = cause
    assert other != first_run
    assert not differences(likeness(first_run), likeness(other))


def _hand_over(run: Recording, event: Row, trail: Mapping[str, str]) -> None:
    """Let an event, and what it caused, be of this trail."""
    event["headers"] = dict(trail)
    for table, rows in run.rows.items():
        for caused in rows if table.endswith(".outbox_events") else ():
            if f"uuid {caused['headers'].get('causationid')}" == event["event_id"]:
                _hand_over(run, caused, {**trail, "causationid": event["event_id"].removeprefix("uuid ")})
