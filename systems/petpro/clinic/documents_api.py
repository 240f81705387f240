"""The documents that a clinic is approved by."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import select

from freehold import CamelListing, Tx, User, list_rows, not_found, role, user
from systems.petpro.bodies import PageOf
from systems.petpro.clinic.bodies import DocumentOut, NewDocument
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.members import own_clinic
from systems.petpro.clinic.tables import Document


@clinic.get("/clinics/{id}/documents", access=user, errors=[403, 404])
async def list_documents(
    id: UUID, query: Annotated[PageOf, Query()], tx: Tx, caller: User
) -> CamelListing[DocumentOut]:
    """The clinic's documents, newest first."""
    await own_clinic(id, tx, caller)
    found = select(Document).where(Document.clinic_id == id)
    return CamelListing.of(
        await list_rows(
            tx, found, query, order_by=Document.created_at, descending=True, show=DocumentOut.model_validate
        )
    )


@clinic.post("/clinics/{id}/documents", access=user, status_code=201, errors=[403, 404])
async def add_document(id: UUID, body: NewDocument, tx: Tx, caller: User) -> DocumentOut:
    """Add a document; an admin has yet to verify it."""
    await own_clinic(id, tx, caller)
    document = Document(**body.model_dump(), clinic_id=id, is_verified=False, created_at=tx.now(), updated_at=tx.now())
    tx.add(document)
    await tx.flush()
    return DocumentOut.model_validate(document)


@clinic.put("/admin/clinics/{id}/documents/{doc_id}/verify", access=role("admin"), errors=[404])
async def verify_document(id: UUID, doc_id: UUID, tx: Tx) -> DocumentOut:
    """Say that a document is genuine."""
    document = await tx.find(Document, Document.id == doc_id, Document.clinic_id == id, lock=True)
    if document is None:
        raise not_found("The document", "DOCUMENT_NOT_FOUND")
    if not document.is_verified:
        document.is_verified = True
        document.verified_at = document.updated_at = tx.now()
        tx.audit("verify", "clinic_document", doc_id, after={"document_type": document.document_type})
    return DocumentOut.model_validate(document)
