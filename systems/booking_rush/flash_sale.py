"""The sale that `freehold demo flash-sale` shows: one zone, many buyers, and what the books must say in the end."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from freehold import User, Work
from systems.booking_rush import load_books

VISITORS = "systems.booking_rush.flash_sale:buyers"
MOST_SEATS = 4
"""That one buyer asks for; each asks for 1 to so many."""

Sale = Mapping[str, Any]
Script = Generator[tuple[str, str, str, Any, Mapping[str, str]], tuple[int, Any], None]


async def prepare(works: Mapping[str, Work], seats: int) -> Sale:
    """A new event with one show of one zone, on sale."""
    (zone,) = await load_books.put_up(works, seats, name="Flash Sale", events=1, shows=1, zones=1)
    return dict(zone)


def people(number: int) -> Sequence[User]:
    """So many buyers."""
    return load_books.people(number)


# --- what a buyer does ------------------------------------------------------------------------------------------------


def buyers(sale: Sale, tokens: Sequence[str], pay: float) -> Iterator[Script]:
    """A script for each token; of those granted, the share `pay` pays."""
    for number, token in enumerate(tokens):
        pays = int((number + 1) * pay) > int(number * pay)
        yield _buy(sale, token, 1 + number % MOST_SEATS, pays=pays)


def _buy(sale: Sale, token: str, quantity: int, *, pays: bool) -> Script:
    wish = {**{name: sale[name] for name in ("event_id", "show_id", "zone_id")}, "quantity": quantity}
    status, answer = yield "reserve", "POST", "/api/v1/bookings/reserve", wish, _headers(token)
    if status != 201 or not pays:
        return
    payment = {
        "booking_id": answer["booking_id"],
        "amount": answer["total_price"],
        "currency": "THB",
        "method": "credit_card",
    }
    yield "pay", "POST", "/api/v1/payments?auto_process=true", payment, _headers(token)


def _headers(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Idempotency-Key": uuid4().hex}


# --- the books --------------------------------------------------------------------------------------------------------


async def count(books: Any, sale: Sale) -> Mapping[str, int]:
    """Seats and bookings as booking's database has them now."""
    return await load_books.count(books, [sale])


async def reconcile(books: Any, sale: Sale, report: Any) -> tuple[list[str], str]:
    """Every database against every other."""
    granted = report.answers.get("reserve", {}).get(201, 0)
    return await load_books.reconcile(books, [sale], granted=granted, most=MOST_SEATS)
