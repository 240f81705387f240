"""Auth: who somebody is, which tenant they belong to, and the tokens that say so."""

from __future__ import annotations

from freehold import Passwords, Service
from systems.booking_rush.auth.contract import TenantCreated, TenantUpdated, UserCreated, UserDeleted, UserUpdated
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Base

auth = Service(
    "auth",
    tables=Base,
    database="auth_db",
    publishes=[UserCreated, UserUpdated, UserDeleted, TenantCreated, TenantUpdated],
    settings=[AuthSettings],
    description="User identity, authentication, refresh-token sessions, tenants",
)


@auth.provide
def passwords(settings: AuthSettings) -> Passwords:
    """Hashes passwords at the cost that the deployment sets."""
    return Passwords(
        time_cost=settings.password_time_cost,
        memory_kib=settings.password_memory_kib,
        parallelism=settings.password_parallelism,
    )
