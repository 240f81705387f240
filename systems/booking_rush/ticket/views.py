"""What ticket remembers of other services."""

from __future__ import annotations

from freehold import Change, View
from systems.booking_rush.auth.contract import SnapshotTenants, TenantCreated, TenantUpdated
from systems.booking_rush.ticket.declaration import ticket
from systems.booking_rush.ticket.tables import TenantDirectory

tenant_directory = ticket.view(
    View("tenant_directory", table=TenantDirectory, key="tenant_id", rebuild=SnapshotTenants)
)


@tenant_directory.on(TenantCreated)
def tenant_created(event: TenantCreated) -> Change:
    return Change(event.model_dump(include={"tenant_id", "slug", "name", "is_active"}), version=event.created_at)


@tenant_directory.on(TenantUpdated)
def tenant_updated(event: TenantUpdated) -> Change:
    return Change(event.model_dump(include={"tenant_id", "slug", "name", "is_active"}), version=event.updated_at)
