"""How a service that booking defines becomes an offering of its clinic."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from freehold import Tx, Unavailable, Work
from systems.petpro.booking.contract import GetServices, ServiceDefined, ServiceRow
from systems.petpro.clinic import facts
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.tables import Offering

_COPIED = {
    "name", "description", "category", "price", "duration_minutes", "requires_approval", "is_available", "version",
}  # fmt: skip


def definition_of(service: ServiceDefined | ServiceRow) -> dict[str, Any]:
    """What an offering keeps of the definition."""
    return service.model_dump(mode="json", include=_COPIED)


@clinic.on(ServiceDefined)
async def offer_service(event: ServiceDefined, tx: Tx) -> None:
    """A new service is offered at once, at the price of its definition; later definitions replace the copy."""
    offering = await tx.find(Offering, Offering.service_id == event.service_id, lock=True)
    if offering is not None:
        if offering.define(definition_of(event)):
            offering.updated_at = tx.now()
        return
    offering = Offering(
        clinic_id=event.clinic_id,
        service_id=event.service_id,
        is_active=True,
        definition=definition_of(event),
        version=1,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    tx.add(offering)
    await tx.flush()
    tx.publish(facts.service_updated(offering))


async def repair_definitions(clinic_id: UUID, work: Work) -> bool:
    """Ask booking for the definitions of a clinic's offerings; False while it does not answer."""
    try:
        services = await work.as_service().ask(GetServices(clinic_id=clinic_id))
    except Unavailable:
        return False
    told = {service.service_id: definition_of(service) for service in services}

    async def define(tx: Tx) -> None:
        mine = select(Offering).where(Offering.clinic_id == clinic_id).order_by(Offering.id).with_for_update()
        for offering in await tx.scalars(mine):
            if offering.service_id in told:
                offering.define(told[offering.service_id])

    await work.run(define)
    return True
