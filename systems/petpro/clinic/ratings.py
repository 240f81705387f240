"""The rating of a clinic: counted anew from its reviews whenever one of them changes."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from freehold import Tx
from systems.petpro.booking.contract import ReviewDeleted, ReviewSubmitted, ReviewUpdated
from systems.petpro.clinic import facts
from systems.petpro.clinic.declaration import clinic
from systems.petpro.clinic.rules import distribution_of, mean_rating
from systems.petpro.clinic.tables import Rating, ReviewRef


@clinic.on(ReviewSubmitted, ReviewUpdated, ReviewDeleted)
async def rate_clinic(event: ReviewSubmitted | ReviewUpdated | ReviewDeleted, tx: Tx) -> None:
    """Count a review, unless something newer is known of it. The row of a deleted one stays, for what comes late."""
    rating = await locked_rating(event.clinic_id, tx)
    known = await tx.get(ReviewRef, event.review_id)
    if known is None:
        known = ReviewRef(review_id=event.review_id, clinic_id=event.clinic_id)
        tx.add(known)
    elif known.version >= event.version:
        return
    known.rating, known.version, known.updated_at = event.rating, event.version, tx.now()
    known.is_counted = not isinstance(event, ReviewDeleted) and event.is_published
    await count_again(rating, tx)
    tx.publish(facts.rating_updated(rating))


async def locked_rating(clinic_id: UUID, tx: Tx) -> Rating:
    """The clinic's rating, held until the end. Raises LookupError for an unknown clinic."""
    rating = await tx.find(Rating, Rating.clinic_id == clinic_id, lock=True)
    if rating is None:
        raise LookupError(f"clinic_ratings has no clinic {clinic_id}")
    return rating


async def count_again(rating: Rating, tx: Tx) -> bool:
    """Set a locked rating to what the counted reviews come to; whether it was something else."""
    counted = (
        select(ReviewRef.rating, func.count())
        .where(ReviewRef.clinic_id == rating.clinic_id, ReviewRef.is_counted)
        .group_by(ReviewRef.rating)
    )
    distribution = distribution_of((stars, reviews) for stars, reviews in await tx.execute(counted))
    average, reviews = float(mean_rating(distribution)), sum(distribution.values())
    before = rating.avg_rating, rating.review_count, rating.rating_distribution
    if before == (average, reviews, distribution):
        return False
    rating.avg_rating, rating.review_count, rating.rating_distribution = average, reviews, distribution
    rating.last_updated = tx.now()
    return True
