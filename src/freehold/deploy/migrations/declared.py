"""The tables that a service should have of its own, with its views' beside them."""

from __future__ import annotations

from sqlalchemy import MetaData

from freehold.model.columns import NAMING
from freehold.model.service import Service
from freehold.runtime.view_tables import ViewTables


def declared_tables(service: Service) -> MetaData:
    """What the service's own history leads to."""
    every = MetaData(naming_convention=NAMING)
    for table in service.metadata.sorted_tables:
        table.to_metadata(every)
    copies = MetaData()
    for view in service.views:
        ViewTables.of(view, copies)
    for table in copies.sorted_tables:
        table.to_metadata(every)
    return every
