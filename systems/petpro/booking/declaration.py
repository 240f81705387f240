"""Booking: service catalogue, slots, reservations, bookings, payments, the financial split, reviews."""

from __future__ import annotations

from freehold import DataFolder, Service
from systems.petpro.auth.contract import GetUser, SnapshotUsers
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingCreated,
    BookingNotification,
    BookingRescheduled,
    BookingStatusChanged,
    FinancialEntryRecorded,
    PaymentFailed,
    PaymentProcessed,
    PaymentRefunded,
    ReservationCancelled,
    ReservationCreated,
    ReservationExpired,
    ReviewDeleted,
    ReviewSubmitted,
    ReviewUpdated,
    ServiceDefined,
)
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Base
from systems.petpro.clinic.contract import (
    GetClinic,
    GetClinicsOf,
    GetMembership,
    GetOffering,
    GetStaff,
    SnapshotClinics,
    SnapshotOfferings,
)
from systems.petpro.gateway import GatewaySettings, PaymentGateway, open_gateway
from systems.petpro.pet.contract import GetPet, SnapshotPets
from systems.petpro.vendor.contract import TakePaymentNotice

booking = Service(
    "booking",
    tables=Base,
    database="booking_db",
    publishes=[
        ServiceDefined,
        ReservationCreated,
        ReservationExpired,
        ReservationCancelled,
        BookingCreated,
        BookingConfirmed,
        BookingCancelled,
        BookingCompleted,
        BookingRescheduled,
        BookingStatusChanged,
        BookingNotification,
        PaymentProcessed,
        PaymentFailed,
        PaymentRefunded,
        FinancialEntryRecorded,
        ReviewSubmitted,
        ReviewUpdated,
        ReviewDeleted,
    ],
    asks=[
        GetUser,
        SnapshotUsers,
        GetClinic,
        GetClinicsOf,
        GetMembership,
        GetOffering,
        GetStaff,
        SnapshotClinics,
        SnapshotOfferings,
        GetPet,
        SnapshotPets,
        TakePaymentNotice,
    ],
    settings=[BookingSettings, GatewaySettings],
    description="Service catalogue, slots, reservations, bookings, payments, the financial split, reviews",
)


@booking.provide
def gateway(settings: GatewaySettings, folder: DataFolder) -> PaymentGateway:
    return open_gateway(settings, folder)
