"""The payment service: money in, money back, through a gateway that can be exchanged."""

from __future__ import annotations

from datetime import timedelta

from freehold import Clock, DataFolder, Service
from systems.booking_rush.auth.contract import SnapshotUsers
from systems.booking_rush.booking.contract import GetBooking
from systems.booking_rush.payment.contract import (
    PaymentCompleted,
    PaymentFailed,
    PaymentInitiated,
    PaymentProcessing,
    PaymentRefunded,
    PaymentReturned,
)
from systems.booking_rush.payment.gateway import PaymentGateway
from systems.booking_rush.payment.settings import PaymentSettings
from systems.booking_rush.payment.simulated import SimulatedGateway
from systems.booking_rush.payment.tables import Base

payment = Service(
    "payment",
    tables=Base,
    database="payment_db",
    publishes=[
        PaymentInitiated,
        PaymentProcessing,
        PaymentCompleted,
        PaymentFailed,
        PaymentRefunded,
        PaymentReturned,
    ],
    asks=[GetBooking, SnapshotUsers],
    settings=[PaymentSettings],
    description="Payment transactions and refunds through a pluggable gateway",
)


@payment.provide
def gateway(settings: PaymentSettings, clock: Clock, folder: DataFolder) -> PaymentGateway:
    return SimulatedGateway(
        clock,
        settings.webhook_secret.get_secret_value(),
        tolerance=settings.webhook_tolerance_seconds,
        async_delay=timedelta(milliseconds=settings.sim_async_delay_ms),
        state_file=settings.sim_state_file or str(folder.path / "simulated_gateway.sqlite"),
    )
