"""Auth: identities, profiles, roles and permissions, one-time codes, refresh tokens, notifications."""

from __future__ import annotations

from freehold import Service
from systems.petpro.auth.contract import UserCreated, UserDeactivated, UserUpdated
from systems.petpro.auth.tables import Base

auth = Service(
    "auth",
    tables=Base,
    database="auth_db",
    publishes=[UserCreated, UserUpdated, UserDeactivated],
    description="Identities, profiles, roles and permissions, one-time codes, refresh tokens, notifications",
)
