"""Reading the views, and having them rebuilt."""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import Listing, Tx, User, Work, list_rows, public, role, user
from systems.petpro.bodies import PageOf
from systems.petpro.views import bookings, products, vendors
from systems.petpro.views.access import check_bookings_of, own_figures
from systems.petpro.views.bodies import (
    AvailabilityList,
    AvailabilityOut,
    PerformanceList,
    PerformanceOut,
    RebuildOut,
    StatusOut,
    StatusPage,
    UserBookingList,
    UserBookingOut,
    ViewMeta,
    ViewPage,
)
from systems.petpro.views.declaration import views
from systems.petpro.views.rebuilding import WIDE, begin_rebuild
from systems.petpro.views.states import seen_state
from systems.petpro.views.tables import AvailabilityRow, PerformanceRow, UserBookingRow

T = TypeVar("T")
admin = role("admin")


@views.get("/views/user-bookings", access=user, errors=[403])
async def list_user_bookings(
    query: Annotated[UserBookingList, Query()], tx: Tx, caller: User
) -> ViewPage[UserBookingOut]:
    """Bookings in the order of their appointments: one's own unless `userId` or `clinicId` says whose."""
    user_id = query.user_id
    if user_id is None and query.clinic_id is None and not caller.has_role("admin"):
        user_id = caller.id
    await check_bookings_of(user_id, query.clinic_id, tx, caller)
    row = UserBookingRow
    found = select(row)
    if user_id is not None:
        found = found.where(row.user_id == user_id)
    if query.clinic_id is not None:
        found = found.where(row.clinic_id == query.clinic_id)
    if query.status is not None:
        found = found.where(row.status == query.status)
    if query.first is not None:
        found = found.where(row.starts_at >= query.first)
    if query.last is not None:
        found = found.where(row.starts_at <= query.last)
    page = await list_rows(tx, found, query, order_by=row.starts_at, show=UserBookingOut.model_validate)
    return await _shown(page, bookings.NAME, tx)


@views.get("/views/product-availability", access=public)
async def list_availability(query: Annotated[AvailabilityList, Query()], tx: Tx) -> ViewPage[AvailabilityOut]:
    """Products by name, with their stock and offers."""
    row = AvailabilityRow
    found = select(row)
    if query.availability is not None:
        found = found.where(row.availability == query.availability)
    if query.category_id is not None:
        found = found.where(row.category_id == query.category_id)
    if query.max_price is not None:
        found = found.where(row.lowest_price <= query.max_price)
    page = await list_rows(tx, found, query, order_by=row.name, show=AvailabilityOut.model_validate)
    return await _shown(page, products.NAME, tx)


@views.get("/views/vendor-performance", access=admin)
async def list_performance(query: Annotated[PerformanceList, Query()], tx: Tx) -> ViewPage[PerformanceOut]:
    """Vendors, those with the highest revenue first."""
    row = PerformanceRow
    page = await list_rows(
        tx, select(row), query, order_by=row.gross_revenue, descending=True, show=PerformanceOut.model_validate
    )
    return await _shown(page, vendors.NAME, tx)


@views.get("/views/vendor-performance/{vendor_id}", access=user, errors=[403, 404])
async def one_performance(vendor_id: UUID, tx: Tx, caller: User) -> PerformanceOut:
    """The figures of one vendor, to itself and to admins."""
    return PerformanceOut.model_validate(await own_figures(vendor_id, tx, caller))


@views.get("/views/status", access=admin)
async def status(query: Annotated[PageOf, Query()], work: Work) -> StatusPage:
    """Where every view stands."""
    return StatusPage(data=[await _status_of(name, work) for name in list(WIDE)[: query.limit]])


@views.post("/views/{name}/rebuild", access=admin, status_code=202, errors=[404, 409])
async def rebuild(name: str, tx: Tx) -> RebuildOut:
    """Have a view rebuilt while it is read."""
    return RebuildOut.model_validate(await begin_rebuild(name, tx))


async def _status_of(name: str, work: Work) -> StatusOut:
    report = await work.view_report(WIDE[name])
    async with work.transaction(readonly=True) as tx:
        state = await seen_state(name, tx)
    return StatusOut(
        view_name=name,
        state=state.state,
        generation=state.generation,
        row_count=report.rows,
        last_event_at=state.last_event_at,
        lag_seconds=report.behind_seconds,
        last_rebuild_started_at=state.last_rebuild_started_at,
        last_rebuild_finished_at=state.last_rebuild_finished_at,
        error=state.error,
    )


async def _shown(page: Listing[T], name: str, tx: Tx) -> ViewPage[T]:
    state = await seen_state(name, tx)
    meta = ViewMeta(as_of=state.last_event_at, generation=state.generation_read)
    if page.meta is not None:
        meta.page, meta.limit, meta.total = page.meta.page, page.meta.per_page, page.meta.total
        meta.total_pages = page.meta.total_pages
    return ViewPage[T](data=page.data, next_cursor=page.next_cursor, meta=meta)
