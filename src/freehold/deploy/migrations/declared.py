"""The tables that a service should have: its own with its views' beside them, and the toolkit's."""

from __future__ import annotations

from sqlalchemy import MetaData

from freehold.model.columns import NAMING
from freehold.model.service import Service
from freehold.runtime.tables import FrameworkTables
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


def toolkit_tables(service: Service, dialect: str) -> MetaData:
    """What the toolkit's history leads to."""
    return FrameworkTables.of(dialect, service.table_names).metadata
