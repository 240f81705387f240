"""The notification service: what customers are told, and what organizers see of their sales.

It listens, and sagas ask it to confirm bookings; every flow works without it.
"""

from __future__ import annotations

from freehold import Service
from systems.booking_rush.auth.contract import SnapshotUsers
from systems.booking_rush.booking.contract import SnapshotBookings
from systems.booking_rush.notification.contract import ConfirmationTaken
from systems.booking_rush.notification.sender import LoggingSender, NotificationSender
from systems.booking_rush.notification.settings import NotificationSettings
from systems.booking_rush.notification.tables import Base
from systems.booking_rush.ticket.contract import SnapshotEvents

notification = Service(
    "notification",
    tables=Base,
    database="notification_db",
    publishes=[ConfirmationTaken],
    asks=[SnapshotUsers, SnapshotBookings, SnapshotEvents],  # to rebuild its views, never in a flow
    settings=[NotificationSettings],
    description="E-tickets, receipts, expiry and cancellation notices; sales reports for organizers",
)


@notification.provide
def sender() -> NotificationSender:
    return LoggingSender()
