"""Who asks whom is read from the functions that ask."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from freehold import Query, Service, System, Tx, Work, public
from freehold.inspect import check


class Amount(BaseModel):
    amount: int


class GetPrice(Query[Amount], path="/internal/price"): ...


class GetRate(Query[Amount], path="/internal/rate"): ...


class GetQuickRate(Query[Amount], path="/internal/quick-rate", timeout=0.5): ...


class GetNothing(Query[Amount], path="/internal/nothing", timeout=0): ...


class Rates:
    """Something that a service provides: what its methods ask is asked by whoever takes it."""

    async def rate(self, tx: Tx) -> Amount:
        return await _rate(tx)


async def _rate(tx: Tx) -> Amount:
    return await tx.ask(GetRate())


async def answer(query: Any, tx: Tx) -> Amount:
    return Amount(amount=1)


async def answer_by_rate(query: GetPrice, tx: Tx) -> Amount:
    return await tx.ask(GetRate())


async def answer_by_thing(query: GetPrice, tx: Tx, rates: Rates) -> Amount:
    return await rates.rate(tx)


async def answer_quickly(query: GetPrice, tx: Tx) -> Amount:
    return await tx.ask(GetQuickRate())


async def answer_by_nothing(query: GetPrice, tx: Tx) -> Amount:
    return await tx.ask(GetNothing())


async def mention(query: GetPrice, tx: Tx) -> Amount:
    return Amount(amount=len(GetRate.__name__))


async def do_without(query: Any) -> Amount:
    return Amount(amount=0)


def shop(answering: Any, rated_by: str = "banks", *, fallback: str = "") -> list[str]:
    """orders asks GetPrice of products, and what products asks to answer is answered by `rated_by`."""
    orders, products = Service("orders", asks=[GetPrice]), Service("products", asks=[GetRate, GetQuickRate, GetNothing])
    services = {"orders": orders, "products": products, "banks": Service("banks")}

    @orders.get("/price", access=public)
    async def price(work: Work) -> int:
        return (await work.ask(GetPrice())).amount

    products.answers(GetPrice)(answering)
    for query in (GetRate, GetQuickRate, GetNothing):
        services[rated_by].answers(query)(answer)
    if fallback == "orders":
        orders.fallback(GetPrice)(do_without)
    if fallback == "products":
        products.fallback(GetRate)(do_without)
    return [f"{found.code} {found.where}" for found in check(System("shop", list(services.values())))]


LONG = ["FH043 orders → products → banks"]
CIRCLE = ["FH042 orders → products → orders"]


def test_a_long_path_needs_a_fallback_or_a_shorter_time_out() -> None:
    assert shop(answer_by_rate) == LONG
    assert shop(answer_quickly) == []
    assert shop(answer_by_nothing) == LONG  # no time-out is none that ends before
    assert shop(answer_by_rate, fallback="orders") == []
    assert shop(answer_by_rate, fallback="products") == []


def test_a_circle_is_one_whatever_the_fallbacks() -> None:
    assert shop(answer_by_rate, "orders") == CIRCLE
    assert shop(answer_by_rate, "orders", fallback="orders") == CIRCLE


def test_what_a_provided_thing_asks_is_asked_by_whoever_takes_it() -> None:
    assert shop(answer_by_thing) == LONG
    assert shop(answer_by_thing, "orders") == CIRCLE


def test_a_query_that_is_only_mentioned_is_not_asked() -> None:
    assert shop(mention, "orders") == []
