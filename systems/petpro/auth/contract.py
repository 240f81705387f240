"""What other services may know of auth."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from freehold import After, Event, Page, Query, Timestamp

CodeKind = Literal[
    "registration", "login", "password_reset", "email_change", "phone_change", "transaction", "account_recovery"
]
DeliveryMethod = Literal["email", "sms", "push"]


# --- events -----------------------------------------------------------------------------------------------------------


class UserFact(Event):
    """What is told of a user's own data."""

    user_id: UUID
    email: str
    full_name: str
    phone_number: str | None
    roles: list[str]
    is_active: bool
    version: int


class UserCreated(UserFact, name="user.created", topic="petpro.auth.users", key="user_id"):
    created_at: Timestamp


class UserUpdated(UserFact, name="user.updated", topic="petpro.auth.users", key="user_id"):
    updated_at: Timestamp


class UserDeactivated(Event, name="user.deactivated", topic="petpro.auth.users", key="user_id"):
    user_id: UUID
    reason: str
    version: int
    deactivated_at: Timestamp


# --- queries ----------------------------------------------------------------------------------------------------------


class UserRow(BaseModel):
    """A user, as siblings keep one: without anything secret."""

    user_id: UUID
    email: str
    full_name: str
    phone_number: str | None
    roles: list[str]
    is_active: bool
    version: int
    created_at: Timestamp
    updated_at: Timestamp


class GetUser(Query[UserRow], path="/internal/users/{user_id}"):
    """404 `USER_NOT_FOUND` for a user who is unknown."""

    user_id: UUID


class GetUsers(Query[list[UserRow]], path="/internal/users/bulk", method="POST"):
    """Those of them who exist; at most 500 at once."""

    user_ids: Annotated[list[UUID], Field(max_length=500)]


class SnapshotUsers(Query[Page[UserRow]], path="/internal/snapshots/{entity}"):
    entity: Literal["users"] = "users"
    cursor: After = None
    limit: int = 500
