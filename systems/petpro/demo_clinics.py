"""The clinics of the data sets: staff, documents, services, and slots for the next two weeks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from systems.petpro.booking.contract import ServiceDefined
from systems.petpro.booking.rules import Hours, back_to_back
from systems.petpro.booking.tables import ClinicService, Slot
from systems.petpro.clinic.contract import ClinicCreated, ServiceUpdated, StaffChanged
from systems.petpro.clinic.offerings import definition_of
from systems.petpro.clinic.rules import distribution_of
from systems.petpro.clinic.tables import Clinic, Document, Offering, Rating, StaffMember
from systems.petpro.demo_rows import Bundle, DataSet, People, Row, demo_id, stamps

ZONE = "Asia/Jakarta"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
OPEN = Hours(time(9), time(17))
DAYS_AHEAD = 14
PLACES: tuple[tuple[str, str, str, float, float, str], ...] = (
    ("Melati Pet Care", "Jakarta", "DKI Jakarta", -6.2146, 106.8451, "10.00"),
    ("Menteng Animal Clinic", "Jakarta", "DKI Jakarta", -6.1963, 106.8320, "10.00"),
    ("Dago Veterinary Centre", "Bandung", "Jawa Barat", -6.8854, 107.6137, "12.50"),
    ("Tunjungan Pet Hospital", "Surabaya", "Jawa Timur", -7.2575, 112.7382, "15.00"),
    ("Kemang Pet House", "Jakarta", "DKI Jakarta", -6.2615, 106.8106, "10.00"),
)
OWNERS = (0, 0, 1, 2, 1)
STAFF = (3, 3, 2, 2, 2)
ROLES = ("veterinarian", "groomer", "assistant")
SERVICES = (
    ("General check-up", "veterinary", 30, 150_000), ("Vaccination", "veterinary", 30, 225_000),
    ("Full grooming", "grooming", 60, 175_000), ("Dental cleaning", "veterinary", 60, 750_000),
    ("Nail trim", "grooming", 45, 75_000),
)  # fmt: skip
BY_APPROVAL = {(0, 3), (2, 3), (3, 3)}
OVERRIDDEN = {(0, 0): Decimal("135000.00"), (2, 2): Decimal("190000.00")}


@dataclass(slots=True)
class Practice:
    """A clinic with what belongs to it; `prices` are those that customers pay, `days` its slots of days to come."""

    clinic: Row
    staff: list[Row] = field(default_factory=list)
    services: list[Row] = field(default_factory=list)
    prices: dict[UUID, Decimal] = field(default_factory=dict)
    slots: dict[tuple[UUID, date, int], Row] = field(default_factory=dict)

    def slot(self, made: DataSet, service: Row, day: date, number: int) -> Row:
        """The service's slot of that day, made where there is none yet."""
        key = service["id"], day, number
        if key not in self.slots:
            hours = list(back_to_back(OPEN, service["duration_minutes"]))[number]
            ahead = (day - today(made)).days
            self.slots[key] = made.add(
                Slot,
                {
                    "id": demo_id("slot", f"{service['id']}/{ahead}/{number}"), "service_id": service["id"],
                    "staff_id": self._whose(service), "slot_date": day, "slot_start_time": hours.start,
                    "slot_end_time": hours.end, "status": "available", "booked_count": 0,
                    "capacity": 1 + (number + day.toordinal()) % 5, **stamps(made.ago(days=30)),
                },
            ).row  # fmt: skip
        return self.slots[key]

    def _whose(self, service: Row) -> UUID | None:
        """One service for each of the staff, so that nobody is in two places at once."""
        number = self.services.index(service)
        id: UUID | None = self.staff[number]["id"] if number < len(self.staff) else None
        return id


def today(made: DataSet) -> date:
    """The date at the clinics."""
    return made.now.astimezone(ZoneInfo(ZONE)).date()


def working_days(first: date, days: range) -> list[date]:
    """The days, so far from the first one, that are no weekend."""
    return [day for day in (first + timedelta(days=away) for away in days) if day.weekday() < len(WEEKDAYS)]


def add_clinics(made: DataSet, people: People, copy: int) -> list[Practice]:
    """Five clinics, of which the last waits for approval; five services at each of the others."""
    logins = iter(people.staff)
    practices = []
    for number in range(len(PLACES)):
        bundle = _clinic(made, people, copy, number)
        _add_documents(made, bundle)
        practice = Practice(bundle.row)
        for member in range(STAFF[number]):
            practice.staff.append(_member(made, practice.clinic, member, next(logins, None)))
        if practice.clinic["status"] == "approved":
            for service in range(len(SERVICES)):
                _add_service(made, practice, number, service)
            _add_slots(made, practice)
        practices.append(practice)
    return practices


def _clinic(made: DataSet, people: People, copy: int, number: int) -> Bundle:
    name, city, province, latitude, longitude, rate = PLACES[number]
    id, status = demo_id("clinic", f"{copy}.{number}"), "pending" if number == len(PLACES) - 1 else "approved"
    row = {
        "id": id, "owner_id": people.owners[OWNERS[number]]["id"], "name": f"{name} {copy + 1}" if copy else name,
        "address": f"Jl. Mawar {number + 1}", "city": city, "province": province, "postal_code": f"1{number}110",
        "latitude": latitude + copy * 0.01, "longitude": longitude, "phone_number": f"+62 21 555 01{number}",
        "email": f"clinic{copy}.{number}@petpro.test", "website": None, "description": f"{name} in {city}",
        "operating_hours": {day: {"open": "09:00", "close": "17:00", "is_open": True} for day in WEEKDAYS},
        "facilities": ["parking", "wifi"], "status": status, "commission_rate": Decimal(rate), "timezone": ZONE,
        "version": 1 if status == "pending" else 2, **stamps(made.ago(days=90)),
    }  # fmt: skip
    bundle = made.add(Clinic, row, ClinicCreated.model_validate({**row, "clinic_id": id}))
    rating = {"id": demo_id("rating", id), "clinic_id": id, "avg_rating": 0.0, "review_count": 0}
    bundle.also(Rating, rating | {"rating_distribution": distribution_of(()), "last_updated": made.now})
    return bundle


def _add_documents(made: DataSet, bundle: Bundle) -> None:
    clinic = bundle.row
    verified_at = made.ago(days=89) if clinic["status"] == "approved" else None
    for kind, name in (("business_license", "NIB"), ("veterinary_license", "SIP")):
        row = {
            "id": demo_id("document", f"{clinic['id']}/{kind}"), "clinic_id": clinic["id"], "document_type": kind,
            "document_name": name, "document_url": f"https://files.petpro.test/{kind}.pdf",
            "is_verified": verified_at is not None, "verified_at": verified_at, **stamps(made.ago(days=90)),
        }  # fmt: skip
        bundle.also(Document, row)


def _member(made: DataSet, clinic: Row, number: int, login: Row | None) -> Row:
    id, at = demo_id("member", f"{clinic['id']}/{number}"), made.ago(days=85)
    row = {
        "id": id, "clinic_id": clinic["id"], "name": login["name"] if login else f"Assistant {number + 1}",
        "email": login["email"] if login else f"member{number}@{clinic['id'].hex[:8]}.test",
        "phone": login["phone"] if login else None, "role": ROLES[number % len(ROLES)],
        "specialization": "small animals" if number == 0 else None, "photo_url": None, "working_hours": {},
        "qualifications": ["DVM"] if number == 0 else [], "user_id": login["id"] if login else None,
        "is_active": True, **stamps(at),
    }  # fmt: skip
    told = StaffChanged.model_validate({**row, "staff_id": id, "change": "created", "changed_at": at})
    return made.add(StaffMember, row, told).row


def _add_service(made: DataSet, practice: Practice, number: int, service: int) -> None:
    name, category, minutes, price = SERVICES[service]
    clinic_id, at = practice.clinic["id"], made.ago(days=80)
    id = demo_id("service", f"{clinic_id}/{service}")
    row: Row = {
        "id": id, "clinic_id": clinic_id, "name": name, "description": f"{name}, {minutes} minutes",
        "price": Decimal(price).quantize(Decimal("0.01")), "duration_minutes": minutes,
        "requires_approval": (number, service) in BY_APPROVAL, "is_available": True, "availability_exceptions": [],
        "category": category, "version": 1, **stamps(at),
    }  # fmt: skip
    defined = ServiceDefined.model_validate({**row, "service_id": id})
    practice.services.append(made.add(ClinicService, row, defined).row)
    override = OVERRIDDEN.get((number, service))
    practice.prices[id] = row["price"] if override is None else override
    offering: dict[str, Any] = {
        "id": demo_id("offering", id), "clinic_id": clinic_id, "service_id": id, "is_active": True,
        "price_override": override, "version": 1 if override is None else 2, "definition": definition_of(defined),
        **stamps(at),
    }  # fmt: skip
    told = ServiceUpdated.model_validate({**offering, "clinic_service_id": offering["id"]})
    made.add(Offering, offering, told)


def _add_slots(made: DataSet, practice: Practice) -> None:
    for day in working_days(today(made), range(1, DAYS_AHEAD + 1)):
        for service in practice.services:
            for number in range(len(list(back_to_back(OPEN, service["duration_minutes"])))):
                practice.slot(made, service, day, number)
