from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Lt
from fastapi import Query as Query_
from pydantic import BaseModel, Field
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Listing, Paging, Portable, Query, Service, System, Tx, internal, public, user
from freehold.inspect import Violation, check


def only(*services: Service) -> Violation:
    found = check(System("shop", services))
    assert len(found) == 1, [str(violation) for violation in found]
    return found[0]


def clean(*services: Service) -> bool:
    return check(System("shop", services)) == []


def test_a_route_without_access() -> None:
    orders = Service("orders")

    @orders.get("/orders")
    async def listed() -> None: ...

    @orders.get("/orders/mine", access=user)
    async def mine() -> None: ...

    found = only(orders)

    assert (found.code, found.severity, found.where) == ("FH070", "error", "orders GET /api/v1/orders")
    assert found.line == listed.__code__.co_firstlineno


def test_two_services_cannot_serve_one_public_path() -> None:
    orders, sales = Service("orders"), Service("sales")

    @orders.get("/orders/{id}", access=user)
    async def one(id: UUID) -> None: ...

    @sales.get("/orders/{order_id}", access=public)
    async def another(order_id: UUID) -> None: ...

    found = only(orders, sales)

    assert (found.code, found.where) == ("FH071", "sales GET /api/v1/orders/{order_id}")
    assert "served by orders too" in found.message


def test_two_services_may_have_the_same_internal_path_and_other_methods() -> None:
    orders, sales = Service("orders"), Service("sales")
    for service in (orders, sales):

        @service.get("/internal/status", access=internal)
        async def status() -> None: ...

        @service.route("POST" if service is orders else "PUT", "/orders", access=user)
        async def write() -> None: ...

    assert clean(orders, sales)


class Base(Portable, DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    text: Mapped[str]


class NoteInfo(BaseModel):
    text: str


class GetNote(Query[NoteInfo], path="/notes/{note_id}"):
    note_id: UUID


def test_a_resource_and_a_public_answer_are_routes_as_well() -> None:
    notes = Service("notes", tables=Base)
    notes.resource(Note, "/notes", read=public, write=user)

    @notes.answers(GetNote, access=user)
    async def get_note(query: GetNote, tx: Tx) -> NoteInfo:
        return NoteInfo(text="")

    found = only(notes)

    assert (found.code, found.where) == ("FH071", "notes GET /api/v1/notes/{note_id}")


class Rows(BaseModel):
    data: list[str]


class Bounded(BaseModel):
    limit: int = Field(default=20, le=100)


class Unbounded(BaseModel):
    limit: int = 20


async def plain() -> list[str]: ...  # type: ignore[empty-body]


async def in_data() -> Rows: ...  # type: ignore[empty-body]


async def no_largest(limit: int = 10) -> Sequence[str]: ...  # type: ignore[empty-body]


async def no_largest_field(query: Annotated[Unbounded, Query_()]) -> Listing[str]: ...  # type: ignore[empty-body]


async def paged(query: Annotated[Paging, Query_()]) -> Listing[str]: ...  # type: ignore[empty-body]


async def largest(limit: Annotated[int, Query_(le=100)] = 10) -> list[str]: ...  # type: ignore[empty-body]


async def largest_below(per_page: Annotated[int, Lt(100)] = 10) -> tuple[str, ...]: ...  # type: ignore[empty-body]


async def choice(limit: Literal[10, 20] = 10) -> list[str]: ...  # type: ignore[empty-body]


async def by_field(query: Annotated[Bounded, Query_()]) -> Rows: ...  # type: ignore[empty-body]


async def no_list() -> dict[str, str]: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("handler", [plain, in_data, no_largest, no_largest_field])
def test_a_list_that_nothing_bounds(handler: Callable[..., Any]) -> None:
    notes = Service("notes")
    notes.get("/notes", access=user)(handler)

    found = only(notes)

    assert (found.code, found.severity, found.where) == ("FH072", "warning", "notes GET /api/v1/notes")


@pytest.mark.parametrize("handler", [paged, largest, largest_below, choice, by_field, no_list])
def test_a_list_with_a_largest_size(handler: Callable[..., Any]) -> None:
    notes = Service("notes")
    notes.get("/notes", access=user)(handler)
    notes.post("/notes", access=user)(plain)  # what is written is as long as what was sent

    assert clean(notes)
