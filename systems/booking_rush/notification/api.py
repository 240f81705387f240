"""Notification's routes: what a user was told, and an organizer's reports."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import select

from freehold import Listing, Paging, Problem, Tx, User, list_rows, not_found, role, user
from systems.booking_rush.notification import reports
from systems.booking_rush.notification.bodies import (
    Dashboard,
    EventReport,
    NotificationOut,
    ReportQuery,
    SalesQuery,
    SalesReport,
    TopEvents,
    TopQuery,
)
from systems.booking_rush.notification.declaration import notification
from systems.booking_rush.notification.rules import chosen_span, periods
from systems.booking_rush.notification.tables import EventDirectory, Notification

reader = role(*reports.ADMINS, "organizer")


@notification.get("/notifications", access=user)
async def list_notifications(tx: Tx, caller: User, paging: Annotated[Paging, Depends()]) -> Listing[NotificationOut]:
    """The caller's own notifications, newest first."""
    mine = select(Notification).where(Notification.user_id == caller.id)
    return await list_rows(tx, mine, paging, order_by=Notification.created_at, descending=True, show=NotificationOut.of)


@notification.get("/analytics/dashboard", access=reader)
async def dashboard(query: Annotated[ReportQuery, Query()], tx: Tx, caller: User) -> Dashboard:
    """The whole of the sales: an organizer's own events', an admin's tenant's."""
    return await reports.dashboard(caller, query.currency, tx)


@notification.get("/analytics/sales", access=reader)
async def sales(query: Annotated[SalesQuery, Query()], tx: Tx, caller: User) -> SalesReport:
    """Sales by day, week or month."""
    span = chosen_span(query.start_date, query.end_date, tx.now().date())
    pieces = periods(span, query.period)
    total, data = await reports.sales_by_period(reports.visible(caller, query.currency), pieces, tx)
    return SalesReport(
        currency=query.currency, period=query.period, start_date=span.first, end_date=span.last, total=total, data=data
    )


@notification.get("/analytics/events/top", access=reader)
async def top(query: Annotated[TopQuery, Query()], tx: Tx, caller: User) -> TopEvents:
    """The events with most revenue."""
    data = await reports.top_events(reports.visible(caller, query.currency), query.limit, tx)
    return TopEvents(currency=query.currency, data=data)


@notification.get("/analytics/events/{id}", access=reader, errors=[404])
async def event(id: UUID, query: Annotated[ReportQuery, Query()], tx: Tx, caller: User) -> EventReport:
    """One event with its zones: to its organizer, and to admins."""
    found = await tx.get(EventDirectory, id)
    if found is None:
        raise not_found("The event")
    if found.organizer_id != caller.id and not caller.has_role(*reports.ADMINS):
        raise Problem(403, "FORBIDDEN", "This is somebody else's event")
    return await reports.event_report(found, query.currency, tx)
