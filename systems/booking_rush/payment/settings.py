"""What operators may change about payment."""

from __future__ import annotations

import secrets
from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class PaymentSettings(BaseModel):
    """Durations in the unit that their names end with; fractions are allowed."""

    payment_gateway: Literal["simulated"] = "simulated"
    gateway_timeout_seconds: float = Field(default=10.0, gt=0)
    retry_waits_seconds: tuple[float, ...] = (1.0, 2.0, 4.0)
    """After a gateway error; as many retries as there are waits."""
    stuck_after_minutes: float = Field(default=2.0, ge=0)
    """How long a payment may be processing before the gateway is asked about it."""
    orphan_after_minutes: float = Field(default=15.0, ge=0)
    """How long a payment may be pending after its hold has ended."""
    worker_batch: int = Field(default=100, ge=1)

    full_refund_days: int = 7
    """Owners get everything back when the show is more than so many days away."""
    half_refund_days: int = 3
    """And half of it down to so many."""
    refund_first_wait_seconds: float = Field(default=5.0, ge=0)
    refund_longest_wait_seconds: float = Field(default=300.0, gt=0)
    refund_alert_after: int = 10

    webhook_secret: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_hex(32)))
    """Shared with the gateway; by default a fresh one, which only the simulated gateway knows."""
    webhook_tolerance_seconds: float = Field(default=300.0, gt=0)

    sim_async_delay_ms: float = Field(default=1000.0, ge=0)
    """When the simulated gateway settles `tok_async`."""
    sim_state_file: str = ""
    """Where the simulated gateway keeps what it charged; empty: in the process's data folder."""
