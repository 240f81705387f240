"""The same reservation as a good developer writes it with FastAPI and SQLAlchemy's ORM: one transaction each."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import JSON, DateTime, Identity, Index, Numeric, String, Text, UniqueConstraint, func, make_url, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.booking import EVENT, SEATS, SHOW, ZONE, identities
from systems.booking_rush.system import system

CAP = 10
HOLD = timedelta(minutes=10)
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Price = Annotated[Decimal, mapped_column(Numeric(12, 2))]


class Base(DeclarativeBase):
    """The service's tables."""


class Zone(Base):
    __tablename__ = "zones"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    show_id: Mapped[UUID]
    event_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(100))
    price: Mapped[Price]
    total_seats: Mapped[int]
    taken: Mapped[int]


class Booking(Base):
    __tablename__ = "bookings"
    __table_args__ = (Index("ix_bookings_user_event", "user_id", "event_id"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    event_id: Mapped[UUID] = mapped_column(index=True)
    show_id: Mapped[UUID] = mapped_column(index=True)
    zone_id: Mapped[UUID] = mapped_column(index=True)
    quantity: Mapped[int]
    unit_price: Mapped[Price]
    total_amount: Mapped[Price]
    status: Mapped[str] = mapped_column(String(32), index=True)
    reserved_at: Mapped[Instant]
    expires_at: Mapped[Instant]


class IdempotencyRecord(Base):
    __tablename__ = "idempotency_records"
    __table_args__ = (UniqueConstraint("user_id", "key"),)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[UUID]
    key: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[Instant]


class OutboxEvent(Base):
    __tablename__ = "outbox_events"
    __table_args__ = (Index("ix_outbox_pending", "seq", postgresql_where="published_at IS NULL"),)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    seq: Mapped[int] = mapped_column(Identity())
    event_type: Mapped[str] = mapped_column(String(200))
    topic: Mapped[str] = mapped_column(String(200))
    partition_key: Mapped[str] = mapped_column(String(255))
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[Instant]
    published_at: Mapped[Instant | None]
    last_error: Mapped[str | None] = mapped_column(Text)


class Reserve(BaseModel):
    event_id: UUID
    zone_id: UUID
    show_id: UUID
    quantity: int = Field(ge=1, le=10)


class Reserved(BaseModel):
    booking_id: UUID
    status: str = "reserved"
    expires_at: datetime
    total_price: Decimal


@asynccontextmanager
async def app(url: str, folder: str) -> AsyncIterator[FastAPI]:
    """The service on a fresh database with one zone."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"), pool_size=20, max_overflow=0)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        session.add(Zone(id=UUID(ZONE), show_id=UUID(SHOW), event_id=UUID(EVENT), name="VIP", price=Decimal(5000),
                         total_seats=SEATS, taken=0))  # fmt: skip
    yield _service(sessions, folder)
    await engine.dispose()


def _service(sessions: async_sessionmaker[AsyncSession], folder: str) -> FastAPI:
    ring = identities(folder).own["auth"]
    keys = {key["kid"]: jwt.PyJWK(key) for key in ring.jwks()["keys"]}

    def caller(authorization: Annotated[str, Header()]) -> dict[str, Any]:
        token = authorization.removeprefix("Bearer ")
        try:
            key = keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token, key, [key.algorithm_name], audience=system.name, issuer=system.name
            )
        except (jwt.InvalidTokenError, KeyError):
            raise HTTPException(401, "The token is not valid") from None
        return claims

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions.begin() as opened:
            yield opened

    service = FastAPI()

    @service.post("/api/v1/bookings/reserve", status_code=201)
    async def reserve(
        body: Reserve,
        request: Request,
        x_idempotency_key: Annotated[str, Header(max_length=200)],
        claims: Annotated[dict[str, Any], Depends(caller)],
        session: Annotated[AsyncSession, Depends(session, scope="function")],
    ) -> Reserved:
        user_id, now = UUID(claims["sub"]), datetime.now(UTC)
        fingerprint = hashlib.sha256(request.url.path.encode() + await request.body()).hexdigest()
        known = await session.scalar(
            select(IdempotencyRecord).where(
                IdempotencyRecord.user_id == user_id, IdempotencyRecord.key == x_idempotency_key
            )
        )
        if known is not None:
            if known.fingerprint != fingerprint:
                raise HTTPException(422, "The key was used for another request")
            return Reserved.model_validate(known.body)
        zone = await session.get(Zone, body.zone_id, with_for_update=True)
        if zone is None or zone.show_id != body.show_id or zone.event_id != body.event_id:
            raise HTTPException(404, "There is no such zone")
        if zone.taken + body.quantity > zone.total_seats:
            raise HTTPException(409, "There are not enough seats left")
        held = await session.scalar(
            select(func.coalesce(func.sum(Booking.quantity), 0)).where(
                Booking.user_id == user_id,
                Booking.event_id == body.event_id,
                Booking.status.in_(("reserved", "confirmed")),
            )
        )
        if (held or 0) + body.quantity > CAP:
            raise HTTPException(409, "Too many tickets for one person")
        zone.taken += body.quantity
        booking = Booking(
            id=uuid4(), tenant_id=UUID(claims["tenant_id"]), user_id=user_id, event_id=zone.event_id,
            show_id=zone.show_id, zone_id=zone.id, quantity=body.quantity, unit_price=zone.price,
            total_amount=zone.price * body.quantity, status="reserved", reserved_at=now, expires_at=now + HOLD,
        )  # fmt: skip
        answer = Reserved(booking_id=booking.id, expires_at=booking.expires_at, total_price=booking.total_amount)
        payload = {
            "booking_id": str(booking.id), "user_id": str(user_id), "zone_id": str(zone.id),
            "quantity": body.quantity, "total_amount": str(booking.total_amount),
        }  # fmt: skip
        session.add_all(
            [
                booking,
                IdempotencyRecord(
                    user_id=user_id, key=x_idempotency_key, fingerprint=fingerprint, status=201,
                    body=answer.model_dump(mode="json"), created_at=now,
                ),
                OutboxEvent(
                    event_type="booking.reserved", topic="booking.transactions", partition_key=str(booking.id),
                    payload=payload, created_at=now,
                ),
            ]
        )  # fmt: skip
        try:
            await session.flush()
        except IntegrityError:
            raise HTTPException(409, "The first request with this key still runs") from None
        return answer

    return service
