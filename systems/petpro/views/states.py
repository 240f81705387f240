"""Where the wide views stand."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Tx
from systems.petpro.views.tables import ViewState


async def state_of(name: str, tx: Tx) -> ViewState:
    """The state of a view, to change it; it is made where it is missing."""
    state = await tx.get(ViewState, name, lock=True)
    if state is None:
        new = {"view_name": name, "state": "empty", "generation": 0, "row_count": 0}
        await tx.insert_new(ViewState, [new], key=["view_name"])
        state = await tx.get(ViewState, name, lock=True)
    assert state is not None  # noqa: S101
    return state


async def seen_state(name: str, tx: Tx) -> ViewState:
    """The state of a view, to show it."""
    found = await tx.get(ViewState, name)
    return found or ViewState(view_name=name, state="empty", generation=0, row_count=0)


async def begun(tx: Tx) -> list[str]:
    """The views that are to be rebuilt."""
    found = select(ViewState.view_name).where(ViewState.state == "rebuilding").order_by(ViewState.view_name)
    return list(await tx.scalars(found))


async def note_event(name: str, tx: Tx) -> None:
    """What is handled here is about to be in the view."""
    if (cause := tx.context.cause) is not None:
        (await state_of(name, tx)).saw(cause.event_id, cause.time)
