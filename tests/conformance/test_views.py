"""G8: a view converges to what its owner says, is rebuilt while it serves reads, and tells how far behind it is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from freehold import Change, ConfigurationError, Event, Problem, View
from freehold.model.ids import uuid7
from freehold.observe.metrics import METRICS
from freehold.runtime.backlog import measure
from freehold.runtime.host import Host
from freehold.runtime.lease import Lease
from freehold.runtime.view_tables import ViewTables
from freehold.runtime.views import Views
from freehold.testing import Crash, ManualClock, crash_at
from tests.conformance.zones import (
    GetZones,
    Keeper,
    Owner,
    ShowRenamed,
    SoldOut,
    Zone,
    ZoneDeleted,
    ZoneSet,
    damage,
    deliver,
    empty,
    shown,
    zone_view,
)  # fmt: skip
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G8")

SHOW, ZONE = UUID(int=7), UUID(int=8)
ROUNDS = {"sqlite": 250, "postgres-schemas": 25, "postgres-databases": 10, "mariadb": 10}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def owner(clock: ManualClock) -> Owner:
    return Owner(clock, random.Random(8))


@pytest.fixture
def keeper(databases: Databases, clock: ManualClock, owner: Owner) -> Keeper:
    return Keeper(databases, clock, owner)


def zone_set(clock: ManualClock, name: str = "A", show_name: str = "first", **late: float) -> ZoneSet:
    at = clock.now() - timedelta(**late)
    return ZoneSet(zone_id=ZONE, show_id=SHOW, name=name, show_name=show_name, price=Decimal("1.50"), version_at=at)


def renamed(clock: ManualClock, name: str, **late: float) -> ShowRenamed:
    return ShowRenamed(show_id=SHOW, show_name=name, version_at=clock.now() - timedelta(**late))


# --- live events ----------------------------------------------------------------------------------------------------------


async def test_an_older_change_never_overwrites_a_newer_one(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    for event in (zone_set(clock, "new"), zone_set(clock, "old", seconds=1), zone_set(clock, "as new")):
        await deliver(host, views, [event])
    assert (await shown(host))[ZONE][1] == "as new", "of one version, the later one counts"


async def test_partial_changes_lose_no_column_in_any_order(keeper: Keeper, clock: ManualClock) -> None:
    """The newest change names one column only; the older ones that come after it still say the rest."""
    host, views = await keeper.start()
    await deliver(host, views, [zone_set(clock, "created", seconds=9)])
    await deliver(host, views, [SoldOut(zone_id=ZONE, sold_out=True, version_at=clock.now())])
    await deliver(host, views, [zone_set(clock, "changed", seconds=5)])
    await deliver(host, views, [SoldOut(zone_id=ZONE, sold_out=False, version_at=clock.now() - timedelta(seconds=3))])
    assert (await shown(host))[ZONE] == (SHOW, "changed", "first", "1.50", True, False)


async def test_changes_of_one_row_in_a_batch_become_one(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    batch = [
        zone_set(clock, "newest", seconds=1),
        SoldOut(zone_id=ZONE, sold_out=True, version_at=clock.now() - timedelta(seconds=3)),
        zone_set(clock, "older", seconds=4),
    ]
    await deliver(host, views, batch)
    assert (await shown(host))[ZONE] == (SHOW, "newest", "first", "1.50", True, False)


async def test_a_change_that_overtakes_the_creation_waits_for_it(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    await deliver(host, views, [ZoneDeleted(zone_id=ZONE, version_at=clock.now())])
    assert await shown(host) == {}, "there is too little to make a row of"
    await deliver(host, views, [zone_set(clock, seconds=5)])
    assert (await shown(host))[ZONE][-1] is True, "the tombstone"


async def test_a_change_of_many_rows_reaches_those_that_come_later(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    await deliver(host, views, [zone_set(clock, "first", seconds=9)])
    await deliver(host, views, [renamed(clock, "older", seconds=6), renamed(clock, "newer", seconds=5)])
    assert (await shown(host))[ZONE][2] == "newer"
    late = zone_set(clock, "late", "stale name", seconds=7).model_copy(update={"zone_id": UUID(int=9)})
    fresh = zone_set(clock, "fresh", "newest name").model_copy(update={"zone_id": UUID(int=10)})
    await deliver(host, views, [late, fresh])
    rows = await shown(host)
    assert (rows[UUID(int=9)][2], rows[UUID(int=10)][2]) == ("newer", "newest name")


async def test_many_rows_change_at_once(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    zones = [zone_set(clock).model_copy(update={"zone_id": UUID(int=n)}) for n in range(1, 1203)]
    await deliver(host, views, zones)
    clock.advance(seconds=1)
    await deliver(host, views, [renamed(clock, "all")])
    assert {row[2] for row in (await shown(host)).values()} == {"all"}


async def test_processes_side_by_side_keep_one_view(keeper: Keeper, owner: Owner) -> None:
    processes = [await keeper.start(), await keeper.start()]
    events = [*filled(owner, 40)]
    owner.rng.shuffle(events)
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(deliver(*processes[n % 2], events[n : n + 5]) for n in range(0, len(events), 2))  # most of them twice
        )
    assert await shown(processes[0][0]) == owner.truth()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change({"zone_id": ZONE, "colour": "red"}, ManualClock().now()), "sets colour"),
        (Change({"name": "red"}, ManualClock().now()), "names no zone_id"),
        (Change({"name": "red"}, ManualClock().now(), where={"name": "blue"}), "finds rows by name and changes it"),
        (Change({"name": "red"}, ManualClock().now(), where={}), "has an empty where"),
    ],
)
async def test_a_change_that_cannot_be_right_says_so(
    keeper: Keeper, clock: ManualClock, change: Change, says: str
) -> None:
    host, views = await keeper.start()
    host.service.views[0].sources[SoldOut] = lambda event: change
    with pytest.raises(ConfigurationError, match=f"view zone_directory, zone.sold_out: {says}"):
        await deliver(host, views, [SoldOut(zone_id=ZONE, sold_out=True, version_at=clock.now())])


# --- rebuild --------------------------------------------------------------------------------------------------------------


async def test_it_converges_whatever_the_order(keeper: Keeper, clock: ManualClock, engine_kind: str) -> None:
    """Events in any order and more than once, between pages of a rebuild that is cut short now and then."""
    host, views = await keeper.start()
    for seed in range(ROUNDS[engine_kind]):
        await empty(host)
        keeper.owner = host.caller = owner = Owner(clock, random.Random(seed), joined=seed % 2 == 0)
        owner.behind = timedelta(seconds=3 * (seed % 3))
        await converge(host, views, owner, random.Random(f"life {seed}"))
        assert await shown(host) == owner.truth(), f"seed {seed}"
        assert await rows_of(host, "shadow") == 0


async def converge(host: Host, views: Views, owner: Owner, rng: random.Random) -> None:
    async def life() -> None:
        for _ in range(rng.randrange(4)):
            owner.act()
        while owner.on_the_way and rng.random() < 0.6:
            await some(rng.randint(1, len(owner.on_the_way)))
        if rng.random() < 0.15:
            raise Crash

    async def some(count: int) -> None:
        rng.shuffle(owner.on_the_way)
        batch = owner.on_the_way[:count]
        del owner.on_the_way[: count - (count > 1 and rng.random() < 0.3)]  # the last one comes again
        await deliver(host, views, batch)

    for _ in range(rng.randrange(20)):
        owner.act()
    if owner.on_the_way:
        await some(rng.randint(1, len(owner.on_the_way)))
    if rng.random() < 0.8:
        await damage(host, rng, owner.clock.now())
        owner.clock.advance(seconds=1)
        owner.before_page = life
        while (await views.state("zone_directory")).generation == 0:
            try:
                await views.rebuild("zone_directory", page=rng.randint(1, 5))
            except Crash:
                await life_goes_on(some, owner, rng)
    while owner.on_the_way:
        await some(rng.randint(1, len(owner.on_the_way)))


async def life_goes_on(some: Any, owner: Owner, rng: random.Random) -> None:
    """Between a crash and the rebuild's second start, events come in."""
    owner.act()
    await some(rng.randint(1, len(owner.on_the_way)))


async def rows_of(host: Host, name: str) -> int:
    table = getattr(ViewTables.of(host.service.views[0], host.tables.metadata), name)
    async with host.engine.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


def filled(owner: Owner, rows: int) -> Sequence[Event]:
    while len(owner.rows) < rows:
        owner.act()
    events, owner.on_the_way = owner.on_the_way, []
    return events


async def test_a_rebuild_serves_reads_and_repairs(keeper: Keeper, owner: Owner, clock: ManualClock) -> None:
    host, views = await keeper.start()
    await deliver(host, views, filled(owner, 10))
    before = await shown(host)
    assert before == owner.truth()
    async with host.engine.write() as connection:
        await connection.execute(update(Zone).values(note="ours"))
    await damage(host, random.Random(1), clock.now())
    damaged = await shown(host)
    clock.advance(seconds=1)

    async def look() -> None:
        assert await shown(host) == damaged, "until the switch, readers see what was there"
        assert (await views.state("zone_directory")).state == "rebuilding"

    owner.before_page = look
    assert await views.rebuild("zone_directory", page=3) == 10
    assert await shown(host) == before
    state = await views.state("zone_directory")
    assert (state.state, state.generation, state.rows_read, state.cursor) == ("idle", 1, 10, None)
    async with host.engine.read() as connection:
        notes = set(await connection.scalars(select(Zone.note).where(Zone.name != "bogus")))
    assert "ours" in notes, "columns that the snapshot does not name stay"


async def test_a_row_deleted_by_the_owner_goes_and_a_newer_one_stays(keeper: Keeper, owner: Owner) -> None:
    host, views = await keeper.start()
    events = filled(owner, 6)
    await deliver(host, views, events)
    gone = next(iter(owner.rows))
    del owner.rows[gone]
    new = zone_set(owner.clock, "made meanwhile")

    async def meanwhile() -> None:
        if len(owner.asked) == 3:  # after the page in which it would have been
            owner.clock.advance(seconds=1)
            await deliver(host, views, [zone_set(owner.clock, "made meanwhile")])

    owner.clock.advance(seconds=1)
    owner.before_page = meanwhile
    await views.rebuild("zone_directory", page=2)
    rows = await shown(host)
    assert gone not in rows
    assert rows[new.zone_id][1] == "made meanwhile"


@pytest.mark.parametrize("point", ["commit.before", "commit.after"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
async def test_a_crash_resumes_where_it_was(keeper: Keeper, owner: Owner, point: str, nth: int) -> None:
    """Commits: the start, three pages of ten rows, the switch. Another process goes on once the lease has run out."""
    host, views = await keeper.start()
    await deliver(host, views, filled(owner, 10))
    await damage(host, random.Random(2), owner.clock.now())
    owner.clock.advance(seconds=1)
    with crash_at(point, nth=nth), pytest.raises(Crash):
        await views.rebuild("zone_directory", page=4)
    done = (nth if point == "commit.after" else nth - 1) - 1  # pages whose transaction committed
    owner.asked.clear()
    owner.clock.advance(seconds=11)
    other_host, other = await keeper.start()
    if done < 4:
        await other.rebuild("zone_directory", page=4)
        pages = sorted(map(str, owner.rows))[3::4]
        assert owner.asked[0] == (pages[min(done, 2) - 1] if done > 0 else None)
    assert await shown(other_host) == owner.truth()
    assert (await other.state("zone_directory")).generation == 1


async def test_resume_finishes_what_a_crash_cut_short_and_nothing_else(keeper: Keeper, owner: Owner) -> None:
    host, views = await keeper.start()
    await deliver(host, views, filled(owner, 10))
    assert await views.resume() == []
    with crash_at("commit.after", nth=2), pytest.raises(Crash):
        await views.rebuild("zone_directory", page=4)
    assert (await views.state("zone_directory")).rows_read == 4
    assert await views.resume() == ["zone_directory"]
    assert (await views.state("zone_directory")).rows_read == 10


async def test_a_process_that_has_been_running_finishes_the_rebuild_of_one_that_died(
    keeper: Keeper, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freehold.runtime.views.RESUME_LOOK", 0.01)
    host, views = await keeper.start()
    _, other = await keeper.start()
    await deliver(host, views, filled(owner, 10))
    watching = asyncio.create_task(other.run())
    lease = Lease(host, "view:zone_directory")
    assert await lease.acquire()
    state = {"name": "zone_directory", "state": "rebuilding", "started_at": owner.clock.now()}
    async with host.engine.write() as connection:
        await connection.execute(update(host.tables.views).values(state))
    for _ in range(3):  # it looks, and finds that the other one is at it
        await asyncio.sleep(0.02)
        assert (await other.state("zone_directory")).state == "rebuilding"
    owner.clock.advance(seconds=11)
    async with asyncio.timeout(20):
        while (await other.state("zone_directory")).state != "idle":
            await asyncio.sleep(0.01)
    watching.cancel()
    assert (await other.state("zone_directory")).rows_read == 10


async def test_one_rebuild_at_a_time_in_one_process_and_in_two(keeper: Keeper, owner: Owner) -> None:
    host, views = await keeper.start()
    _, other = await keeper.start()
    await deliver(host, views, filled(owner, 5))
    refused = []

    async def again() -> None:
        for others in (views, other):
            with pytest.raises(Problem) as caught:
                await others.rebuild("zone_directory")
            refused.append((caught.value.status, caught.value.code))

    owner.before_page = again
    await views.rebuild("zone_directory")
    assert refused == [(409, "REBUILD_RUNNING")] * 2


async def test_a_process_that_lost_its_lease_changes_nothing_more(keeper: Keeper, owner: Owner) -> None:
    host, views = await keeper.start()
    _, other = await keeper.start()
    await deliver(host, views, filled(owner, 6))

    async def overslept() -> None:
        owner.before_page = None
        owner.clock.advance(seconds=11)
        await other.rebuild("zone_directory", page=2)

    owner.before_page = overslept
    with pytest.raises(Problem, match="REBUILD_RUNNING"):
        await views.rebuild("zone_directory", page=2)
    assert (await views.state("zone_directory")).generation == 1
    assert await rows_of(host, "shadow") == 0


async def test_a_process_that_lost_its_lease_to_an_unfinished_rebuild_changes_nothing_more(
    keeper: Keeper, owner: Owner
) -> None:
    host, views = await keeper.start()
    _, other = await keeper.start()
    await deliver(host, views, filled(owner, 6))

    async def overslept() -> None:
        owner.before_page = None
        owner.clock.advance(seconds=11)
        with crash_at("commit.after", nth=3), pytest.raises(Crash):
            await other.rebuild("zone_directory", page=2)

    owner.before_page = overslept
    with pytest.raises(Problem, match="REBUILD_RUNNING"):
        await views.rebuild("zone_directory", page=2)
    assert (await views.state("zone_directory")).rows_read == 4


async def test_an_incomplete_snapshot_and_a_missing_query_are_refused(keeper: Keeper, owner: Owner) -> None:
    host, views = await keeper.start()
    filled(owner, 3)
    for row in owner.rows.values():
        del row["price"]
    with pytest.raises(ConfigurationError, match="a row of GetZones has no price"):
        await views.rebuild("zone_directory")
    host.service.views[0].snapshots.clear()
    with pytest.raises(ConfigurationError, match="no query to be rebuilt from"):
        await views.rebuild("zone_directory")
    with pytest.raises(Problem, match="UNKNOWN_VIEW"):
        await views.rebuild("nowhere")


# --- lag ------------------------------------------------------------------------------------------------------------------


async def test_it_tells_how_far_behind_it_is(keeper: Keeper, clock: ManualClock) -> None:
    host, views = await keeper.start()
    assert (await views.lag("zone_directory")).newest is None
    event = zone_set(clock, seconds=2)
    await deliver(host, views, [event])
    clock.advance(seconds=60)
    lag = await views.lag("zone_directory")
    assert lag.behind == timedelta(), "nothing came since, so nothing is missing"
    assert (lag.newest, lag.delay) == (event.version_at, timedelta(seconds=2))
    await park(host, age=90)
    await park(host, age=30)
    assert (await views.lag("zone_directory")).behind == timedelta(seconds=90)
    assert (await measure(host)).views == {"zone_directory": 90.0}
    name = {"service": host.service.name, "view": "zone_directory"}
    assert METRICS.registry.get_sample_value("freehold_view_lag_seconds", name) == 90.0
    async with host.engine.write() as connection:
        await connection.execute(host.tables.parked.delete())
    await measure(host)
    assert METRICS.registry.get_sample_value("freehold_view_lag_seconds", name) == 0.0


async def park(host: Host, *, age: float) -> None:
    now = host.clock.now()
    async with host.engine.write() as connection:
        await connection.execute(
            host.tables.parked.insert().values(
                consumer_name="view.zone_directory", event_id=uuid7(), source="ticket", event_type="zone.set", version=1,
                topic="zones", partition_key="1", payload="{}", headers={}, event_time=now - timedelta(seconds=age),
                parked_at=now, retry_count=1,
            )
        )  # fmt: skip


def test_the_handler_is_named_after_the_view() -> None:
    view: View = zone_view()
    assert list(view.snapshots) == [GetZones]
