"""What the figures of the views mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from systems.petpro.views.contract import Availability

HUNDREDTH = Decimal("0.01")


def availability(is_active: bool, available: int, threshold: int) -> Availability:
    """Whether a product can be bought."""
    if not is_active:
        return "inactive"
    if available == 0:
        return "out_of_stock"
    return "low_stock" if available <= threshold else "in_stock"


def effective_price(regular: Decimal, sale: Decimal | None, on_sale: bool) -> Decimal:
    """What a product costs today."""
    return sale if on_sale and sale is not None else regular


@dataclass(frozen=True, slots=True)
class Item:
    """A line of an order, as far as its vendor's figures need it."""

    order_id: object
    quantity: int
    subtotal: Decimal
    commission_amount: Decimal
    status: str
    ordered_at: datetime
    delivered_at: datetime | None

    @property
    def is_sold(self) -> bool:
        return self.status == "delivered"

    @property
    def is_cancelled(self) -> bool:
        """Cancelled, and given back or not; what came back after it was delivered is not."""
        return self.status == "cancelled" or (self.status == "refunded" and self.delivered_at is None)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a vendor sold. Sold are delivered items; all counts but that of orders are in units."""

    orders_total: int
    items_sold: int
    items_cancelled: int
    gross_revenue: Decimal
    commission_total: Decimal
    cancellation_rate: Decimal
    avg_fulfilment_hours: Decimal | None
    last_order_at: datetime | None

    @classmethod
    def of(cls, items: Iterable[Item]) -> Figures:
        """The figures of these items, all of one vendor."""
        every = list(items)
        sold = [item for item in every if item.is_sold]
        cancelled = sum(item.quantity for item in every if item.is_cancelled)
        units = sum(item.quantity for item in every)
        took = [item.delivered_at - item.ordered_at for item in sold if item.delivered_at is not None]
        return cls(
            orders_total=len({item.order_id for item in every}),
            items_sold=sum(item.quantity for item in sold),
            items_cancelled=cancelled,
            gross_revenue=sum((item.subtotal for item in sold), Decimal(0)),
            commission_total=sum((item.commission_amount for item in sold), Decimal(0)),
            cancellation_rate=_rounded(Decimal(cancelled) * 100 / units) if units else Decimal(0),
            avg_fulfilment_hours=_hours(sum(took, timedelta()), len(took)) if took else None,
            last_order_at=max((item.ordered_at for item in every), default=None),
        )


def _hours(total: timedelta, count: int) -> Decimal:
    return _rounded(Decimal(total // timedelta(microseconds=1)) / (3_600_000_000 * count))


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(HUNDREDTH, ROUND_HALF_UP)
