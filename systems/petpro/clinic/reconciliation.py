"""The ratings against booking's reviews: what drifted is repaired and counted."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import func, select

from freehold import Tx, Work
from systems.petpro.booking.contract import ReviewRow, SnapshotReviews
from systems.petpro.clinic import facts
from systems.petpro.clinic.ratings import count_again, locked_rating
from systems.petpro.clinic.rules import distribution_of
from systems.petpro.clinic.tables import Rating, ReviewRef

log = logging.getLogger(__name__)
GRACE = timedelta(minutes=1)
"""What changed so recently is not judged: its event may be on its way."""
PAGE = 500


async def reconcile_with_reviews(work: Work) -> int:
    """Compare with booking's snapshot, repair, and count; how many differences there were."""
    settled, told, found = work.now() - GRACE, set[UUID](), 0
    async for reviews in _snapshot(work):
        told.update(review.review_id for review in reviews)
        due = [review for review in reviews if review.updated_at < settled]
        found += await _repair(await work.run(partial(_differing, due), readonly=True), work)
    found += await _drop_surplus(told, settled, work)
    return found + await _recount(await work.run(_miscounted, readonly=True), work)


async def _snapshot(work: Work) -> AsyncIterator[list[ReviewRow]]:
    cursor = None
    while True:
        page = await work.ask(SnapshotReviews(cursor=cursor))
        yield page.data
        if (cursor := page.next_cursor) is None:
            return


# --- reviews that booking has -----------------------------------------------------------------------------------------


def _drift(known: ReviewRef | None, review: ReviewRow) -> str | None:
    """How the known review differs from booking's; what is newer came by an event after it was asked for."""
    if known is None:
        return "missing"
    if known.version != review.version:
        return "behind" if known.version < review.version else None
    told = review.clinic_id, review.rating, review.is_published
    return None if (known.clinic_id, known.rating, known.is_counted) == told else "different"


async def _differing(reviews: Sequence[ReviewRow], tx: Tx) -> list[ReviewRow]:
    wanted = select(ReviewRef).where(ReviewRef.review_id.in_([review.review_id for review in reviews]))
    known = {ref.review_id: ref for ref in await tx.scalars(wanted)}
    return [review for review in reviews if _drift(known.get(review.review_id), review) is not None]


async def _repair(reviews: Sequence[ReviewRow], work: Work) -> int:
    found = 0
    for clinic_id in sorted({review.clinic_id for review in reviews}):
        mine = [review for review in reviews if review.clinic_id == clinic_id]
        found += _count(await work.run(partial(_take_over, clinic_id, mine)), work)
    return found


async def _take_over(clinic_id: UUID, reviews: Sequence[ReviewRow], tx: Tx) -> list[tuple[str, UUID]]:
    rating, found = await locked_rating(clinic_id, tx), []
    for review in reviews:
        known = await tx.get(ReviewRef, review.review_id)
        check = _drift(known, review)
        if check is None:
            continue
        found.append((check, review.review_id))
        if known is None:
            known = ReviewRef(review_id=review.review_id)
            tx.add(known)
        known.clinic_id, known.rating, known.is_counted = review.clinic_id, review.rating, review.is_published
        known.version, known.updated_at = review.version, tx.now()
    await _publish_changed(rating, tx)
    return found


# --- reviews that booking does not have -------------------------------------------------------------------------------


async def _drop_surplus(told: set[UUID], settled: datetime, work: Work) -> int:
    found, after = 0, UUID(int=0)
    while True:
        counted = await work.run(partial(_counted, after, settled), readonly=True)
        for review_id, clinic_id in counted:
            if review_id not in told:
                found += _count(await work.run(partial(_drop, review_id, clinic_id)), work)
        if len(counted) < PAGE:
            return found
        after = counted[-1][0]


async def _counted(after: UUID, settled: datetime, tx: Tx) -> list[tuple[UUID, UUID]]:
    refs = (
        select(ReviewRef.review_id, ReviewRef.clinic_id)
        .where(ReviewRef.is_counted, ReviewRef.updated_at < settled, ReviewRef.review_id > after)
        .order_by(ReviewRef.review_id)
        .limit(PAGE)
    )
    return [(row.review_id, row.clinic_id) for row in await tx.execute(refs)]


async def _drop(review_id: UUID, clinic_id: UUID, tx: Tx) -> list[tuple[str, UUID]]:
    rating = await locked_rating(clinic_id, tx)
    surplus = await tx.get(ReviewRef, review_id)
    if surplus is None or not surplus.is_counted:
        return []
    surplus.is_counted = False
    await _publish_changed(rating, tx)
    return [("surplus", review_id)]


# --- ratings that are not the sum of their reviews --------------------------------------------------------------------


async def _miscounted(tx: Tx) -> list[UUID]:
    counted = (
        select(ReviewRef.clinic_id, ReviewRef.rating, func.count())
        .where(ReviewRef.is_counted)
        .group_by(ReviewRef.clinic_id, ReviewRef.rating)
    )
    stars: dict[UUID, list[tuple[int, int]]] = {}
    for clinic_id, rating, reviews in await tx.execute(counted):
        stars.setdefault(clinic_id, []).append((rating, reviews))
    ratings = await tx.execute(select(Rating.clinic_id, Rating.rating_distribution).order_by(Rating.clinic_id))
    return [clinic_id for clinic_id, kept in ratings if kept != distribution_of(stars.get(clinic_id, ()))]


async def _recount(clinic_ids: Iterable[UUID], work: Work) -> int:
    found = 0
    for clinic_id in clinic_ids:
        found += _count(await work.run(partial(_count_clinic, clinic_id)), work)
    return found


async def _count_clinic(clinic_id: UUID, tx: Tx) -> list[tuple[str, UUID]]:
    changed = await _publish_changed(await locked_rating(clinic_id, tx), tx)
    return [("miscounted", clinic_id)] if changed else []


async def _publish_changed(rating: Rating, tx: Tx) -> bool:
    changed = await count_again(rating, tx)
    if changed:
        tx.publish(facts.rating_updated(rating))
    return changed


def _count(found: Sequence[tuple[str, UUID]], work: Work) -> int:
    for check, id in found:
        work.drifted(f"clinic_ratings.{check}")
        log.warning("clinic: ratings: %s is %s", id, check)
    return len(found)
