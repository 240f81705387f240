"""The payment service: money in, money back, through a gateway that can be exchanged."""

from __future__ import annotations

from datetime import timedelta

from freehold import Clock, DataFolder, Service
from systems.booking_rush.auth.contract import GetStripeCustomer, GetUser, SetStripeCustomer, SnapshotUsers
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
from systems.booking_rush.payment.stripe import StripeGateway
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
    asks=[GetBooking, GetUser, GetStripeCustomer, SetStripeCustomer, SnapshotUsers],
    settings=[PaymentSettings],
    description="Payment transactions and refunds through a pluggable gateway",
)


@payment.provide
def gateway(settings: PaymentSettings, clock: Clock, folder: DataFolder) -> PaymentGateway:
    if settings.payment_gateway == "stripe":
        return StripeGateway(
            clock,
            secret_key=settings.stripe_secret_key.get_secret_value(),
            webhook_secret=settings.stripe_webhook_secret.get_secret_value(),
            api_base=settings.stripe_api_base,
            timeout=settings.gateway_timeout_seconds,
            tolerance=settings.webhook_tolerance_seconds,
        )
    return SimulatedGateway(
        clock,
        settings.webhook_secret.get_secret_value(),
        tolerance=settings.webhook_tolerance_seconds,
        async_delay=timedelta(milliseconds=settings.sim_async_delay_ms),
        state_file=settings.sim_state_file or str(folder.path / "simulated_gateway.sqlite"),
    )
