"""The clinic's calendar."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Tx, User, list_rows, user
from systems.petpro.clinic.bodies import AppointmentList, AppointmentOut
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.members import own_clinic
from systems.petpro.clinic.tables import Appointment


@clinic.get("/clinics/{id}/appointments", access=user, errors=[403, 404])
async def list_appointments(
    id: UUID, query: Annotated[AppointmentList, Query()], tx: Tx, caller: User
) -> CamelListing[AppointmentOut]:
    """The clinic's appointments from one day of its own to another, both included, as they come."""
    zone = ZoneInfo((await own_clinic(id, tx, caller)).timezone)
    found = select(Appointment).where(Appointment.clinic_id == id)
    if query.first is not None:
        found = found.where(Appointment.starts_at >= datetime.combine(query.first, time(), zone).astimezone(UTC))
    if query.last is not None:
        end = datetime.combine(query.last + timedelta(days=1), time(), zone).astimezone(UTC)
        found = found.where(Appointment.starts_at < end)
    if query.staff_id is not None:
        found = found.where(Appointment.staff_id == query.staff_id)
    page = await list_rows(tx, found, query, order_by=Appointment.starts_at, show=AppointmentOut.model_validate)
    return CamelListing.of(page)
