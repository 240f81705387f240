"""Ordinary and lean routes of a service: what they read, what they answer, what they commit."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from freehold import Service, System, Tx, User, public, user
from freehold.engines import open_engine
from freehold.http import service_app
from freehold.model.errors import DeclarationError
from freehold.runtime.host import Host
from tests.unit.http.library import ALICE, BOB, Book, World, client

BOOK = {"title": "Emma", "price": 12.5}


async def count(world: World, table: Any) -> int:
    async with world.hosts["shelves"].engine.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def add(world: World, web: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await web.post("/api/v1/books", json={**BOOK, **changes}, headers=world.bearer(ALICE))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_commits_rows_and_events_before_it_answers(world: World) -> None:
    async with client(world.app()) as web:
        made = await add(world, web)
        assert made["price"] == 12.5
        assert (await web.get(f"/api/v1/books/{made['id']}")).json() == made
    assert await count(world, Book) == 1
    assert await count(world, world.hosts["shelves"].tables.outbox) == 1


async def test_an_answer_that_does_not_fit_rolls_back(world: World) -> None:
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books/wrong")
    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL_ERROR"
    assert await count(world, Book) == 0


async def test_a_lost_race_runs_the_whole_handler_again(world: World) -> None:
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    world.state.conflicts.append(OperationalError("UPDATE", {}, locked))
    async with client(world.app()) as web:
        await add(world, web)
    assert world.state.calls == 2
    assert await count(world, Book) == 1


@pytest.mark.parametrize(
    ("price", "status"),
    [("10.55", 201), (b"10.55", 201), (b"0.1", 201), (b"9999999999.99", 201), (b"10.005", 422), (b"-1", 422),
     (b"1e400", 422), (b"99999999999.00", 422), ("NaN", 422)],
)  # fmt: skip
async def test_money_is_exact_in_json_numbers(world: World, price: bytes | str, status: int) -> None:
    text = price if isinstance(price, bytes) else f'"{price}"'.encode()
    async with client(world.app()) as web:
        answer = await web.post(
            "/api/v1/books",
            content=b'{"title": "x", "price": %b}' % text,
            headers={**world.bearer(ALICE), "content-type": "application/json"},
        )
    assert answer.status_code == status, answer.text
    if status == 201:
        assert f'"price":{text.decode().strip(chr(34))}' in answer.text.replace(".0,", ",")


async def test_problems_are_problem_details(world: World) -> None:
    async with client(world.app()) as web:
        answer = await web.get(f"/api/v1/books/{UUID(int=5)}", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.json() == {
        "type": "about:blank", "status": 404, "code": "NOT_FOUND", "title": "Not found", "detail": "Book was not found",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/books/1", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/books/1", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/books/", 404, "NOT_FOUND"),
        ("GET", "/api/v1/books/no-uuid", 422, "VALIDATION_ERROR"),
        ("GET", "/api/v1/books/number/99999999999999999999999", 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/lean/x", 422, "VALIDATION_ERROR"),
    ],
)
async def test_wrong_paths(world: World, method: str, path: str, status: int, code: str) -> None:
    async with client(world.app()) as web:
        answer = await web.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 405:
        assert answer.headers["allow"] == "GET"


async def test_invalid_input_names_each_field(world: World) -> None:
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books", json={"title": "", "price": "x"}, headers=world.bearer(ALICE))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["title", "price"]
    assert "input" not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/api/v1/books", b"{", "MALFORMED_JSON"),
        ("/api/v1/books", b"\xff\xfe", "MALFORMED_JSON"),
        ("/api/v1/books", b"[" * 100_000, "MALFORMED_JSON"),
        ("/api/v1/reservations", b"{", "INVALID_REQUEST"),
        ("/api/v1/reservations", b"\xff", "INVALID_REQUEST"),
        ("/api/v1/reservations", b"[" * 1900, "INVALID_REQUEST"),
    ],
)
async def test_malformed_json(world: World, path: str, body: bytes, code: str) -> None:
    headers = {**world.bearer(ALICE), "content-type": "application/json", "Idempotency-Key": "k"}
    async with client(world.app()) as web:
        answer = await web.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_codes_of_invalid_input_are_the_routes(world: World) -> None:
    headers = {**world.bearer(ALICE), "Idempotency-Key": "k"}
    async with client(world.app()) as web:
        quantity = await web.post(
            "/api/v1/reservations", json={"book_id": str(UUID(int=1)), "quantity": 11}, headers=headers
        )
        other = await web.post("/api/v1/reservations", json={"quantity": 1}, headers=headers)
        own = await web.post("/api/v1/strict", json={"password": "short"})
    assert quantity.json()["code"] == "INVALID_QUANTITY"
    assert other.json()["code"] == "INVALID_REQUEST"
    assert own.json()["code"] == "WEAK_PASSWORD"
    assert "short" not in own.text


async def test_what_nobody_expected_tells_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books/broken", headers={"X-Request-ID": "r-9"})
    assert answer.status_code == 500
    assert "SELECT" not in answer.text
    assert "Traceback" not in answer.text
    assert "r-9" in caplog.text
    assert "SELECT secret" in caplog.text


async def test_a_database_that_is_away_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = sqlite3.OperationalError("unable to open database file")
    gone.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    world.state.conflicts.append(OperationalError("INSERT", {}, gone))
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/books", json=BOOK, headers=world.bearer(ALICE))
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_large_body_is_refused(world: World, chunked: bool) -> None:
    async def parts() -> Any:
        for _ in range(100):
            yield b" " * 100

    headers = {**world.bearer(ALICE), "Idempotency-Key": "k"}
    async with client(world.app()) as web:
        content: Any = parts() if chunked else b" " * 10_000
        answer = await web.post("/api/v1/reservations", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert world.state.calls == 0


async def test_lean_routes(world: World) -> None:
    headers = {**world.bearer(ALICE), "X-Idempotency-Key": "k"}
    body = {"book_id": str(UUID(int=7)), "quantity": 2}
    async with client(world.app()) as web:
        answer = await web.post("/api/v1/reservations", json=body, headers=headers)
        assert answer.status_code == 201
        assert answer.json() == {**body, "by": str(ALICE.id)}
        assert (await web.post("/api/v1/lean/3")).json() == 3


async def test_idempotency(world: World) -> None:
    body = {"book_id": str(UUID(int=7)), "quantity": 2}
    async with client(world.app()) as web:

        async def post(key: str | None, *, person: User = ALICE, **changes: Any) -> httpx.Response:
            headers = {**world.bearer(person), **({"Idempotency-Key": key} if key is not None else {})}
            return await web.post("/api/v1/reservations", json={**body, **changes}, headers=headers)

        first, again = await post("k"), await post("k")
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert world.state.calls == 1
        assert (await post("k", quantity=3)).json()["code"] == "IDEMPOTENCY_KEY_REUSED"
        assert (await post("k", person=BOB)).json()["by"] == str(BOB.id)
        missing = await post(None)
        assert (missing.status_code, missing.json()["code"]) == (400, "MISSING_IDEMPOTENCY_KEY")
        assert (await post("x" * 201)).status_code == 400
        refused, refused_again = await post("r", quantity=10), await post("r", quantity=10)
        assert (refused_again.status_code, refused_again.json()) == (409, refused.json())
        assert refused_again.headers["content-type"] == "application/problem+json"


async def test_idempotency_of_ordinary_routes_and_of_steps(world: World) -> None:
    headers = {**world.bearer(ALICE), "Idempotency-Key": "k"}
    async with client(world.app()) as web:
        first = await web.post("/api/v1/books", json=BOOK, headers=headers)
        again = await web.post("/api/v1/books", json=BOOK, headers=headers)
        assert first.content == again.content
        one = await web.post("/api/v1/steps", headers={**headers, "Idempotency-Key": "s"})
        two = await web.post("/api/v1/steps", headers={**headers, "Idempotency-Key": "s"})
        assert one.json() == two.json() == {"calls": 2}
        once = await web.post("/api/v1/once", headers={**headers, "Idempotency-Key": "o"})
        assert once.json() == {"key": "o", "scope": str(ALICE.id)}
        none = await web.post("/api/v1/once", headers=world.bearer(ALICE))
        assert none.json() == {"key": None, "scope": None}
    assert await count(world, Book) == 1


async def test_health_metrics_status_and_keys(world: World) -> None:
    app = world.app()
    async with client(app) as web:
        assert (await web.get("/health/live")).json() == {"status": "ok"}
        assert (await web.get("/health/ready")).status_code == 200
        assert (await web.get("/api/v1/status")).json() == {"status": "ok", "version": "1", "service": "shelves"}
        assert (await web.get("/.well-known/jwks.json")).json() == world.rings["shelves"].jwks()
        metrics = (await web.get("/metrics", headers={"Authorization": "Basic x"})).text
        assert 'http_requests_total{method="GET",route="/health/live",service="shelves",status="200"}' in metrics
        app.draining.begin()
        stopping = await web.get("/health/ready")
        assert stopping.json()["missing"] == {"process": "is shutting down"}
        assert (await web.get("/health/live")).status_code == 200


async def test_readiness_names_what_is_missing(world: World) -> None:
    async def broken() -> None:
        raise ConnectionError("no bus")

    async with client(world.app(checks={"bus": broken})) as web:
        answer = await web.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["missing"] == {"bus": "does not answer"}


async def test_openapi(world: World) -> None:
    async with client(world.app()) as web:
        document = (await web.get("/openapi.json")).json()
    reserve = document["paths"]["/api/v1/reservations"]["post"]
    assert set(reserve["responses"]) >= {"201", "400", "401", "403", "409", "413", "422", "429", "500", "503"}
    assert reserve["responses"]["422"]["content"].keys() == {"application/problem+json"}
    assert reserve["parameters"][0]["name"] == "Idempotency-Key"
    assert reserve["security"] == [{"user": []}]
    assert "security" not in document["paths"]["/api/v1/books/{id}"]["get"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    listed = document["paths"]["/api/v1/catalogue"]["get"]
    assert [each["name"] for each in listed["parameters"]] == ["limit", "cursor", "page", "offset", "title"]


def test_declarations_that_cannot_be_served(world: World) -> None:
    service = Service("odd")

    @service.get("/odd", access=public)
    async def odd(caller: User) -> str:
        return str(caller.id)

    host = Host(System("s", services=[service]), service, world.hosts["shelves"].engine)
    with pytest.raises(DeclarationError, match=r"User \| None"):
        service_app(host)
    service.routes.clear()

    @service.post("/odd", access=user, lean=True)
    async def odder(one: int, two: int, tx: Tx) -> str:
        return str(one + two)

    with pytest.raises(DeclarationError, match="lean"):
        service_app(host)


async def test_an_app_that_is_done_with_is_freed_with_its_service(tmp_path: Path) -> None:
    world = World(lambda service: open_engine(f"sqlite:///{tmp_path / service}.db"))
    await world.start()
    async with client(world.app()) as web:
        await add(world, web)
    await world.stop()
    host = weakref.ref(world.hosts["shelves"])
    del world, web
    gc.collect()
    assert host() is None
