"""What views tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, page_of
from systems.petpro.views.contract import SnapshotViewStates, ViewStateRow
from systems.petpro.views.declaration import views
from systems.petpro.views.tables import ViewState


@views.answers(SnapshotViewStates)
async def snapshot_view_states(query: SnapshotViewStates, tx: Tx) -> Page[ViewStateRow]:
    found = await tx.scalars(page_of(select(ViewState), query, by=ViewState.view_name))
    return Page[ViewStateRow].of([state.as_row() for state in found], query, "view_name")
