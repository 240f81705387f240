"""Reviews of completed bookings: who may write and change one, who sees it, and what others are told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement

from freehold import Problem, Tx, User, not_found
from systems.petpro.booking.contract import ReviewDeleted, ReviewSubmitted, ReviewUpdated
from systems.petpro.booking.tables import Booking, Review

Feeling = Literal["all", "positive", "neutral", "negative"]
Order = Literal["recent", "helpful", "rating_high", "rating_low"]

EDIT_WINDOW = timedelta(hours=72)
RATINGS: dict[Feeling, tuple[int, ...]] = {"positive": (4, 5), "neutral": (3,), "negative": (1, 2)}


# --- rules ------------------------------------------------------------------------------------------------------------


def require_may_review(booking: Booking, caller: User) -> None:
    """403 for another's booking, 409 for one that is not completed."""
    if booking.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "Only its customer reviews a booking")
    if booking.status != "completed":
        raise Problem(409, "BOOKING_NOT_COMPLETED", f"The booking is {booking.status}; review it once it is completed")


def require_editable(review: Review, now: datetime) -> None:
    """409 when the time for changes has passed."""
    if now - review.created_at > EDIT_WINDOW:
        raise Problem(409, "REVIEW_WINDOW_CLOSED", "A review is changed or deleted within 72 hours")


def is_visible_to(review: Review, caller: User | None) -> bool:
    """The public sees what is published; its author and admins see it anyway."""
    return review.is_published or knows_author(review, caller)


def knows_author(review: Review, caller: User | None) -> bool:
    """Whether the caller may know who wrote an anonymous review."""
    return caller is not None and (caller.id == review.user_id or caller.has_role("admin"))


# --- rows -------------------------------------------------------------------------------------------------------------


async def existing_review(id: UUID, tx: Tx, *, lock: bool = False) -> Review:
    """The review. Raises 404."""
    review = await tx.get(Review, id, lock=lock)
    if review is None:
        raise not_found("The review", "REVIEW_NOT_FOUND")
    return review


async def own_review(id: UUID, tx: Tx, caller: User) -> Review:
    """The caller's own review, locked, while it may be changed. Raises 404, 403 or 409."""
    review = await existing_review(id, tx, lock=True)
    if review.user_id != caller.id:
        raise Problem(403, "FORBIDDEN", "Only its author changes a review")
    require_editable(review, tx.now())
    return review


def feeling(wanted: Feeling) -> list[ColumnElement[bool]]:
    """The condition for reviews that are so disposed."""
    return [Review.rating.in_(RATINGS[wanted])] if wanted != "all" else []


def in_order(wanted: Order) -> tuple[ColumnElement[object], ...]:
    """What to sort by; equals come newest first."""
    first: dict[Order, ColumnElement[int]] = {
        "helpful": Review.helpful_count.desc(),
        "rating_high": Review.rating.desc(),
        "rating_low": Review.rating.asc(),
    }
    chosen = (first[wanted],) if wanted in first else ()
    return (*chosen, Review.created_at.desc(), Review.id.desc())


# --- what others are told ---------------------------------------------------------------------------------------------


def submitted(review: Review) -> ReviewSubmitted:
    return ReviewSubmitted.model_validate(
        {**_facts(review), "is_published": review.is_published, "submitted_at": review.created_at}
    )


def updated(review: Review) -> ReviewUpdated:
    return ReviewUpdated.model_validate(
        {**_facts(review), "is_published": review.is_published, "updated_at": review.updated_at}
    )


def deleted(review: Review, now: datetime) -> ReviewDeleted:
    return ReviewDeleted.model_validate({**_facts(review), "version": review.version + 1, "deleted_at": now})


def _facts(review: Review) -> dict[str, object]:
    named = ("booking_id", "user_id", "clinic_id", "service_id", "rating", "version")
    return {"review_id": review.id} | {name: getattr(review, name) for name in named}
