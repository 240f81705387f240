"""What clients send to auth, and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from freehold import Paging
from systems.booking_rush.auth.contract import Role
from systems.booking_rush.auth.rules import Email, NewPassword, PersonName, Phone, Search, Slug

# --- requests ---------------------------------------------------------------------------------------------------------


class Registration(BaseModel):
    email: Email
    password: NewPassword
    name: PersonName
    phone: Phone | None = None
    tenant_slug: str | None = None


class Credentials(BaseModel):
    email: str
    password: str
    tenant_slug: str | None = None


class TokenBody(BaseModel):
    refresh_token: Annotated[str, Field(min_length=1, max_length=500)]


class Changes(BaseModel):
    """An update: at least one field, and only those that are given."""

    empty: ClassVar[str] = "VALIDATION_ERROR"

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.given():
            raise PydanticCustomError(self.empty, "names nothing to change")
        return self

    def given(self) -> dict[str, Any]:
        """The new values by column."""
        return self.model_dump(exclude_none=True)


class ProfileChanges(Changes):
    name: PersonName | None = None
    phone: Phone | None = None


class UserChanges(Changes):
    role: Role | None = None
    is_active: bool | None = None
    name: PersonName | None = None


class NewTenant(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=255)]
    slug: Slug
    domain: Annotated[str, Field(max_length=255)] | None = None
    logo_url: Annotated[str, Field(max_length=2000)] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class TenantChanges(Changes):
    empty: ClassVar[str] = "INVALID_UPDATE"

    name: Annotated[str, Field(min_length=2, max_length=255)] | None = None
    domain: Annotated[str, Field(max_length=255)] | None = None
    logo_url: Annotated[str, Field(max_length=2000)] | None = None
    settings: dict[str, Any] | None = None
    is_active: bool | None = None


class UserList(Paging):
    role: Role | None = None
    search: Search | None = None
    is_active: bool | None = None


class TenantList(Paging):
    is_active: bool | None = None
    search: Search | None = None


# --- answers ----------------------------------------------------------------------------------------------------------


class Profile(BaseModel):
    """A user, to themselves."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str | None
    role: Role
    tenant_id: UUID
    phone: str | None
    created_at: datetime


class UserDetails(Profile):
    """A user, to those who administer them."""

    is_active: bool
    email_verified: bool
    stripe_customer_id: str | None


class Authenticated(BaseModel):
    """A pair of tokens; `expires_in` seconds is what the access token lives."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme that RFC 6750 calls so
    expires_in: int
    user: Profile


class TokenOwner(BaseModel):
    """Whom a valid access token speaks for."""

    user_id: UUID
    email: str | None
    role: str
    tenant_id: UUID | None


class Done(BaseModel):
    message: str


class TenantDetails(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    slug: str
    domain: str | None
    logo_url: str | None
    settings: dict[str, Any]
    is_active: bool
    created_at: datetime
    updated_at: datetime
