"""What operators may change in vendor."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

from freehold import Percent


class VendorSettings(BaseModel):
    """Times and rates of orders and payouts."""

    order_hold_seconds: Annotated[int, Field(gt=0)] = 600
    """How long an order waits for its payment, and its stock with it."""
    tax_rate_percent: Annotated[Percent, Field(ge=0)] = Decimal("11.00")
    commission_rate_percent: Annotated[Percent, Field(ge=0, le=100)] = Decimal("10.00")
    """Of a vendor for whom no other one was agreed."""
    payout_hold_days: Annotated[int, Field(ge=0)] = 7
    """How long an item is delivered before its vendor is paid."""
    refund_within_days: Annotated[int, Field(gt=0)] = 14
    """How long after its delivery an item can be refunded."""
