"""Reports of sales, added up by the database.

A booking belongs to the moment at which it was confirmed. Its total is revenue from then on, less what was given back;
it is counted, with its tickets, while it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Row, and_, case, column, func, select, values

from freehold import Tx, User, UtcDateTime
from systems.booking_rush.auth.contract import Role
from systems.booking_rush.notification.bodies import (
    Dashboard,
    EventReport,
    Sales,
    SalesOfEvent,
    SalesOfPeriod,
    SalesOfZone,
)
from systems.booking_rush.notification.rules import COMPARED, Span, change_percent
from systems.booking_rush.notification.tables import EventDirectory, SalesFact

ADMINS: tuple[Role, ...] = ("admin", "super_admin")
Conditions = Sequence[ColumnElement[bool]]

_SOLD = SalesFact.confirmed_at.is_not(None)
_STANDS = SalesFact.status == "confirmed"
_REFUNDED = func.coalesce(SalesFact.refund_amount, 0)


def visible(caller: User, currency: str) -> Conditions:
    """Which sales the caller's reports are about; the toolkit narrows them to a tenant."""
    in_currency = SalesFact.currency == currency
    if caller.has_role(*ADMINS):
        return [in_currency]
    mine = select(EventDirectory.event_id).where(EventDirectory.organizer_id == caller.id)
    return [in_currency, SalesFact.event_id.in_(mine)]


async def dashboard(caller: User, currency: str, tx: Tx) -> Dashboard:
    """All there ever was, and how the last thirty days compare with the thirty before."""
    now = tx.now()
    recent, before = _within(now - COMPARED, now), _within(now - 2 * COMPARED, now - COMPARED)
    columns = [*_sums("all"), *_sums("recent", recent), *_sums("before", before)]
    row = (await tx.execute(select(*columns).where(*visible(caller, currency)))).one()
    total, recently, earlier = (_sales(row, prefix) for prefix in ("all", "recent", "before"))
    events = select(func.count(EventDirectory.event_id)).where(
        EventDirectory.status == "published", EventDirectory.deleted.is_not(True)
    )
    if not caller.has_role(*ADMINS):
        events = events.where(EventDirectory.organizer_id == caller.id)
    return Dashboard(
        currency=currency,
        total_revenue=total.revenue,
        total_bookings=total.bookings,
        total_tickets_sold=total.tickets_sold,
        active_events=await tx.scalar(events),
        revenue_change_percent=change_percent(recently.revenue, earlier.revenue),
        bookings_change_percent=change_percent(recently.bookings, earlier.bookings),
    )


async def sales_by_period(conditions: Conditions, pieces: Sequence[Span], tx: Tx) -> tuple[Sales, list[SalesOfPeriod]]:
    """The sales of each piece of a span, those without any too; and of the whole."""
    cut = _cut(pieces)
    during = and_(SalesFact.confirmed_at >= cut.c.since, SalesFact.confirmed_at < cut.c.until)
    rows = await tx.execute(
        select(cut.c.since, *_sums()).join_from(cut, SalesFact, and_(during, *conditions)).group_by(cut.c.since)
    )
    found = {row.since: _sales(row) for row in rows}
    nothing = Sales(revenue=Decimal(0), bookings=0, tickets_sold=0)
    data = [
        SalesOfPeriod(start_date=piece.first, end_date=piece.last, **dict(found.get(piece.since, nothing)))
        for piece in pieces
    ]
    total = Sales(
        revenue=sum((one.revenue for one in data), Decimal(0)),
        bookings=sum(one.bookings for one in data),
        tickets_sold=sum(one.tickets_sold for one in data),
    )
    return total, data


async def top_events(conditions: Conditions, limit: int, tx: Tx) -> list[SalesOfEvent]:
    """The events that brought most."""
    revenue, *others = _sums()
    rows = await tx.execute(
        select(
            SalesFact.event_id,
            func.coalesce(func.max(EventDirectory.name), func.max(SalesFact.event_name)).label("name"),
            func.max(EventDirectory.status).label("status"),
            revenue,
            *others,
        )
        .outerjoin(EventDirectory, EventDirectory.event_id == SalesFact.event_id)
        .where(_SOLD, *conditions)
        .group_by(SalesFact.event_id)
        .order_by(revenue.desc(), SalesFact.event_id)
        .limit(limit)
    )
    return [SalesOfEvent(event_id=row.event_id, name=row.name, status=row.status, **dict(_sales(row))) for row in rows]


async def event_report(event: EventDirectory, currency: str, tx: Tx) -> EventReport:
    """One event, with each of its zones."""
    its = [SalesFact.event_id == event.event_id, SalesFact.currency == currency]
    refunded = func.sum(case((_SOLD, _REFUNDED))).label("refunded")
    row = (await tx.execute(select(*_sums(), refunded).where(*its))).one()
    counted = await tx.execute(select(SalesFact.status, func.count()).where(*its).group_by(SalesFact.status))
    return EventReport(
        event_id=event.event_id,
        name=event.name,
        status=event.status,
        currency=currency,
        refunded=row.refunded or Decimal(0),
        bookings_by_status=dict(sorted((status, number) for status, number in counted)),
        zones=await _zones(event.event_id, its, tx),
        **dict(_sales(row)),
    )


async def _zones(event_id: UUID, its: Conditions, tx: Tx) -> list[SalesOfZone]:
    zone = (SalesFact.show_id, SalesFact.show_date, SalesFact.zone_id, SalesFact.zone_name)
    rows = await tx.execute(
        select(*zone, *_sums())
        .where(*its)
        .group_by(*zone)
        .order_by(SalesFact.show_date, SalesFact.zone_name, SalesFact.zone_id)
    )
    return [
        SalesOfZone(
            show_id=row.show_id,
            show_date=row.show_date,
            zone_id=row.zone_id,
            zone_name=row.zone_name,
            **dict(_sales(row)),
        )
        for row in rows
    ]


# --- adding up --------------------------------------------------------------------------------------------------------


def _within(since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(SalesFact.confirmed_at >= since, SalesFact.confirmed_at < until)


def _sums(prefix: str = "all", *when: ColumnElement[bool]) -> list[ColumnElement[Any]]:
    """Revenue, bookings and tickets of those sales, in columns named so."""
    revenue = func.sum(case((and_(_SOLD, *when), SalesFact.total_amount - _REFUNDED)))
    bookings = func.count(case((and_(_STANDS, *when), 1)))
    tickets = func.sum(case((and_(_STANDS, *when), SalesFact.quantity)))
    named = {"revenue": revenue, "bookings": bookings, "tickets": tickets}
    return [value.label(f"{prefix}_{name}") for name, value in named.items()]


def _sales(row: Row[Any], prefix: str = "all") -> Sales:
    found = row._mapping
    return Sales(
        revenue=found[f"{prefix}_revenue"] or Decimal(0),
        bookings=found[f"{prefix}_bookings"],
        tickets_sold=found[f"{prefix}_tickets"] or 0,
    )


def _cut(pieces: Sequence[Span]) -> CTE:
    """The pieces as a table to join with: periods are cut alike on every engine."""
    moments = (column("since", UtcDateTime()), column("until", UtcDateTime()))
    return values(*moments, name="moments").data([(piece.since, piece.until) for piece in pieces]).cte("pieces")
