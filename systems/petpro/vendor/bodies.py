"""What vendor is asked about shops and listings, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, Field

from freehold import MoneyNumber, Timestamp
from systems.petpro.bodies import Body, PageOf
from systems.petpro.vendor.contract import VendorStatus

UNSET: Any = None
"""Default of a field that may be left out, but not be null."""

Name = Annotated[str, Field(min_length=1, max_length=255)]
Kind = Annotated[str, Field(min_length=1, max_length=100)]
Town = Annotated[str, Field(min_length=1, max_length=100)]
Email = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        validation_alias=AliasChoices("email", "contactEmail", "contact_email"),
    ),
]
Phone = Annotated[
    str,
    Field(min_length=1, max_length=20, validation_alias=AliasChoices("phone", "phoneNumber", "phone_number")),
]
Address = Annotated[
    str,
    Field(min_length=1, max_length=500, validation_alias=AliasChoices("address", "streetAddress", "street_address")),
]
Province = Annotated[str, Field(min_length=1, max_length=100, validation_alias=AliasChoices("province", "state"))]
PostalCode = Annotated[str, Field(min_length=1, max_length=20)]
Rate = Annotated[MoneyNumber, Field(ge=0, le=100)]
Price = Annotated[MoneyNumber, Field(gt=0)]
Reason = Annotated[str, Field(min_length=1, max_length=255)]

# --- vendors ----------------------------------------------------------------------------------------------------------


class VendorFields(Body):
    tax_id: Annotated[str, Field(max_length=50)] | None = None
    website: Annotated[str, Field(max_length=255)] | None = None
    verification_data: dict[str, Any] = Field(default_factory=dict)


class NewVendor(VendorFields):
    business_name: Name
    business_type: Kind
    contact_name: Name
    email: Email
    phone: Phone
    address: Address
    city: Town
    province: Province
    postal_code: PostalCode


class VendorChanges(VendorFields):
    business_name: Name = UNSET
    business_type: Kind = UNSET
    contact_name: Name = UNSET
    email: Email = UNSET
    phone: Phone = UNSET
    address: Address = UNSET
    city: Town = UNSET
    province: Province = UNSET
    postal_code: PostalCode = UNSET


class VendorOut(Body):
    """A vendor as everybody sees one."""

    id: UUID
    user_id: UUID
    business_name: str
    business_type: str
    contact_name: str
    email: str
    phone: str
    address: str
    city: str
    province: str
    postal_code: str
    website: str | None
    status: VendorStatus
    created_at: Timestamp
    updated_at: Timestamp


class VendorDetails(VendorOut):
    """A vendor as its owner and administrators see it."""

    tax_id: str | None
    verification_data: dict[str, Any]
    commission_rate: MoneyNumber


class VendorList(PageOf):
    city: str | None = None
    query: Annotated[str, Field(max_length=100)] | None = None


class VendorSearch(VendorList):
    query: Annotated[str, Field(min_length=1, max_length=100)]


class Decision(Body):
    """What an administrator decides of a vendor."""

    reason: Reason | None = None
    notes: Annotated[str, Field(max_length=500)] | None = None
    commission_rate: Rate | None = None


class StatusChange(Decision):
    status: VendorStatus


# --- listings ---------------------------------------------------------------------------------------------------------


class NewListing(Body):
    product_id: UUID
    vendor_price: Price
    marketplace_price: Price
    is_active: bool = True


class ListingChanges(Body):
    vendor_price: Price = UNSET
    marketplace_price: Price = UNSET
    is_active: bool = UNSET


class ListingOut(Body):
    """`vendor_price` is for the vendor alone."""

    id: UUID
    vendor_id: UUID
    product_id: UUID
    product_name: str | None
    sku: str | None
    image_url: str | None
    vendor_price: MoneyNumber | None
    marketplace_price: MoneyNumber
    quantity_available: int
    is_active: bool
    created_at: Timestamp
    updated_at: Timestamp
