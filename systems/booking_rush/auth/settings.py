"""What a deployment may set for auth."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field


class AuthSettings(BaseModel):
    """Sessions, the tenant that users register with by default, and the cost of a password hash (argon2id)."""

    session_days: float = Field(default=7, gt=0)
    default_tenant: str = "default"
    password_time_cost: int = Field(default=3, ge=1)
    password_memory_kib: int = Field(default=65_536, ge=8)
    password_parallelism: int = Field(default=4, ge=1)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a refresh token is good for."""
        return timedelta(days=self.session_days)
