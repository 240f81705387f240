"""What clients send about reviews, and what they are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AliasChoices, Field, StringConstraints, model_validator

from freehold import User
from systems.petpro.bodies import Body
from systems.petpro.booking.reviews import Feeling, Order, knows_author
from systems.petpro.booking.tables import Review

Stars = Annotated[int, Field(ge=1, le=5, strict=True)]
Comment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=500)]
UNSET: Any = Field(default=None)
"""Default of a field that a change may leave out, but not set to null."""
TEXT = AliasChoices("review", "comment")
UNSET_TEXT: Any = Field(default=None, validation_alias=TEXT)

# --- requests ---------------------------------------------------------------------------------------------------------


class ReviewText(Body):
    """A review of the booking that the path names."""

    rating: Stars
    comment: Comment = Field(validation_alias=TEXT)
    anonymous: bool = False
    attachments: Annotated[list[Url], Field(max_length=5)] = []


class NewReview(ReviewText):
    booking_id: UUID


class ReviewChanges(Body):
    """At least one of them."""

    rating: Stars = UNSET
    comment: Comment = UNSET_TEXT
    anonymous: bool = UNSET

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change: give rating, review or anonymous")
        return self


class Publication(Body):
    is_published: bool


class OwnReviewList(Body):
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    offset: Annotated[int, Field(ge=0, le=100_000_000)] = 0


class ReviewList(OwnReviewList):
    sort: Order = "recent"
    filter: Feeling = "all"


# --- answers ----------------------------------------------------------------------------------------------------------


class ReviewOut(Body):
    """A review; of an anonymous one, `customer_id` and `customer_name` are for its author and admins."""

    id: UUID
    booking_id: UUID
    customer_id: UUID | None
    customer_name: str | None
    clinic_id: UUID
    service_id: UUID
    rating: int
    review: str | None
    anonymous: bool
    attachments: list[str]
    helpful_count: int
    status: Literal["published", "hidden"]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, review: Review, author: str | None, caller: User | None) -> Self:
        """The review as this caller may see it; `author` is the customer's name, as far as booking knows it."""
        named = not review.anonymous or knows_author(review, caller)
        return cls(
            id=review.id,
            booking_id=review.booking_id,
            customer_id=review.user_id if named else None,
            customer_name=author if named else None,
            clinic_id=review.clinic_id,
            service_id=review.service_id,
            rating=review.rating,
            review=review.comment,
            anonymous=review.anonymous,
            attachments=review.attachments,
            helpful_count=review.helpful_count,
            status="published" if review.is_published else "hidden",
            created_at=review.created_at,
            updated_at=review.updated_at,
        )


class ReviewPage(Body):
    total: int
    offset: int
    limit: int
    reviews: list[ReviewOut]


class Helpful(Body):
    helpful: bool
    helpful_count: int


class Done(Body):
    message: str
