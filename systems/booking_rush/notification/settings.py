"""What operators may change about notification."""

from __future__ import annotations

from pydantic import BaseModel, Field


class NotificationSettings(BaseModel):
    """Durations in the unit that their names end with; fractions are allowed."""

    locale: str = Field(default="en", max_length=8)
    """Which templates are preferred; `en` stands in for those that are missing."""
    send_batch: int = Field(default=50, ge=1)
    """Notifications that are sent at a time, beside one another."""
    send_timeout_seconds: float = Field(default=10.0, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    retry_first_wait_seconds: float = Field(default=15.0, gt=0)
    retry_longest_wait_seconds: float = Field(default=600.0, gt=0)
