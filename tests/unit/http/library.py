"""A small system with every kind of route: shelves owns books, desk asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import httpx
from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.responses import Response, StreamingResponse

from freehold import (
    Context,
    Event,
    Gateway,
    Money,
    MoneyNumber,
    Once,
    Portable,
    Problem,
    Query,
    RateLimit,
    Service,
    System,
    Timestamp,
    Tx,
    User,
    Work,
    not_found,
    owner,
    permission,
    public,
    role,
    signature,
    user,
    uuid7,
)
from freehold.http import GatewayApp, ServiceApp, gateway_app, service_app
from freehold.identity import KeyRing, ServiceTokens, ServiceTokenVerifier, TokenIssuer, TokenVerifier
from freehold.model.ports import Clock, Engine
from freehold.runtime.calls import LocalCaller
from freehold.runtime.host import Host
from freehold.testing import ManualClock

ALICE = User(id=UUID(int=1), email="alice@example.com", roles=frozenset({"reader"}), tenant_id=UUID(int=101))
BOB = User(id=UUID(int=2), roles=frozenset({"librarian"}), tenant_id=UUID(int=101))
CAROL = User(id=UUID(int=3), roles=frozenset({"reader"}), tenant_id=UUID(int=102))
DAN = User(id=UUID(int=4), roles=frozenset({"librarian"}), tenant_id=UUID(int=102))
ROOT = User(id=UUID(int=9), roles=frozenset({"root"}), permissions=frozenset({"shelves.*"}))
LOST = User(id=UUID(int=10))


class ShelvesBase(Portable, DeclarativeBase):
    pass


class Book(ShelvesBase):
    __tablename__ = "books"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    owner_id: Mapped[UUID]
    title: Mapped[str] = mapped_column(String(50))
    isbn: Mapped[str | None] = mapped_column(String(20), unique=True)
    price: Mapped[Money]
    pages: Mapped[int] = mapped_column(default=100)
    created_at: Mapped[Timestamp]
    updated_at: Mapped[Timestamp]
    deleted_at: Mapped[Timestamp | None]


class DeskBase(Portable, DeclarativeBase):
    pass


class Loan(DeskBase):
    __tablename__ = "loans"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]


class BookAdded(Event, name="book.added", topic="books", key="book_id"):
    book_id: UUID
    price: Money


class BookInfo(BaseModel):
    id: UUID
    title: str
    price: Money


class GetBook(Query[BookInfo], path="/internal/books/{book_id}"):
    book_id: UUID


class FindBooks(Query[list[BookInfo]], path="/internal/books", method="GET"):
    titles: list[str]
    cheap: bool = False
    since: datetime | None = None


class CountPages(Query[int], path="/internal/pages", method="POST", idempotent=False):
    book_ids: list[UUID]


class BookOut(BaseModel):
    id: UUID
    title: str
    price: MoneyNumber
    tenant_id: UUID


class AddBook(BaseModel):
    title: str = Field(min_length=1, max_length=50)
    price: Annotated[MoneyNumber, Field(ge=0)]
    pages: int = Field(100, ge=1)


class Reserve(BaseModel):
    book_id: UUID
    quantity: int = Field(ge=1, le=10)


class Reserved(BaseModel):
    book_id: UUID
    quantity: int
    by: UUID


class Shelves:
    """What the routes below count and wait for, replaced for each test."""

    def __init__(self) -> None:
        self.calls = 0
        self.conflicts: list[Exception] = []
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()


def make_services(state: Shelves) -> tuple[Service, Service]:
    shelves = Service("shelves", tables=ShelvesBase, publishes=[BookAdded])
    desk = Service("desk", tables=DeskBase, asks=[GetBook, FindBooks, CountPages])

    @shelves.post("/books", access=user, status_code=201)
    async def add(body: AddBook, tx: Tx, caller: User) -> BookOut:
        """Put a book on the shelf."""
        state.calls += 1
        book = Book(
            id=uuid7(), owner_id=caller.id, tenant_id=caller.tenant_id, title=body.title, price=body.price,
            pages=body.pages, created_at=tx.now(), updated_at=tx.now(),
        )  # fmt: skip
        tx.add(book)
        tx.publish(BookAdded(book_id=book.id, price=book.price))
        await tx.flush()
        if state.conflicts:
            raise state.conflicts.pop()
        return BookOut.model_validate(book, from_attributes=True)

    @shelves.get("/books/{id}", access=public)
    async def get(id: UUID, tx: Tx, caller: User | None) -> BookOut:
        book = await tx.get(Book, id)
        if book is None:
            raise not_found("Book")
        return BookOut.model_validate(book, from_attributes=True)

    @shelves.get("/books/{id}/private", access=user)
    async def get_private(id: UUID, tx: Tx) -> BookOut:
        return await get(id, tx, tx.user)

    @shelves.put("/books/{id}/title", access=owner(Book.owner_id, roles=("librarian",)))
    async def rename(id: UUID, title: str, tx: Tx) -> BookOut:
        book = await tx.get(Book, id, lock=True)
        if book is None:
            raise not_found("Book")
        book.title = title
        return BookOut.model_validate(book, from_attributes=True)

    @shelves.get("/users/{user_id}/books", access=owner(param="user_id", roles=("librarian",)))
    async def of_user(user_id: UUID) -> list[str]:
        return [str(user_id)]

    @shelves.get("/staff", access=role("librarian"))
    async def staff(context: Context) -> dict[str, str | None]:
        return {"tenant": str(context.tenant_id), "request": context.request_id, "ip": context.ip_address}

    @shelves.get("/context", access=user)
    async def tell_context(context: Context) -> dict[str, str | None]:
        return {"tenant": str(context.tenant_id) if context.tenant_id else None, "request": context.request_id}

    @shelves.get("/audit", access=permission("shelves.audit"))
    async def audit() -> list[str]:
        return []

    @shelves.get("/forgotten")
    async def forgotten() -> str:
        return "nobody may see this"

    @shelves.post("/hooks", access=signature, idempotency="none", status_code=204)
    async def hook() -> Response:
        return Response(status_code=204)

    @shelves.post("/books/wrong", access=public, status_code=201)
    async def wrong(tx: Tx) -> BookOut:
        book = Book(
            id=uuid7(), owner_id=ALICE.id, tenant_id=ALICE.tenant_id, title="kept?", price=1, pages=1,
            created_at=tx.now(), updated_at=tx.now(),
        )  # fmt: skip
        tx.add(book)
        await tx.flush()
        return {"title": "no id"}  # type: ignore[return-value]

    @shelves.post("/books/broken", access=public)
    async def broken() -> None:
        raise RuntimeError("SELECT secret FROM vault")

    @shelves.get("/books/number/{number}", access=public)
    async def numbered(number: int, tx: Tx) -> str:
        from sqlalchemy import select

        return str(await tx.scalar(select(Book.title).where(Book.pages == number)))

    @shelves.post("/reservations", access=user, idempotency="required", lean=True, status_code=201,
                  invalid={"quantity": "INVALID_QUANTITY", "*": "INVALID_REQUEST"}, max_body=2000)  # fmt: skip
    async def reserve(body: Reserve, tx: Tx, caller: User) -> Reserved:
        state.calls += 1
        if body.quantity == 10:
            raise Problem(409, "INSUFFICIENT_BOOKS", "There are not so many")
        return Reserved(book_id=body.book_id, quantity=body.quantity, by=caller.id)

    @shelves.post("/lean/{number}", access=public, lean=True, idempotency="none")
    async def lean(number: int) -> int:
        return number

    @shelves.post("/steps", access=user)
    async def steps(work: Work, caller: User) -> dict[str, int]:
        async with work.transaction():
            state.calls += 1
        return {"calls": state.calls}

    @shelves.post("/once", access=user)
    async def with_once(work: Work, once: Once | None) -> dict[str, str | None]:
        return {"key": once.key if once else None, "scope": once.scope if once else None}

    @shelves.post("/strict", access=public)
    async def strict(body: Strict) -> str:
        return body.password

    @shelves.get("/slow", access=public)
    async def slow() -> str:
        state.entered.set()
        try:
            await state.go_on.wait()
        finally:
            state.left.set()
        return "done"

    @shelves.get("/stream", access=public)
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[bytes]:
            try:
                yield b"data: 1\n\n"
                state.entered.set()
                await state.go_on.wait()
                yield b"data: 2\n\n"
            finally:
                state.left.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    shelves.resource(
        Book, "/catalogue", read=public, write=role("librarian"), filters=("title",), order_by="title",
        soft_delete="deleted_at", defaults=lambda row, caller: setattr(row, "owner_id", caller.id),
        created=lambda row: BookAdded(book_id=row.id, price=row.price), conflict="BOOK_EXISTS", create=NewBook,
    )  # fmt: skip

    @shelves.answers(GetBook)
    async def get_book(query: GetBook, tx: Tx) -> BookInfo:
        state.calls += 1
        if state.conflicts:
            raise state.conflicts.pop()
        book = await tx.get(Book, query.book_id)
        if book is None:
            raise Problem(404, "BOOK_NOT_FOUND", "There is no such book", keep=True, book="none")
        return BookInfo.model_validate(book, from_attributes=True)

    @shelves.answers(FindBooks)
    async def find_books(query: FindBooks, tx: Tx) -> list[BookInfo]:
        price = Decimal(1 if query.cheap else 2)
        return [BookInfo(id=UUID(int=int(price)), title=f"{t} {query.since}", price=price) for t in query.titles]

    @shelves.answers(CountPages)
    async def count_pages(query: CountPages, tx: Tx) -> int:
        state.calls += 1
        if state.conflicts:
            raise state.conflicts.pop()
        await asyncio.wait_for(state.go_on.wait(), 30)
        return len(query.book_ids)

    @desk.post("/loans", access=user, status_code=201)
    async def lend(book_id: UUID, tx: Tx) -> str:
        info = await tx.ask(GetBook(book_id=book_id))
        tx.add(Loan(id=uuid7(), title=info.title))
        return info.title

    @desk.get("/books/{id}/info", access=public)
    async def info(id: UUID, tx: Tx) -> BookInfo:
        return await tx.ask(GetBook(book_id=id))

    return shelves, desk


class NewBook(BaseModel):
    title: str = Field(max_length=50)
    isbn: str | None = None
    price: Money


def _long_enough(password: str) -> str:
    if len(password) < 8:
        raise PydanticCustomError("WEAK_PASSWORD", "Use at least 8 characters")
    return password


class Strict(BaseModel):
    password: Annotated[str, AfterValidator(_long_enough)]


class World:
    """The system, running in this process on its databases."""

    def __init__(self, open_engine: Callable[[str], Engine], *, rate_limits: tuple[RateLimit, ...] = ()) -> None:
        self.state = Shelves()
        self.clock = ManualClock()
        self.shelves, self.desk = make_services(self.state)
        self.system = System(
            "library", services=[self.shelves, self.desk], tenant_column="tenant_id", tenant_free_roles=("root",),
            auth="desk", gateway=Gateway(rate_limits=rate_limits, timeout=20),
        )  # fmt: skip
        self.rings = {name: KeyRing.generate(clock=self.clock) for name in ("shelves", "desk")}
        self.issuer = TokenIssuer(self.rings["desk"], issuer="desk", audience="library", clock=self.clock)
        self.hosts: dict[str, Host] = {}
        self.caller = LocalCaller(self.system, self.hosts)
        for service in self.system.services:
            given = {Clock: self.clock}
            self.hosts[service.name] = Host(
                self.system, service, open_engine(service.name), clock=self.clock, caller=self.caller, given=given
            )

    async def start(self) -> None:
        for host in self.hosts.values():
            await host.create_tables()

    async def stop(self) -> None:
        for host in self.hosts.values():
            await host.close()

    def app(self, service: str = "shelves", **options: Any) -> ServiceApp:
        services = ServiceTokenVerifier(service, self.rings.get, clock=self.clock)
        return service_app(
            self.hosts[service],
            verifier=self.verifier(),
            service_verifier=services,
            key_ring=self.rings[service],
            **options,
        )

    def verifier(self) -> TokenVerifier:
        return TokenVerifier(self.rings["desk"], issuer="desk", audience="library", clock=self.clock)

    def gateway(self, **backends: Any) -> GatewayApp:
        return gateway_app(self.system, {"shelves": self.app(), "desk": self.app("desk"), **backends})

    def tokens(self, service: str = "desk") -> ServiceTokens:
        return ServiceTokens(service, self.rings[service], clock=self.clock)

    def bearer(self, person: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.issue(person)}"}


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", timeout=20)
