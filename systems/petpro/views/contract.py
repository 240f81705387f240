"""What other services may know of views."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from freehold import After, Event, Page, Query, Timestamp

Availability = Literal["in_stock", "low_stock", "out_of_stock", "inactive"]
RebuildState = Literal["empty", "live", "rebuilding", "failed"]


# --- events -----------------------------------------------------------------------------------------------------------


class ViewRebuilt(Event, name="view.rebuilt", topic="petpro.views.state", key="view_name"):
    view_name: str
    generation: int
    row_count: int
    duration_ms: int
    finished_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class ViewStateRow(BaseModel):
    """Where a view stands."""

    view_name: str
    state: RebuildState
    generation: int
    row_count: int
    last_event_at: Timestamp | None
    last_rebuild_finished_at: Timestamp | None


class SnapshotViewStates(Query[Page[ViewStateRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["view_states"] = "view_states"
    cursor: After = None
    limit: int = 500
