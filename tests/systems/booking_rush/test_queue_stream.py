"""The queue's event stream, over real HTTP and through the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from systems.booking_rush.booking.queue_line import QueueLines
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, Person, problem
from tests.systems.booking_rush.lining import Event, Lining, open_lining
from tests.unit.http.servers import DEADLINE, serving


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Lining]:
    databases = Databases("sqlite", tmp_path, None)
    async with open_lining(databases, tmp_path) as opened:
        yield opened
    await databases.close()


class Listener:
    """Somebody who reads a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._parts = answer.aiter_raw()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event; each comes as one chunk."""
        part = await asyncio.wait_for(anext(self._parts), DEADLINE)
        name, data, *end = part.decode().split("\n")
        assert (name[:7], data[:6], end) == ("event: ", "data: ", ["", ""])
        return name[7:], json.loads(data[6:])

    async def ended(self) -> bool:
        return [part async for part in self._parts] == []


@asynccontextmanager
async def listening(stage: Lining, url: str, who: Person, event: Event) -> AsyncIterator[Listener]:
    async with (
        httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web,
        web.stream("GET", f"/api/v1/queue/position/{event['id']}/stream", headers=who.headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Listener(answer)


async def unwatched(stage: Lining) -> None:
    """Nobody watches any line, and nothing reads one any more."""
    lines = stage.world.process.units["booking"].host.provided.use(QueueLines)
    async with asyncio.timeout(DEADLINE):
        while any(line.watches or line.ticking for line in lines._lines.values()):
            await asyncio.sleep(0)


async def test_the_position_comes_at_once_every_15_seconds_and_then_the_pass(stage: Lining) -> None:
    event = await stage.queued_event(most=1)
    a, b = await stage.person(), await stage.person()
    token = await stage.passed(a, event)
    await stage.joined(b, event)
    async with serving(stage.world.process.app) as url, listening(stage, url, b, event) as stream:
        name, shown = await stream.next()
        assert (name, shown["position"], shown["total_in_queue"], shown["is_ready"]) == ("position", 1, 1, False)
        stage.world.clock.advance(seconds=15)
        assert (await stream.next())[1]["position"] == 1
        assert (await stage.reserve(a, event, queue_pass=token)).status_code == 201
        await stage.release()
        name, shown = await stream.next()
        assert (name, shown["position"], shown["is_ready"]) == ("position", 0, True)
        assert await stream.ended()
        assert (await stage.reserve(b, event, queue_pass=shown["queue_pass"])).status_code == 201
        await unwatched(stage)


async def test_who_has_a_pass_already_gets_it_at_once(stage: Lining) -> None:
    event = await stage.queued_event(most=1)
    a = await stage.person()
    token = await stage.passed(a, event)
    async with serving(stage.world.process.app) as url, listening(stage, url, a, event) as stream:
        assert (await stream.next())[1]["queue_pass"] == token
        assert await stream.ended()


async def test_it_ends_for_whoever_does_not_wait_or_waits_no_longer(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    a, b = await stage.person(), await stage.person()
    place = await stage.joined(a, event)
    async with serving(stage.world.process.app) as url:
        problem(await stage.call("GET", f"/queue/position/{uuid4()}/stream", a), 404, "NOT_FOUND")
        abroad = await stage.person(tenant=ABROAD)
        problem(await stage.call("GET", f"/queue/position/{event['id']}/stream", abroad), 404, "NOT_FOUND")
        async with listening(stage, url, b, event) as stream:
            name, told = await stream.next()
            assert (name, told["event"]) == ("error", "not_in_queue")
            assert await stream.ended()
        async with listening(stage, url, a, event) as stream:
            assert (await stream.next())[1]["position"] == 1
            assert (await stage.leave(a, event, place["token"])).status_code == 200
            name, told = await stream.next()
            assert (name, told["event"]) == ("error", "not_in_queue")
            assert await stream.ended()
        await unwatched(stage)


async def test_it_lasts_five_minutes(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    a = await stage.person()
    await stage.joined(a, event)
    async with serving(stage.world.process.app) as url, listening(stage, url, a, event) as stream:
        for _ in range(20):
            assert (await stream.next())[0] == "position"
            stage.world.clock.advance(seconds=15)
        events = [await stream.next(), await stream.next()]
        assert [name for name, _ in events] == ["position", "error"]
        assert events[1][1]["event"] == "timeout"
        assert await stream.ended()
        assert (await stage.position(a, event)).json()["position"] == 1


async def test_a_client_that_leaves_frees_everything(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    people = [await stage.person() for _ in range(5)]
    async with serving(stage.world.process.app) as url:
        for person in people:
            await stage.joined(person, event)
        async with listening(stage, url, people[0], event) as first:
            assert (await first.next())[1]["position"] == 1
            for number, person in enumerate(people[1:], 2):
                async with listening(stage, url, person, event) as stream:
                    assert (await stream.next())[1]["position"] == number
            stage.world.clock.advance(seconds=15)
            assert (await first.next())[1]["position"] == 1  # one reader serves who is still there
        await unwatched(stage)


async def test_shutting_down_ends_every_stream(stage: Lining) -> None:
    event = await stage.queued_event(most=0)
    people = [await stage.person() for _ in range(2)]
    for person in people:
        await stage.joined(person, event)
    async with (
        serving(stage.world.process.app) as url,
        listening(stage, url, people[0], event) as one,
        listening(stage, url, people[1], event) as two,
    ):
        assert [(await stream.next())[0] for stream in (one, two)] == ["position"] * 2
        stage.world.process.draining.begin()
        assert await one.ended()
        assert await two.ended()
        await unwatched(stage)
