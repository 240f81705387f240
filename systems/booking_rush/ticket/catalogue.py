"""Finding events, shows and zones: for everybody to see, and for their organizer to change.

Rows are locked from the top down, event before show before zone, so that two changes never wait for each other.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, exists, select

from freehold import Problem, Tx, User, not_found
from systems.booking_rush.ticket.rules import may_edit, require_may_edit
from systems.booking_rush.ticket.tables import Event, Show, TenantDirectory, Zone

# --- to see -----------------------------------------------------------------------------------------------------------


def is_visible() -> ColumnElement[bool]:
    """What the public sees: published, public, not deleted, and of a tenant that is not known to be inactive."""
    inactive = exists().where(TenantDirectory.tenant_id == Event.tenant_id, ~TenantDirectory.is_active)
    return (Event.status == "published") & Event.is_public & Event.deleted_at.is_(None) & ~inactive


async def show_event_to(caller: User | None, tx: Tx, condition: ColumnElement[bool]) -> Event:
    """The event that meets the condition, if the caller may see it."""
    event = await tx.find(Event, condition, is_visible())
    if event is not None:
        return event
    if caller is not None:
        for hidden in await tx.scalars(select(Event).where(condition, Event.deleted_at.is_(None))):
            if may_edit(hidden, caller):
                return hidden  # type: ignore[no-any-return]
    raise not_found("The event")


def by_id_or_slug(given: str) -> ColumnElement[bool]:
    """An event by its id, or else its slug."""
    try:
        return Event.id == UUID(given)
    except ValueError:
        return Event.slug == given


async def show_show_to(caller: User | None, id: UUID, tx: Tx) -> tuple[Show, Event]:
    """The show and its event, if the caller may see it."""
    show = await tx.find(Show, Show.id == id, Show.deleted_at.is_(None))
    if show is None:
        raise not_found("The show")
    return show, await show_event_to(caller, tx, Event.id == show.event_id)


async def show_zone_to(caller: User | None, id: UUID, tx: Tx) -> Zone:
    """The zone, if the caller may see it."""
    zone = await tx.find(Zone, Zone.id == id, Zone.deleted_at.is_(None))
    if zone is None:
        raise not_found("The zone", "ZONE_NOT_FOUND")
    await show_show_to(caller, zone.show_id, tx)
    return zone


# --- to change --------------------------------------------------------------------------------------------------------


async def edit_event(id: UUID, tx: Tx, caller: User) -> Event:
    """The event, locked. 404 where it is another tenant's, 403 where it is another organizer's."""
    event = await tx.get(Event, id, lock=True)
    if event is None or event.deleted_at is not None:
        raise not_found("The event")
    require_may_edit(event, caller)
    return event


async def edit_show(id: UUID, tx: Tx, caller: User) -> tuple[Show, Event]:
    """The show and its event, locked."""
    event_id = await tx.scalar(select(Show.event_id).where(Show.id == id, Show.deleted_at.is_(None)))
    if event_id is None:
        raise not_found("The show")
    event = await edit_event(event_id, tx, caller)
    show = await tx.get(Show, id, lock=True)
    if show is None or show.deleted_at is not None:
        raise not_found("The show")
    return show, event


async def edit_zone(id: UUID, tx: Tx, caller: User) -> tuple[Zone, Show, Event]:
    """The zone, its show and its event, locked."""
    missing = not_found("The zone", "ZONE_NOT_FOUND")
    show_id = await tx.scalar(select(Zone.show_id).where(Zone.id == id, Zone.deleted_at.is_(None)))
    if show_id is None:
        raise missing
    show, event = await edit_show(show_id, tx, caller)
    zone = await tx.get(Zone, id, lock=True)
    if zone is None or zone.deleted_at is not None:
        raise missing
    return zone, show, event


async def shows_of(event: Event, tx: Tx) -> list[Show]:
    """The event's living shows, locked."""
    shows = select(Show).where(Show.event_id == event.id, Show.deleted_at.is_(None)).order_by(Show.id)
    return list(await tx.scalars(shows.with_for_update()))


def require_window(start: object, end: object, what: str) -> None:
    """400 when a window ends before it starts."""
    if start is not None and end is not None and end < start:  # type: ignore[operator]
        raise Problem(400, "BAD_REQUEST", f"{what}: it ends before it starts")
