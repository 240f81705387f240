"""The shows of an event."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, select

from freehold import Listing, Paging, Tx, User, list_rows, owner, public, role
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.bodies import Done, NewShow, ShowChanges, ShowDetails
from systems.booking_rush.ticket.catalogue import (
    by_id_or_slug,
    edit_event,
    edit_show,
    require_window,
    show_event_to,
    show_show_to,
)
from systems.booking_rush.ticket.contract import ShowStatus
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.inventory import announce_zones, change_status, settle_sales
from systems.booking_rush.ticket.rules import (
    ADMINS,
    EDITORS,
    require_no_bookings,
    require_open,
    require_show_transition,
)
from systems.booking_rush.ticket.tables import Event, Show

editor = role(*EDITORS)
organizer = owner(Event.organizer_id, roles=ADMINS)


@ticket.get("/events/slug/{slug}/shows", access=public, invalid="BAD_REQUEST", errors=[404])
async def list_shows_by_slug(
    slug: str, query: Annotated[Paging, Query()], tx: Tx, caller: User | None
) -> Listing[ShowDetails]:
    """The shows of an event, by date."""
    return await _shows(Event.slug == slug, query, tx, caller)


@ticket.get("/events/{id}/shows", access=public, invalid="BAD_REQUEST", errors=[404])
async def list_shows(id: str, query: Annotated[Paging, Query()], tx: Tx, caller: User | None) -> Listing[ShowDetails]:
    """The shows of an event, by date."""
    return await _shows(by_id_or_slug(id), query, tx, caller)


async def _shows(condition: ColumnElement[bool], query: Paging, tx: Tx, caller: User | None) -> Listing[ShowDetails]:
    event = await show_event_to(caller, tx, condition)
    found = select(Show).where(Show.event_id == event.id, Show.deleted_at.is_(None))
    return await list_rows(tx, found, query, order_by=Show.show_date, show=ShowDetails.model_validate)


@ticket.get("/shows/{id}", access=public, errors=[404])
async def show_show(id: UUID, tx: Tx, caller: User | None) -> ShowDetails:
    """A show."""
    show, _ = await show_show_to(caller, id, tx)
    return ShowDetails.model_validate(show)


@ticket.post("/events/{id}/shows", access=organizer, status_code=201, invalid="BAD_REQUEST", errors=[404, 409])
async def create_show(id: UUID, body: NewShow, tx: Tx, caller: User) -> ShowDetails:
    """A new show, scheduled and without zones."""
    event = await edit_event(id, tx, caller)
    require_open(event)
    require_window(body.sale_start_at, body.sale_end_at, "sale")
    show = Show(
        **body.model_dump(),
        event_id=event.id,
        status="scheduled",
        total_capacity=0,
        reserved_count=0,
        sold_count=0,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    tx.add(show)
    await tx.flush()
    tx.publish(facts.show_created(show, event))
    tx.audit("create", "show", show.id, after=body.model_dump(mode="json"))
    return ShowDetails.model_validate(show)


@ticket.put("/shows/{id}", access=editor, invalid="BAD_REQUEST", errors=[404, 409])
async def change_show(id: UUID, body: ShowChanges, tx: Tx, caller: User) -> ShowDetails:
    """Change a show, start or pause its sale, or cancel it."""
    show, event = await edit_show(id, tx, caller)
    changes = body.given()
    before = ShowDetails.model_validate(show).model_dump(mode="json", include=set(changes))
    status, previous = changes.pop("status", show.status), show.status
    if status != show.status:
        require_show_transition(event, show, status)
    for column, value in changes.items():
        setattr(show, column, value)
    require_window(show.sale_start_at, show.sale_end_at, "sale")
    show.updated_at = tx.now()
    if status == previous:
        tx.publish(facts.show_updated(show, event, previous))
    else:
        await _give_status(show, event, status, tx)
    tx.audit("update", "show", id, before=before, after=body.model_dump(mode="json", exclude_unset=True))
    return ShowDetails.model_validate(show)


async def _give_status(show: Show, event: Event, status: ShowStatus, tx: Tx) -> None:
    # The clock must not start a sale again that its owner paused, although its time has come.
    show.settings = show.settings | {"paused": status == "scheduled"}
    change_status(show, event, status, tx)
    if status == "cancelled":
        tx.publish(facts.show_cancelled(show, event, None))
    await settle_sales([show], {event.id: event}, tx)
    await announce_zones([show], event, f"show.{status}", tx)


@ticket.delete("/shows/{id}", access=editor, errors=[404, 409])
async def delete_show(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete a show that nobody has booked."""
    show, event = await edit_show(id, tx, caller)
    require_no_bookings(show.reserved_count + show.sold_count)
    if show.status in ("scheduled", "on_sale", "sold_out"):
        change_status(show, event, "cancelled", tx)
        tx.publish(facts.show_cancelled(show, event, "deleted"))
    await announce_zones([show], event, "show.deleted", tx)
    show.deleted_at = show.updated_at = tx.now()
    tx.audit("delete", "show", id, before={"name": show.name, "show_date": show.show_date.isoformat()})
    return Done(message="The show is deleted")
