"""The catalogue of events: browsing, and what their organizers do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, func, or_, select

from freehold import Listing, Problem, Tx, User, list_rows, not_found, owner, public, role
from systems.booking_rush.auth.contract import GetUser
from systems.booking_rush.ticket import facts
from systems.booking_rush.ticket.bodies import (
    Cancellation,
    Done,
    EventChanges,
    EventDetails,
    EventList,
    NewEvent,
    OwnEventList,
)
from systems.booking_rush.ticket.catalogue import (
    by_id_or_slug,
    edit_event,
    is_visible,
    require_window,
    show_event_to,
    shows_of,
)
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.inventory import announce_zones, change_status
from systems.booking_rush.ticket.rules import (
    ADMINS,
    EDITORS,
    OPEN_SHOWS,
    free_slug,
    require_cancellable,
    require_event_transition,
    require_no_bookings,
    require_publishable,
    sale_status,
    slug_of,
)
from systems.booking_rush.ticket.tables import Category, Event, Show, Zone

editor = role(*EDITORS)
organizer = owner(Event.organizer_id, roles=ADMINS)
IN_SETTINGS = {"meta_title", "meta_description"}

# --- browsing ---------------------------------------------------------------------------------------------------------


@ticket.get("/events", access=public, invalid="BAD_REQUEST")
async def list_events(query: Annotated[EventList, Query()], tx: Tx) -> Listing[EventDetails]:
    """Published events, newest first."""
    found = select(Event).where(is_visible())
    if query.status is not None:
        found = found.where(Event.status == query.status)
    if query.category_id is not None:
        found = found.where(Event.category_id == query.category_id)
    if query.city:
        found = found.where(func.lower(Event.city) == query.city.lower())
    if query.search:
        columns = (Event.name, Event.short_description, Event.venue_name)
        found = found.where(or_(*(column.icontains(query.search, autoescape=True) for column in columns)))
    return await _page(found, query, tx)


@ticket.get("/events/my", access=editor, invalid="BAD_REQUEST")
async def list_own_events(query: Annotated[OwnEventList, Query()], tx: Tx, caller: User) -> Listing[EventDetails]:
    """The caller's own events, whatever their status."""
    found = select(Event).where(Event.organizer_id == caller.id, Event.deleted_at.is_(None))
    if query.status is not None:
        found = found.where(Event.status == query.status)
    return await _page(found, query, tx)


@ticket.get("/events/slug/{slug}", access=public, errors=[404])
async def show_event_by_slug(slug: str, tx: Tx, caller: User | None) -> EventDetails:
    """An event by its slug."""
    return await _show(Event.slug == slug, tx, caller)


@ticket.get("/events/id/{id}", access=public, errors=[404])
async def show_event_by_id(id: UUID, tx: Tx, caller: User | None) -> EventDetails:
    """An event by its id."""
    return await _show(Event.id == id, tx, caller)


@ticket.get("/events/{id}", access=public, errors=[404])
async def show_event(id: str, tx: Tx, caller: User | None) -> EventDetails:
    """An event by its id or its slug."""
    return await _show(by_id_or_slug(id), tx, caller)


async def _show(condition: ColumnElement[bool], tx: Tx, caller: User | None) -> EventDetails:
    (details,) = await describe([await show_event_to(caller, tx, condition)], tx)
    return details


async def _page(found: Any, query: Any, tx: Tx) -> Listing[EventDetails]:
    events: Listing[Any] = await list_rows(
        tx, found, query, order_by=Event.created_at, descending=True, show=lambda event: event
    )
    return Listing(data=await describe(events.data, tx), next_cursor=events.next_cursor, meta=events.meta)


async def describe(events: Sequence[Event], tx: Tx) -> list[EventDetails]:
    """The answers for these events, with what their shows and zones say, by one statement for all."""
    living = (Show.event_id.in_([event.id for event in events]), Show.deleted_at.is_(None))
    cheapest = (
        select(Show.event_id, Show.status, func.min(Zone.price))
        .outerjoin(Zone, (Zone.show_id == Show.id) & Zone.is_active & Zone.deleted_at.is_(None))
        .where(*living)
        .group_by(Show.event_id, Show.status)
    )
    told: dict[UUID, list[Any]] = {}
    for event_id, status, price in await tx.execute(cheapest):
        told.setdefault(event_id, []).append((status, price))
    return [
        EventDetails.of(
            event,
            sale_status(status for status, _ in told.get(event.id, ())),
            min((price for _, price in told.get(event.id, ()) if price is not None), default=None),
        )
        for event in events
    ]


# --- what organizers do -----------------------------------------------------------------------------------------------


@ticket.post("/events", access=editor, status_code=201, invalid="BAD_REQUEST", errors=[404, 409])
async def create_event(body: NewEvent, tx: Tx, caller: User) -> EventDetails:
    """A new draft; an admin may name another organizer."""
    require_window(body.booking_start_at, body.booking_end_at, "booking")
    tenant_id = tx.context.tenant_id or caller.tenant_id
    organizer_id = await _organizer(body, tenant_id, tx, caller)
    await _require_category(body.category_id, tx)
    slug = slug_of(body.name)
    taken = select(Event.slug).where(Event.tenant_id == tenant_id, Event.slug.startswith(slug, autoescape=True))
    event = Event(
        **body.model_dump(exclude=IN_SETTINGS | {"organizer_id"}),
        tenant_id=tenant_id,
        organizer_id=organizer_id,
        slug=free_slug(slug, set(await tx.scalars(taken))),
        settings=body.model_dump(include=IN_SETTINGS, exclude_none=True),
        status="draft",
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    await tx.insert(event, taken=Problem(409, "CONFLICT", "Another event took the slug just now; try again"))
    tx.publish(facts.event_created(event))
    tx.audit("create", "event", event.id, after=body.model_dump(mode="json"))
    return EventDetails.of(event, "scheduled", None)


async def _organizer(body: NewEvent, tenant_id: UUID | None, tx: Tx, caller: User) -> UUID:
    if body.organizer_id is None or body.organizer_id == caller.id:
        organizer: UUID = caller.id
        return organizer
    if not caller.has_role(*ADMINS):
        raise Problem(403, "FORBIDDEN", "Only an admin creates events for others")
    info = await tx.ask(GetUser(user_id=body.organizer_id))
    if info.tenant_id != tenant_id or not info.is_active or info.role not in EDITORS:
        raise Problem(400, "BAD_REQUEST", "organizer_id: is no active organizer of this tenant")
    return info.user_id


async def _require_category(id: UUID | None, tx: Tx) -> None:
    if id is not None and await tx.find(Category, Category.id == id, Category.deleted_at.is_(None)) is None:
        raise not_found("The category")


@ticket.put("/events/{id}", access=organizer, invalid="BAD_REQUEST", errors=[404, 409])
async def change_event(id: UUID, body: EventChanges, tx: Tx, caller: User) -> EventDetails:
    """Change an event. Its slug stays, and so do the bookings that copied its name."""
    event = await edit_event(id, tx, caller)
    changes = body.given()
    if "category_id" in changes:
        await _require_category(body.category_id, tx)
    before = EventDetails.model_validate(event).model_dump(mode="json", include=set(changes))
    meta = {name: changes.pop(name) for name in IN_SETTINGS & changes.keys()}
    if meta:
        event.settings = event.settings | meta
    status = changes.pop("status", event.status)
    for column, value in changes.items():
        setattr(event, column, value)
    require_window(event.booking_start_at, event.booking_end_at, "booking")
    event.updated_at = tx.now()
    if status != event.status:
        shows = await shows_of(event, tx)
        require_event_transition(event, status, _committed(shows))
        event.status = status
        await announce_zones(shows, event, "event.updated", tx)
    tx.publish(facts.event_updated(event, body.model_fields_set))
    tx.audit("update", "event", id, before=before, after=body.model_dump(mode="json", exclude_unset=True))
    return (await describe([event], tx))[0]


@ticket.post("/events/{id}/publish", access=organizer, errors=[404, 409])
async def publish_event(id: UUID, tx: Tx, caller: User) -> EventDetails:
    """Let the public see a draft."""
    event = await edit_event(id, tx, caller)
    shows = await shows_of(event, tx)
    sellable = select(Zone.id).where(
        Zone.show_id.in_([show.id for show in shows if show.status in OPEN_SHOWS]),
        Zone.is_active,
        Zone.deleted_at.is_(None),
    )
    require_publishable(event, await tx.scalar(sellable.limit(1)) is not None)
    event.status = "published"
    event.published_at = event.updated_at = tx.now()
    tx.publish(facts.event_published(event, tx.now()))
    await announce_zones(shows, event, "event.published", tx)
    tx.audit("publish", "event", id, before={"status": "draft"}, after={"status": event.status})
    return (await describe([event], tx))[0]


@ticket.post("/events/{id}/cancel", access=organizer, invalid="BAD_REQUEST", errors=[404, 409])
async def cancel_event(id: UUID, tx: Tx, caller: User, body: Cancellation | None = None) -> EventDetails:
    """Cancel an event and all its shows; every booking is cancelled and refunded in consequence."""
    event = await edit_event(id, tx, caller)
    require_cancellable(event)
    reason, before = body.reason if body else None, event.status
    event.status, event.updated_at = "cancelled", tx.now()
    cancelled = [show for show in await shows_of(event, tx) if show.status in OPEN_SHOWS]
    tx.publish(facts.event_cancelled(event, reason, [show.id for show in cancelled]))
    for show in cancelled:
        change_status(show, event, "cancelled", tx)
    await announce_zones(cancelled, event, "event.cancelled", tx)
    tx.audit("cancel", "event", id, before={"status": before}, after={"status": event.status, "reason": reason})
    return (await describe([event], tx))[0]


@ticket.delete("/events/{id}", access=organizer, errors=[404, 409])
async def delete_event(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete an event that nobody has booked."""
    event = await edit_event(id, tx, caller)
    shows = await shows_of(event, tx)
    require_no_bookings(_committed(shows))
    event.deleted_at = event.updated_at = tx.now()
    tx.publish(facts.event_updated(event, ["deleted_at"]))
    await announce_zones(shows, event, "event.deleted", tx)
    tx.audit("delete", "event", id, before={"name": event.name, "status": event.status})
    return Done(message="The event is deleted")


def _committed(shows: Sequence[Show]) -> int:
    return sum(show.reserved_count + show.sold_count for show in shows)
