"""What clinic tells its siblings."""

from __future__ import annotations

from sqlalchemy import select

from freehold import Page, Tx, not_found, page_of
from systems.petpro.clinic.contract import (
    ClinicRow,
    ClinicsOfUser,
    GetClinic,
    GetClinicsOf,
    GetMembership,
    GetOffering,
    GetStaff,
    Membership,
    OfferingRow,
    SnapshotClinics,
    SnapshotOfferings,
    SnapshotStaff,
    StaffRow,
)
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.members import existing_clinic, staff_id_of
from systems.petpro.clinic.tables import Clinic, Offering, StaffMember


@clinic.answers(GetClinic)
async def get_clinic(query: GetClinic, tx: Tx) -> ClinicRow:
    return _clinic(await existing_clinic(query.clinic_id, tx))


@clinic.answers(GetStaff)
async def get_staff(query: GetStaff, tx: Tx) -> StaffRow:
    member = await tx.get(StaffMember, query.staff_id)
    if member is None:
        raise not_found("The staff member", "STAFF_NOT_FOUND")
    return _member(member)


@clinic.answers(GetMembership)
async def get_membership(query: GetMembership, tx: Tx) -> Membership:
    of = await existing_clinic(query.clinic_id, tx)
    return Membership(
        is_owner=of.owner_id == query.user_id, staff_id=await staff_id_of(query.user_id, query.clinic_id, tx)
    )


@clinic.answers(GetClinicsOf)
async def get_clinics_of(query: GetClinicsOf, tx: Tx) -> ClinicsOfUser:
    working = select(StaffMember.clinic_id).where(StaffMember.user_id == query.user_id, StaffMember.is_active)
    mine = select(Clinic.id).where((Clinic.owner_id == query.user_id) | Clinic.id.in_(working)).order_by(Clinic.id)
    return ClinicsOfUser(clinic_ids=list(await tx.scalars(mine)))


@clinic.answers(GetOffering)
async def get_offering(query: GetOffering, tx: Tx) -> OfferingRow:
    offering = await tx.find(Offering, Offering.service_id == query.service_id)
    if offering is None:
        raise not_found("The offering", "OFFERING_NOT_FOUND")
    return _offering(offering)


# --- snapshots --------------------------------------------------------------------------------------------------------


@clinic.answers(SnapshotClinics)
async def snapshot_clinics(query: SnapshotClinics, tx: Tx) -> Page[ClinicRow]:
    rows = [_clinic(row) for row in await tx.scalars(page_of(select(Clinic), query, by=Clinic.id))]
    return Page[ClinicRow].of(rows, query, "clinic_id")


@clinic.answers(SnapshotOfferings)
async def snapshot_offerings(query: SnapshotOfferings, tx: Tx) -> Page[OfferingRow]:
    rows = [_offering(row) for row in await tx.scalars(page_of(select(Offering), query, by=Offering.service_id))]
    return Page[OfferingRow].of(rows, query, "service_id")


@clinic.answers(SnapshotStaff)
async def snapshot_staff(query: SnapshotStaff, tx: Tx) -> Page[StaffRow]:
    rows = [_member(row) for row in await tx.scalars(page_of(select(StaffMember), query, by=StaffMember.id))]
    return Page[StaffRow].of(rows, query, "staff_id")


# --- rows -------------------------------------------------------------------------------------------------------------


def _clinic(row: Clinic) -> ClinicRow:
    return ClinicRow(
        clinic_id=row.id,
        owner_id=row.owner_id,
        name=row.name,
        city=row.city,
        status=row.status,
        commission_rate=row.commission_rate,
        timezone=row.timezone,
        operating_hours=row.operating_hours,
        version=row.version,
        updated_at=row.updated_at,
    )


def _offering(row: Offering) -> OfferingRow:
    return OfferingRow(
        clinic_service_id=row.id,
        service_id=row.service_id,
        clinic_id=row.clinic_id,
        is_active=row.is_active,
        price_override=row.price_override,
        version=row.version,
        updated_at=row.updated_at,
    )


def _member(row: StaffMember) -> StaffRow:
    return StaffRow(
        staff_id=row.id,
        clinic_id=row.clinic_id,
        user_id=row.user_id,
        name=row.name,
        role=row.role,
        is_active=row.is_active,
        updated_at=row.updated_at,
    )
