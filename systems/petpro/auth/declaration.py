"""Auth: identities, profiles, roles and permissions, one-time codes, refresh tokens, notifications."""

from __future__ import annotations

from freehold import Passwords, Service
from systems.petpro.auth.contract import UserCreated, UserDeactivated, UserUpdated
from systems.petpro.auth.otp_sender import KeepingSender, OtpSender
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import Base

auth = Service(
    "auth",
    tables=Base,
    database="auth_db",
    publishes=[UserCreated, UserUpdated, UserDeactivated],
    settings=[AuthSettings],
    description="Identities, profiles, roles and permissions, one-time codes, refresh tokens, notifications",
)


@auth.provide
def passwords(settings: AuthSettings) -> Passwords:
    """Hashes passwords and codes at the cost that the deployment sets."""
    return Passwords(
        time_cost=settings.password_time_cost,
        memory_kib=settings.password_memory_kib,
        parallelism=settings.password_parallelism,
    )


@auth.provide
def otp_sender() -> OtpSender:
    return KeepingSender()
