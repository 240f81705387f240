"""Event streams and header parameters of plain routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated
from uuid import UUID

import httpx
import pytest
from fastapi import Header
from pydantic import BaseModel

from freehold import EventStream, Service, System, public
from freehold.engines import open_engine
from freehold.http import Draining, ServiceApp, gateway_app, service_app
from freehold.runtime.host import Host
from tests.unit.http.library import client
from tests.unit.http.servers import DEADLINE, serving


class Tick(BaseModel):
    number: int


class Clockwork:
    """A service whose streams the test drives."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()
        clock = Service("clock")

        async def ticks(fail: bool) -> AsyncGenerator[tuple[str, BaseModel], None]:
            try:
                yield "tick", Tick(number=1)
                await self.go_on.wait()
                if fail:
                    raise RuntimeError("the clock is broken")
                yield "tick", Tick(number=2)
            finally:
                self.closed.set()

        @clock.get("/ticks", access=public, lean=True)
        async def stream() -> EventStream:
            return EventStream(ticks(fail=False))

        @clock.get("/broken", access=public)
        async def broken() -> EventStream:
            return EventStream(ticks(fail=True))

        @clock.get("/shown/{id}", access=public, lean=True)
        async def shown(id: UUID, x_who: Annotated[str | None, Header()] = None,
                        secret: Annotated[str | None, Header(alias="X-Queue-Pass")] = None) -> list[str | None]:  # fmt: skip
            return [str(id), x_who, secret]

        self.system = System("clocks", services=[clock])
        self.service = clock
        self.draining = Draining()

    def app(self, folder: object) -> ServiceApp:
        self.host = Host(self.system, self.service, open_engine(f"sqlite:///{folder}/clock.db"))
        return service_app(self.host, draining=self.draining)


@pytest.fixture
async def clockwork(tmp_path: object) -> AsyncIterator[tuple[Clockwork, ServiceApp]]:
    made = Clockwork()
    yield made, made.app(tmp_path)
    await made.host.close()


async def test_a_stream_sends_each_event_as_it_comes_and_ends(clockwork: tuple[Clockwork, ServiceApp]) -> None:
    state, app = clockwork
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web,
        web.stream("GET", "/api/v1/ticks") as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == b'event: tick\ndata: {"number":1}\n\n'
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        state.go_on.set()
        assert await anext(parts) == b'event: tick\ndata: {"number":2}\n\n'
        assert [part async for part in parts] == []
    assert state.closed.is_set()


@pytest.mark.parametrize("remote", [True, False])
async def test_a_client_that_leaves_closes_the_stream_behind_the_gateway(
    clockwork: tuple[Clockwork, ServiceApp], remote: bool
) -> None:
    state, app = clockwork
    async with serving(app) as behind:
        gateway = gateway_app(state.system, {"clock": behind if remote else app})
        async with serving(gateway) as url, httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web:
            async with web.stream("GET", "/api/v1/ticks") as answer:
                assert b"tick" in await anext(answer.aiter_raw())
                assert not state.closed.is_set()
            await asyncio.wait_for(state.closed.wait(), DEADLINE)
        await gateway.aclose()


@pytest.mark.parametrize("remote", [True, False])
async def test_shutting_down_ends_streams_cleanly(clockwork: tuple[Clockwork, ServiceApp], remote: bool) -> None:
    state, app = clockwork
    async with serving(app) as behind:
        gateway = gateway_app(state.system, {"clock": behind if remote else app})
        async with (
            serving(gateway) as url,
            httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web,
            web.stream("GET", "/api/v1/ticks") as answer,
        ):
            parts = answer.aiter_raw()
            assert b"tick" in await anext(parts)
            state.draining.begin()
            assert [part async for part in parts] == []
        await gateway.aclose()
    assert state.closed.is_set()


async def test_an_error_in_a_stream_cuts_it_off_and_closes_it(clockwork: tuple[Clockwork, ServiceApp]) -> None:
    state, app = clockwork
    state.go_on.set()
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=DEADLINE) as web:
        with pytest.raises(httpx.RemoteProtocolError):
            await web.get("/api/v1/broken")
    assert state.closed.is_set()


async def test_a_plain_route_reads_headers_and_is_documented(clockwork: tuple[Clockwork, ServiceApp]) -> None:
    _, app = clockwork
    id = str(UUID(int=3))
    async with client(app) as web:
        assert (await web.get(f"/api/v1/shown/{id}")).json() == [id, None, None]
        headers = {"X-Who": "Ann", "X-Queue-Pass": "p"}
        assert (await web.get(f"/api/v1/shown/{id}", headers=headers)).json() == [id, "Ann", "p"]
        document = (await web.get("/openapi.json")).json()
    documented = [document["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"] for path in ("ticks", "broken")]
    assert [list(each["content"]) for each in documented] == [["text/event-stream"]] * 2
    declared = document["paths"]["/api/v1/shown/{id}"]["get"]["parameters"]
    assert {(each["in"], each["name"]) for each in declared} == {
        ("path", "id"), ("header", "x-who"), ("header", "X-Queue-Pass"),
    }  # fmt: skip
