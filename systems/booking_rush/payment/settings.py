"""What operators may change about payment."""

from __future__ import annotations

import secrets
from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class PaymentSettings(BaseModel):
    """Durations in the unit that their names end with; fractions are allowed."""

    payment_gateway: Literal["simulated", "stripe"] = "simulated"
    gateway_timeout_seconds: float = Field(default=10.0, gt=0)
    retry_waits_seconds: tuple[float, ...] = (1.0, 2.0, 4.0)
    """After a gateway error; as many retries as there are waits."""
    stuck_after_minutes: float = Field(default=2.0, ge=0)
    """How long a payment may be processing before the gateway is asked about it."""
    orphan_after_minutes: float = Field(default=15.0, ge=0)
    """How long a payment may be pending after its hold has ended."""
    card_kept_minutes: float = Field(default=15.0, gt=0)
    """How long the token of a card is kept that a saga has not charged."""
    worker_batch: int = Field(default=100, ge=1)

    full_refund_days: int = 7
    """Owners get everything back when the show is more than so many days away."""
    half_refund_days: int = 3
    """And half of it down to so many."""
    refund_first_wait_seconds: float = Field(default=5.0, ge=0)
    refund_longest_wait_seconds: float = Field(default=300.0, gt=0)
    refund_alert_after: int = 10

    webhook_secret: SecretStr = Field(default_factory=lambda: SecretStr(secrets.token_hex(32)))
    """Shared with the simulated gateway; by default a fresh one, which only it knows."""
    webhook_tolerance_seconds: float = Field(default=300.0, gt=0)

    stripe_secret_key: SecretStr = SecretStr("")
    """What Stripe knows this system by. Like the next one to be given by the environment, never in a file."""
    stripe_webhook_secret: SecretStr = SecretStr("")
    """What Stripe signs its webhooks with."""
    stripe_api_base: str = Field(default="https://api.stripe.com", pattern="^https?://[^/]+$")

    sim_async_delay_ms: float = Field(default=1000.0, ge=0)
    """When the simulated gateway settles `tok_async`."""
    sim_state_file: str = ""
    """Where the simulated gateway keeps what it charged; empty: in the process's data folder."""
