"""What other services may know of views."""

from __future__ import annotations

from typing import Literal

from freehold import Event, Timestamp

Availability = Literal["in_stock", "low_stock", "out_of_stock", "inactive"]
RebuildState = Literal["empty", "live", "rebuilding", "failed"]


# --- events -----------------------------------------------------------------------------------------------------------


class ViewRebuilt(Event, name="view.rebuilt", topic="petpro.views.state", key="view_name"):
    view_name: str
    generation: int
    row_count: int
    duration_ms: int
    finished_at: Timestamp
