"""How a clinic goes from one status to another."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import select

from freehold import Problem, Tx
from systems.petpro.clinic import facts
from systems.petpro.clinic.contract import ClinicStatus
from systems.petpro.clinic.rules import require_transition
from systems.petpro.clinic.tables import Clinic, Document


async def change_status(
    clinic: Clinic, status: ClinicStatus, reason: str | None, tx: Tx, *, commission_rate: Decimal | None = None
) -> None:
    """Bring a locked clinic into the status, and agree on a commission; what is so already changes nothing.

    Raises 409 for a transition that is none, and 422 when a clinic without a verified business license is approved.
    """
    before = {"status": clinic.status, "commission_rate": str(clinic.commission_rate)}
    if status != clinic.status:
        require_transition(clinic.status, status)
        if status == "approved":
            await _require_license(clinic, tx)
        clinic.status = status
    if commission_rate is not None:
        clinic.commission_rate = commission_rate
    after = {"status": clinic.status, "commission_rate": str(clinic.commission_rate)}
    if after == before:
        return
    clinic.touch(tx.now())
    tx.publish(facts.clinic_updated(clinic))
    tx.audit("change_status", "clinic", clinic.id, before=before, after=after | {"reason": reason})


async def _require_license(clinic: Clinic, tx: Tx) -> None:
    verified = select(Document.id).where(
        Document.clinic_id == clinic.id, Document.document_type == "business_license", Document.is_verified
    )
    if await tx.scalar(verified.limit(1)) is None:
        raise Problem(
            422, "DOCUMENTS_MISSING", "The clinic has no verified business_license. Verify one, then approve it"
        )
