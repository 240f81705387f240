"""What is known of users, pets, clinics, services and vendors: one table, each row by its owner's versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select

from freehold import Change, Tx, View
from systems.petpro.auth.contract import SnapshotUsers, UserCreated, UserDeactivated, UserRow, UserUpdated
from systems.petpro.booking.contract import ServiceDefined, ServiceRow, SnapshotServices
from systems.petpro.clinic.contract import ClinicCreated, ClinicRow, ClinicUpdated, SnapshotClinics
from systems.petpro.pet.contract import PetCreated, PetDeleted, PetRow, PetUpdated, SnapshotPets
from systems.petpro.vendor.contract import (
    SnapshotVendors,
    VendorCreated,
    VendorRow,
    VendorStatusChanged,
    VendorUpdated,
)
from systems.petpro.views.declaration import views
from systems.petpro.views.tables import EntityRef

Kind = Literal["clinic", "pet", "service", "user", "vendor"]

refs = views.view(
    View("entity_refs", table=EntityRef, key=("entity_type", "entity_id"), version="version", synced="updated_at")
)


def _change(kind: Kind, id: UUID, version: int, **columns: Any) -> Change:
    return Change({"entity_type": kind, "entity_id": id, **columns}, version=version)


# --- from events, and from the owners' snapshots, in the order of the table's key -------------------------------------


@refs.on(ClinicCreated, ClinicUpdated)
@refs.snapshot(SnapshotClinics)
def clinic(told: ClinicCreated | ClinicUpdated | ClinicRow) -> Change:
    return _change("clinic", told.clinic_id, told.version, data=_of(told, "name", "city", "owner_id"))


@refs.on(PetCreated, PetUpdated)
def pet(told: PetCreated | PetUpdated) -> Change:
    return _change("pet", told.pet_id, told.version, data=_of(told, "name", "species"), is_deleted=False)


@refs.on(PetDeleted)
def pet_deleted(event: PetDeleted) -> Change:
    return _change("pet", event.pet_id, event.version, is_deleted=True)


@refs.snapshot(SnapshotPets)
def known_pet(row: PetRow) -> Change:
    return _change("pet", row.pet_id, row.version, data=_of(row, "name", "species"), is_deleted=row.is_deleted)


@refs.on(ServiceDefined)
@refs.snapshot(SnapshotServices)
def service(told: ServiceDefined | ServiceRow) -> Change:
    return _change("service", told.service_id, told.version, data=_of(told, "name"))


@refs.on(UserCreated, UserUpdated)
@refs.snapshot(SnapshotUsers)
def user(told: UserCreated | UserUpdated | UserRow) -> Change:
    data = _of(told, "full_name", "email")
    return _change("user", told.user_id, told.version, data=data, is_deleted=not told.is_active)


@refs.on(UserDeactivated)
def user_deactivated(event: UserDeactivated) -> Change:
    return _change("user", event.user_id, event.version, is_deleted=True)


@refs.on(VendorCreated, VendorUpdated)
@refs.snapshot(SnapshotVendors)
def vendor(told: VendorCreated | VendorUpdated | VendorRow) -> Change:
    data = _of(told, "business_name", "user_id")
    return _change("vendor", told.vendor_id, told.version, data=data, status=told.status)


@refs.on(VendorStatusChanged)
def vendor_status(event: VendorStatusChanged) -> Change:
    return _change("vendor", event.vendor_id, event.version, status=event.status)


def _of(told: Any, *names: str) -> dict[str, Any]:
    """Some of what was told, as JSON keeps it."""
    return {name: str(value) if isinstance(value := getattr(told, name), UUID) else value for name in names}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one of them; of one that nobody told of yet, nothing."""

    data: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None


NOTHING = Known()


async def known(kind: Kind, ids: Iterable[UUID], tx: Tx) -> dict[UUID, Known]:
    """Those of a kind, by id."""
    found = select(EntityRef.entity_id, EntityRef.data, EntityRef.status).where(
        EntityRef.entity_type == kind, EntityRef.entity_id.in_(set(ids))
    )
    return {id: Known(data, status) for id, data, status in await tx.execute(found)}


def ids_of(kind: Kind, keys: Sequence[tuple[str, UUID]]) -> list[UUID]:
    """Of keys of `entity_refs`, the ids of one kind."""
    return [id for each, id in keys if each == kind]
