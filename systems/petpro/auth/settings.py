"""What operators may change about auth."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field


class AuthSettings(BaseModel):
    """Sessions, one-time codes, and the cost of a hash (argon2id). Durations in the unit that their names end with."""

    session_seconds: float = Field(default=604_800, gt=0)
    otp_seconds: float = Field(default=300, gt=0)
    """How long a code is good for, and then once more the token that it was exchanged for."""
    otp_cooldown_seconds: float = Field(default=60, ge=0)
    password_time_cost: int = Field(default=3, ge=1)
    password_memory_kib: int = Field(default=65_536, ge=8)
    password_parallelism: int = Field(default=4, ge=1)

    @property
    def session_lifetime(self) -> timedelta:
        """How long a refresh token is good for."""
        return timedelta(seconds=self.session_seconds)

    @property
    def otp_lifetime(self) -> timedelta:
        """How long a code is good for."""
        return timedelta(seconds=self.otp_seconds)

    @property
    def otp_cooldown(self) -> timedelta:
        """The least time between two codes to one address."""
        return timedelta(seconds=self.otp_cooldown_seconds)
