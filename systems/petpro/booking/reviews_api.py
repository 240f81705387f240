"""Reviews: written by customers, read by everybody, counted by clinic."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, func, select

from freehold import Page, Problem, Tx, User, not_found, page_of, public, role, user
from systems.petpro.booking.contract import ReviewRow, SnapshotReviews
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.review_bodies import (
    Done,
    Helpful,
    NewReview,
    OwnReviewList,
    Publication,
    ReviewChanges,
    ReviewList,
    ReviewOut,
    ReviewPage,
    ReviewText,
)
from systems.petpro.booking.reviews import (
    deleted,
    existing_review,
    feeling,
    in_order,
    is_visible_to,
    own_review,
    require_may_review,
    submitted,
    updated,
)
from systems.petpro.booking.tables import Booking, HelpfulVote, Review, UserRef

# --- writing ----------------------------------------------------------------------------------------------------------


@booking.post("/reviews", access=role("customer"), status_code=201, errors=[403, 404, 409])
async def write_review(body: NewReview, tx: Tx, caller: User) -> ReviewOut:
    """Review a completed booking of one's own, once."""
    return await _write(body.booking_id, body, tx, caller)


@booking.post("/bookings/{id}/reviews", access=role("customer"), status_code=201, errors=[403, 404, 409])
async def write_review_of_booking(id: UUID, body: ReviewText, tx: Tx, caller: User) -> ReviewOut:
    """Review this booking; the same as POST /reviews."""
    return await _write(id, body, tx, caller)


async def _write(booking_id: UUID, body: ReviewText, tx: Tx, caller: User) -> ReviewOut:
    of = await tx.get(Booking, booking_id, lock=True)
    if of is None:
        raise not_found("The booking", "BOOKING_NOT_FOUND")
    require_may_review(of, caller)
    review = Review(
        booking_id=of.id,
        user_id=of.user_id,
        clinic_id=of.clinic_id,
        service_id=of.service_id,
        rating=body.rating,
        comment=body.comment,
        attachments=body.attachments,
        anonymous=body.anonymous,
        is_published=True,
        helpful_count=0,
        version=1,
        created_at=tx.now(),
        updated_at=tx.now(),
    )
    await tx.insert(review, taken=Problem(409, "ALREADY_REVIEWED", "The booking has a review; change that one"))
    tx.publish(submitted(review))
    return await _shown(review, tx, caller)


@booking.put("/reviews/{id}", access=user, errors=[403, 404, 409])
async def change_review(id: UUID, body: ReviewChanges, tx: Tx, caller: User) -> ReviewOut:
    """Change one's own review, within 72 hours."""
    review = await own_review(id, tx, caller)
    changes = {
        name: value for name, value in body.model_dump(exclude_unset=True).items() if getattr(review, name) != value
    }
    if changes:
        for column, value in changes.items():
            setattr(review, column, value)
        review.touch(tx.now())
        tx.publish(updated(review))
    return await _shown(review, tx, caller)


@booking.delete("/reviews/{id}", access=user, errors=[403, 404, 409])
async def delete_review(id: UUID, tx: Tx, caller: User) -> Done:
    """Delete one's own review, within 72 hours; the booking can be reviewed again."""
    review = await own_review(id, tx, caller)
    await tx.delete(review)
    tx.publish(deleted(review, tx.now()))
    return Done(message="The review is deleted")


@booking.put("/admin/reviews/{id}/publish", access=role("admin"), errors=[404])
async def publish_review(id: UUID, body: Publication, tx: Tx, caller: User) -> ReviewOut:
    """Show a review to the public, or hide it; a hidden one does not count."""
    review = await existing_review(id, tx, lock=True)
    if review.is_published != body.is_published:
        before = {"is_published": review.is_published}
        review.is_published = body.is_published
        review.touch(tx.now())
        tx.publish(updated(review))
        tx.audit("publish" if review.is_published else "hide", "review", id, before=before, after=body.model_dump())
    return await _shown(review, tx, caller)


@booking.post("/reviews/{id}/helpful", access=user, errors=[404, 422])
async def toggle_helpful(id: UUID, tx: Tx, caller: User) -> Helpful:
    """Find a review helpful, or no longer."""
    review = await existing_review(id, tx, lock=True)
    if review.user_id == caller.id:
        raise Problem(422, "OWN_REVIEW", "Nobody votes for a review of their own")
    if not is_visible_to(review, caller):
        raise not_found("The review", "REVIEW_NOT_FOUND")
    vote = await tx.find(HelpfulVote, HelpfulVote.review_id == id, HelpfulVote.user_id == caller.id)
    if vote is None:
        tx.add(HelpfulVote(review_id=id, user_id=caller.id, created_at=tx.now()))
        review.helpful_count += 1
    else:
        await tx.delete(vote)
        review.helpful_count -= 1
    return Helpful(helpful=vote is None, helpful_count=review.helpful_count)


# --- reading ----------------------------------------------------------------------------------------------------------


@booking.get("/reviews/my-reviews", access=role("customer"))
async def list_own_reviews(query: Annotated[OwnReviewList, Query()], tx: Tx, caller: User) -> ReviewPage:
    """One's own reviews, hidden ones too, newest first."""
    page = ReviewList(limit=query.limit, offset=query.offset)
    return await _page([Review.user_id == caller.id], page, tx, caller)


@booking.get("/reviews/booking/{booking_id}", access=public)
async def list_reviews_of_booking(
    booking_id: UUID, query: Annotated[ReviewList, Query()], tx: Tx, caller: User | None
) -> ReviewPage:
    """The published review of a booking, if it has one."""
    return await _page([Review.booking_id == booking_id, Review.is_published.is_(True)], query, tx, caller)


@booking.get("/reviews/vendor/{id}", access=public)
@booking.get("/clinics/{id}/reviews", access=public)
async def list_reviews_of_clinic(
    id: UUID, query: Annotated[ReviewList, Query()], tx: Tx, caller: User | None
) -> ReviewPage:
    """The published reviews of a clinic; none for an unknown one."""
    return await _page([Review.clinic_id == id, Review.is_published.is_(True)], query, tx, caller)


@booking.get("/reviews/{id}", access=public, errors=[404])
async def show_review(id: UUID, tx: Tx, caller: User | None) -> ReviewOut:
    """A published review; a hidden one to its author and to admins."""
    review = await existing_review(id, tx)
    if not is_visible_to(review, caller):
        raise not_found("The review", "REVIEW_NOT_FOUND")
    return await _shown(review, tx, caller)


async def _page(conditions: list[ColumnElement[bool]], query: ReviewList, tx: Tx, caller: User | None) -> ReviewPage:
    wanted = [*conditions, *feeling(query.filter)]
    found = (
        select(Review, UserRef.full_name)
        .outerjoin(UserRef, UserRef.user_id == Review.user_id)
        .where(*wanted)
        .order_by(*in_order(query.sort))
        .offset(query.offset)
        .limit(query.limit)
    )
    total = await tx.scalar(select(func.count()).select_from(Review).where(*wanted))
    reviews = [ReviewOut.of(review, author, caller) for review, author in await tx.execute(found)]
    return ReviewPage(total=total, offset=query.offset, limit=query.limit, reviews=reviews)


async def _shown(review: Review, tx: Tx, caller: User | None) -> ReviewOut:
    author = await tx.scalar(select(UserRef.full_name).where(UserRef.user_id == review.user_id))
    return ReviewOut.of(review, author, caller)


@booking.answers(SnapshotReviews)
async def snapshot_reviews(query: SnapshotReviews, tx: Tx) -> Page[ReviewRow]:
    reviews = await tx.scalars(page_of(select(Review), query, by=Review.id))
    rows = [
        ReviewRow(
            review_id=review.id,
            booking_id=review.booking_id,
            clinic_id=review.clinic_id,
            rating=review.rating,
            is_published=review.is_published,
            version=review.version,
            updated_at=review.updated_at,
        )
        for review in reviews
    ]
    return Page[ReviewRow].of(rows, query, "review_id")
