"""HTTP on every engine: commit before the answer (G1), one answer per key (G10), one call in every layout (G9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from freehold import Context, Problem, Query, Unavailable
from freehold.engines import open_engine
from freehold.http import HttpCaller
from freehold.http.breaker import Breaker
from freehold.observe.metrics import METRICS
from freehold.runtime.context import NOBODY, Asking
from tests.databases import Databases
from tests.unit.http.library import ALICE, BOB, CAROL, Book, BookInfo, CountPages, FindBooks, GetBook, World, client
from tests.unit.http.servers import DEADLINE, serving, unused_url
from tests.unit.http.test_routes import BOOK, add

pytestmark = pytest.mark.guarantee("G9")

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def world(databases: Databases) -> AsyncIterator[World]:
    urls = {service: await databases.url(service) for service in ("shelves", "desk")}
    made = World(lambda service: open_engine(urls[service]))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["in process", "over the wire"])
async def ask(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Ask]:
    """Ask shelves on behalf of desk, either way."""

    def through(caller: Any) -> Ask:
        async def ask(query: Query[Any], context: Context = NOBODY) -> Any:
            return await caller.ask(query, Asking("desk", context))

        return ask

    if request.param == "in process":
        yield through(world.caller)
        return
    async with wire(world) as caller:
        yield through(caller)


async def test_a_call_is_measured_whichever_way_it_goes(world: World, ask: Ask) -> None:
    def count(outcome: str) -> float:
        labels = {"service": "desk", "query": "GetBook", "outcome": outcome}
        return METRICS.registry.get_sample_value("freehold_call_seconds_count", labels) or 0.0

    before = count("refused"), count("answered")
    with pytest.raises(Problem):
        await ask(GetBook(book_id=UUID(int=404)))
    assert (count("refused"), count("answered")) == (before[0] + 1, before[1])


@asynccontextmanager
async def wire(world: World, url: str | None = None, **options: Any) -> AsyncIterator[HttpCaller]:
    async with serving(world.app()) as served:
        caller = HttpCaller(world.system, {"shelves": url or served}, world.tokens(), **options)
        yield caller
        await caller.aclose()


async def rows(world: World) -> tuple[int, int]:
    host = world.hosts["shelves"]
    async with host.engine.read() as connection:
        counted = [
            await connection.scalar(select(func.count()).select_from(table))
            for table in (Book.__table__, host.tables.outbox)
        ]
    return int(counted[0] or 0), int(counted[1] or 0)


# --- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.guarantee("G1")
async def test_rows_and_events_commit_before_the_answer_or_not_at_all(world: World) -> None:
    async with client(world.app()) as web:
        await add(world, web)
        assert await rows(world) == (1, 1)
        assert (await web.post("/api/v1/books/wrong")).status_code == 500
        assert await rows(world) == (1, 1)
        refused = await web.post("/api/v1/books", json={**BOOK, "price": -1}, headers=world.bearer(ALICE))
        assert refused.status_code == 422
        assert await rows(world) == (1, 1)


@pytest.mark.guarantee("G10")
async def test_many_requests_with_one_key_have_one_effect(world: World) -> None:
    headers = {**world.bearer(ALICE), "Idempotency-Key": "k"}
    async with client(world.app()) as web:
        answers = await asyncio.gather(*(web.post("/api/v1/books", json=BOOK, headers=headers) for _ in range(10)))
        made = {answer.content for answer in answers if answer.status_code == 201}
        others = {answer.json()["code"] for answer in answers if answer.status_code != 201}
        assert len(made) == 1
        assert others <= {"REQUEST_IN_PROGRESS"}
        again = await web.post("/api/v1/books", json=BOOK, headers=headers)
        assert {again.content} == made
    assert await rows(world) == (1, 1)


async def test_a_value_that_the_database_cannot_hold_is_the_senders_fault(world: World) -> None:
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books", json={**BOOK, "title": "a\0b"}, headers=world.bearer(ALICE))
        assert answer.status_code in (201, 422)  # PostgreSQL has no room for a NUL, SQLite has
        large = await web.get(f"/api/v1/books/number/{2**70}")
        assert large.status_code == 422


async def test_a_unique_key_is_409(world: World) -> None:
    novel = {"title": "Emma", "isbn": "1", "price": "10.50"}
    async with client(world.app()) as web:
        first = await web.post("/api/v1/catalogue", json=novel, headers=world.bearer(BOB))
        second = await web.post("/api/v1/catalogue", json=novel, headers=world.bearer(BOB))
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["code"] == "BOOK_EXISTS"
    assert await rows(world) == (1, 1)


# --- typed calls ------------------------------------------------------------------------------------------------------


async def test_an_answer_is_the_same_either_way(world: World, ask: Ask) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
    answer = await ask(GetBook(book_id=made["id"]))
    assert answer == BookInfo(id=made["id"], title="Emma", price=Decimal("12.50"))
    since = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    found = await ask(FindBooks(titles=["ä & b", "c/d?"], cheap=True, since=since))
    assert [(each.title, each.price) for each in found] == [(f"{t} {since}", 1) for t in ("ä & b", "c/d?")]
    assert await ask(FindBooks(titles=[])) == []
    world.state.go_on.set()
    assert await ask(CountPages(book_ids=[UUID(int=1), UUID(int=2)])) == 2


async def test_a_refusal_is_the_same_problem(world: World, ask: Ask) -> None:
    with pytest.raises(Problem) as caught:
        await ask(GetBook(book_id=UUID(int=404)))
    problem = caught.value
    assert (problem.status, problem.code, problem.detail) == (404, "BOOK_NOT_FOUND", "There is no such book")
    assert problem.extra == {"book": "none"}
    assert not problem.keep  # what the other service keeps is not ours to keep


@pytest.mark.parametrize(
    ("error", "said"), [(Problem, (503, "SOLD")), (RuntimeError, ("secret",)), (Unavailable, ("its neighbour",))]
)
async def test_a_failure_is_unavailable(
    world: World, ask: Ask, error: type[Exception], said: tuple[object, ...]
) -> None:
    world.state.conflicts.extend([error(*said)] * 3)
    with pytest.raises(Unavailable) as caught:
        await ask(GetBook(book_id=UUID(int=1)))
    assert "secret" not in str(caught.value)


async def test_the_earlier_deadline_counts(world: World, ask: Ask) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable, match="in time"):
        await ask(CountPages(book_ids=[]), Context(deadline=began + 0.2))
    assert loop.time() - began < CountPages.__query__.timeout


async def test_calls_see_the_rows_that_their_asker_may_see(world: World, ask: Ask) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
    query = GetBook(book_id=made["id"])
    assert (await ask(query, Context(user=ALICE, tenant_id=ALICE.tenant_id))).title == "Emma"
    assert (await ask(query, Context(user=CAROL))).title == "Emma"
    with pytest.raises(Problem, match="BOOK_NOT_FOUND"):
        await ask(query, Context(user=CAROL, tenant_id=CAROL.tenant_id))


async def test_a_fallback_is_taken_when_there_is_no_answer(world: World, ask: Ask) -> None:
    @world.desk.fallback(GetBook)
    async def unknown(query: GetBook) -> BookInfo:
        return BookInfo(id=query.book_id, title="?", price=Decimal(0))

    world.state.conflicts.extend([Unavailable("down")] * 3)
    assert (await ask(GetBook(book_id=UUID(int=1)))).title == "?"
    world.state.conflicts.clear()
    with pytest.raises(Problem):
        await ask(GetBook(book_id=UUID(int=1)))


async def test_routes_ask_and_pass_problems_on(world: World) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
    async with client(world.app("desk")) as web:
        lent = await web.post("/api/v1/loans", params={"book_id": made["id"]}, headers=world.bearer(ALICE))
        assert (lent.status_code, lent.json()) == (201, "Emma")
        missing = await web.get(f"/api/v1/books/{UUID(int=404)}/info")
        assert (missing.status_code, missing.json()["code"]) == (404, "BOOK_NOT_FOUND")
        world.state.conflicts.append(Unavailable("down"))
        away = await web.get(f"/api/v1/books/{made['id']}/info")
        assert (away.status_code, away.json()["code"]) == (503, "SERVICE_UNAVAILABLE")


# --- over the wire only -----------------------------------------------------------------------------------------------


async def test_what_may_be_repeated_is_tried_again_and_nothing_else(world: World) -> None:
    world.state.go_on.set()
    async with wire(world) as caller:
        world.state.conflicts.extend([Unavailable("down")] * 2)
        with pytest.raises(Problem, match="BOOK_NOT_FOUND"):
            await caller.ask(GetBook(book_id=UUID(int=1)), Asking("desk", Context()))
        assert world.state.calls == 3
        world.state.conflicts.append(Unavailable("down"))
        with pytest.raises(Unavailable):
            await caller.ask(CountPages(book_ids=[]), Asking("desk", Context()))
        assert world.state.calls == 4


async def test_a_service_that_cannot_be_reached_is_left_alone_for_a_while(world: World) -> None:
    async with wire(world, unused_url(), breaker=lambda name: Breaker(name, failures=3, rest=60)) as caller:
        for message in ("cannot be reached", "left alone"):
            with pytest.raises(Unavailable, match=message):
                await caller.ask(GetBook(book_id=UUID(int=1)), Asking("desk", Context()))
        assert caller.breaker("shelves").state == "open"


async def test_calls_carry_who_asks_the_trace_and_the_request(world: World) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": str(UUID(int=1)), "title": "x", "price": "1.00"})

    web = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    caller = HttpCaller(world.system, {"shelves": "http://shelves"}, world.tokens(), client=web)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = Context(user=ALICE, request_id="r-7", tenant_id=ALICE.tenant_id, traceparent=trace)
    await caller.ask(GetBook(book_id=UUID(int=1)), Asking("desk", context))
    headers = seen[0].headers
    assert headers["x-request-id"] == "r-7"
    assert headers["traceparent"] == trace
    assert 0 < int(headers["x-timeout-ms"]) <= 2000
    from freehold.identity import ServiceTokenVerifier

    call = ServiceTokenVerifier("shelves", world.rings.get, clock=world.clock).verify(headers["x-service-token"])
    assert (call.service, call.user and call.user.id) == ("desk", ALICE.id)
    await caller.aclose()


async def test_a_token_that_is_not_accepted_is_our_own_fault(world: World) -> None:
    async with serving(world.app()) as url:
        caller = HttpCaller(world.system, {"shelves": url}, world.tokens("shelves"))
        world.rings["shelves"] = world.rings["desk"]  # what the verifier looks keys up in from now on
        with pytest.raises(Unavailable, match="service token"):
            await asyncio.wait_for(caller.ask(GetBook(book_id=UUID(int=1)), Asking("desk", Context())), DEADLINE)
        await caller.aclose()
