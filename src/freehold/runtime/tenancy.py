"""Tenants: a session that sees the rows of one of them only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria


@dataclass(frozen=True, slots=True)
class TenantScope:
    """Whose rows a transaction sees: in `tables`, those whose `column` is `tenant`."""

    column: str
    tenant: UUID
    tables: Sequence[type[Any]]


class ScopedSession(Session):
    """A session that sees only the rows of one tenant, where a table has tenants."""


@event.listens_for(ScopedSession, "do_orm_execute")
def _scope_to_tenant(state: ORMExecuteState) -> None:
    scope: TenantScope | None = state.session.info.get("tenant")
    if scope is None or state.is_column_load or state.is_relationship_load:
        return
    # For every table with tenants, not only for those whose rows are selected: a count, a join or a subquery must not
    # see more.
    state.statement = state.statement.options(
        *(
            with_loader_criteria(kind, getattr(kind, scope.column) == scope.tenant, include_aliases=True)
            for kind in scope.tables
        )
    )
