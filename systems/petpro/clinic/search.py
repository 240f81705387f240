"""Finding clinics, by what they are and by where."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select

from freehold import CamelListing, Coordinates, Listing, Tx, User, list_rows, metres_between
from systems.petpro.clinic.bodies import ClinicList, ClinicOut
from systems.petpro.clinic.members import sees_terms, visible_to
from systems.petpro.clinic.rules import Box, box_around
from systems.petpro.clinic.tables import Clinic, Rating


async def find_clinics(query: ClinicList, tx: Tx, caller: User | None) -> CamelListing[ClinicOut]:
    """A page of the clinics that the caller may see, by name; within a radius, the nearest first."""
    found = _matching(query, caller)
    if query.centre is not None and query.radius_km is not None:
        return await _nearest(found, query.centre, query, tx, caller)
    page: Listing[Clinic] = await list_rows(tx, found, query, order_by=Clinic.name, show=lambda clinic: clinic)
    shown = await describe(page.data, query.centre, tx, caller)
    return CamelListing.of(Listing(data=shown, next_cursor=page.next_cursor, meta=page.meta))


def _matching(query: ClinicList, caller: User | None) -> Select[Clinic]:
    found = select(Clinic).where(visible_to(caller))
    if query.city is not None:
        found = found.where(func.lower(Clinic.city) == query.city.lower())
    if query.province is not None:
        found = found.where(func.lower(Clinic.province) == query.province.lower())
    if query.q is not None:
        columns = (Clinic.name, Clinic.description, Clinic.address)
        found = found.where(or_(*(column.icontains(query.q, autoescape=True) for column in columns)))
    if query.min_rating is not None:
        found = found.where(Clinic.id.in_(select(Rating.clinic_id).where(Rating.avg_rating >= query.min_rating)))
    return found


async def _nearest(
    found: Select[Clinic], centre: Coordinates, query: ClinicList, tx: Tx, caller: User | None
) -> CamelListing[ClinicOut]:
    metres = (query.radius_km or 0) * 1000
    candidates = found.where(_in(box_around(centre, metres)))
    placed = await tx.execute(candidates.with_only_columns(Clinic.id, Clinic.longitude, Clinic.latitude))
    away: list[tuple[float, UUID]] = [
        (metres_between(centre, Coordinates(longitude, latitude)), id) for id, longitude, latitude in placed
    ]
    near = sorted(place for place in away if place[0] <= metres)
    start = (query.page - 1) * query.limit if query.page is not None else query.offset or 0
    wanted = [id for _, id in near[start : start + query.limit]]
    known = {clinic.id: clinic for clinic in await tx.scalars(select(Clinic).where(Clinic.id.in_(wanted)))}
    shown = await describe([known[id] for id in wanted], centre, tx, caller)
    meta = {
        "page": start // query.limit + 1,
        "limit": query.limit,
        "total": len(near),
        "total_pages": -(-len(near) // query.limit),
    }
    return CamelListing[ClinicOut].model_validate({"data": shown, "meta": meta})


def _in(box: Box) -> ColumnElement[bool]:
    high = Clinic.latitude.between(box.south, box.north)
    if box.west <= box.east:
        return high & Clinic.longitude.between(box.west, box.east)
    return high & ((Clinic.longitude >= box.west) | (Clinic.longitude <= box.east))


async def describe(clinics: list[Clinic], centre: Coordinates | None, tx: Tx, caller: User | None) -> list[ClinicOut]:
    """The clinics as the caller may see them, with the ratings of all by one statement."""
    wanted = select(Rating).where(Rating.clinic_id.in_([clinic.id for clinic in clinics]))
    ratings: dict[UUID, Any] = {rating.clinic_id: rating for rating in await tx.scalars(wanted)}
    return [
        ClinicOut.of(
            clinic,
            ratings[clinic.id],
            with_terms=sees_terms(clinic, caller),
            metres=_metres(centre, clinic.place),
        )
        for clinic in clinics
    ]


def _metres(centre: Coordinates | None, place: Coordinates | None) -> float | None:
    return None if centre is None or place is None else metres_between(centre, place)
