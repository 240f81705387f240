"""Reviews of completed bookings."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from systems.petpro.booking.contract import ReviewDeleted, ReviewSubmitted, ReviewUpdated, SnapshotReviews
from systems.petpro.booking.tables import HelpfulVote, Review
from tests.systems.petpro.clinic_stage import approved_clinic, new_booking, new_service
from tests.systems.petpro.stage import Person, Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def seat(stage: Stage, customer: Person) -> tuple[str, str]:
    """A clinic, and a completed booking there."""
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id)
    return clinic_id, await new_booking(stage, customer, clinic_id, service_id)


async def reviewed(stage: Stage, who: Person, booking_id: str, rating: int = 5, **fields: Any) -> dict[str, Any]:
    return await stage.made("/reviews", who, bookingId=booking_id, rating=rating, review="Fine", **fields)


async def test_a_review_is_shown_as_it_was_written(stage: Stage) -> None:
    customer = await stage.customer("Ann")
    clinic_id, booking_id = await seat(stage, customer)
    made = await reviewed(stage, customer, booking_id, 4, attachments=["https://files.example/1.jpg"])
    assert (made["bookingId"], made["clinicId"], made["customerId"]) == (booking_id, clinic_id, str(customer.id))
    assert (made["rating"], made["review"], made["status"], made["helpfulCount"]) == (4, "Fine", "published", 0)
    assert await stage.seen(f"/reviews/{made['id']}") == made
    for path in (f"/reviews/booking/{booking_id}", f"/clinics/{clinic_id}/reviews", f"/reviews/vendor/{clinic_id}"):
        assert await stage.seen(path) == {"total": 1, "offset": 0, "limit": 10, "reviews": [made]}
    (told,) = await stage.published(ReviewSubmitted)
    assert (str(told.review_id), told.rating, told.is_published, told.version) == (made["id"], 4, True, 1)


async def test_the_alias_takes_the_booking_from_its_path_and_comment_for_review(stage: Stage) -> None:
    customer = await stage.customer()
    _, booking_id = await seat(stage, customer)
    made = await stage.made(f"/bookings/{booking_id}/reviews", customer, rating=3, comment="So so")
    assert (made["bookingId"], made["review"]) == (booking_id, "So so")


async def test_what_is_wrong_is_named_and_nothing_is_written(stage: Stage) -> None:
    customer = await stage.customer()
    _, booking_id = await seat(stage, customer)
    good = {"bookingId": booking_id, "rating": 5, "review": "Fine"}
    for wrong, field in (
        ({"rating": 0}, "rating"), ({"rating": 6}, "rating"), ({"rating": 4.5}, "rating"), ({"rating": "5"}, "rating"),
        ({"review": " "}, "review"), ({"review": "x" * 2001}, "review"), ({"bookingId": "x"}, "bookingId"),
        ({"attachments": ["https://files.example/1"] * 6}, "attachments"),
        ({"attachments": ["javascript:alert(1)"]}, "attachments.0"),
    ):  # fmt: skip
        invalid(await stage.call("POST", "/reviews", customer, **(good | wrong)), field)
    unknown = await stage.call("POST", "/reviews", customer, **(good | {"bookingId": str(uuid4())}))
    problem(unknown, 404, "BOOKING_NOT_FOUND")
    assert await stage.rows("booking", Review) == []


async def test_of_many_reviews_of_one_booking_at_once_one_is_kept(stage: Stage) -> None:
    customer = await stage.customer()
    _, booking_id = await seat(stage, customer)
    body = {"bookingId": booking_id, "rating": 5, "review": "Fine"}
    post = stage.http.post
    answers = await asyncio.gather(*(post("/api/v1/reviews", json=body, headers=customer.headers) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_who_wrote_an_anonymous_review_is_hidden(stage: Stage) -> None:
    customer, admin = await stage.customer("Ann"), await stage.admin()
    clinic_id, booking_id = await seat(stage, customer)
    made = await reviewed(stage, customer, booking_id, anonymous=True)
    assert (made["customerName"], made["customerId"]) == ("Ann Tester", str(customer.id))
    for path in (f"/reviews/{made['id']}", f"/clinics/{clinic_id}/reviews", f"/reviews/booking/{booking_id}"):
        for who in (None, await stage.customer(), await stage.vendor()):
            shown = await stage.seen(path, who)
            assert str(customer.id) not in str(shown)
            assert "Ann" not in str(shown)
        assert "Ann Tester" in str(await stage.seen(path, admin))


async def test_changes_are_told_and_repeating_them_is_not(stage: Stage) -> None:
    customer = await stage.customer()
    clinic_id, booking_id = await seat(stage, customer)
    path = f"/reviews/{(await reviewed(stage, customer, booking_id, 2))['id']}"
    stage.clock.advance(hours=72)
    for _ in range(2):
        changed = (await stage.call("PUT", path, customer, rating=4, comment="Better", anonymous=True)).json()
    assert (changed["rating"], changed["review"], changed["anonymous"]) == (4, "Better", True)
    assert [(told.rating, told.version) for told in await stage.published(ReviewUpdated)] == [(4, 2)]
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["averageRating"] == 4.0
    problem(await stage.call("PUT", path, customer), 400, "VALIDATION_ERROR")
    invalid(await stage.http.put(f"/api/v1{path}", json={"rating": None}, headers=customer.headers), "rating")


async def test_a_deleted_review_makes_room_for_another(stage: Stage) -> None:
    customer, voter = await stage.customer(), await stage.customer()
    clinic_id, booking_id = await seat(stage, customer)
    first = await reviewed(stage, customer, booking_id, 1)
    await stage.call("POST", f"/reviews/{first['id']}/helpful", voter)
    assert (await stage.call("DELETE", f"/reviews/{first['id']}", customer)).json() == {
        "message": "The review is deleted"
    }
    problem(await stage.call("GET", f"/reviews/{first['id']}"), 404, "REVIEW_NOT_FOUND")
    problem(await stage.call("DELETE", f"/reviews/{first['id']}", customer), 404, "REVIEW_NOT_FOUND")
    assert await stage.rows("booking", HelpfulVote) == []
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["totalReviews"] == 0
    (told,) = await stage.published(ReviewDeleted)
    assert (told.rating, told.version) == (1, 2)
    await reviewed(stage, customer, booking_id, 5)
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["averageRating"] == 5.0


async def test_a_hidden_review_is_for_its_author_and_admins(stage: Stage) -> None:
    customer, admin = await stage.customer(), await stage.admin()
    clinic_id, booking_id = await seat(stage, customer)
    id = (await reviewed(stage, customer, booking_id, 1))["id"]
    for _ in range(2):
        hidden = await stage.call("PUT", f"/admin/reviews/{id}/publish", admin, isPublished=False)
        assert hidden.json()["status"] == "hidden"
    assert [(told.is_published, told.version) for told in await stage.published(ReviewUpdated)] == [(False, 2)]
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["totalReviews"] == 0
    for who in (None, await stage.customer()):
        problem(await stage.call("GET", f"/reviews/{id}", who), 404, "REVIEW_NOT_FOUND")
    problem(await stage.call("POST", f"/reviews/{id}/helpful", await stage.customer()), 404, "REVIEW_NOT_FOUND")
    assert (await stage.seen(f"/clinics/{clinic_id}/reviews", customer))["total"] == 0
    assert (await stage.seen("/reviews/my-reviews", customer))["reviews"][0]["status"] == "hidden"
    for who in (customer, admin):
        assert (await stage.seen(f"/reviews/{id}", who))["status"] == "hidden"
    await stage.call("PUT", f"/admin/reviews/{id}/publish", admin, isPublished=True)
    assert (await stage.seen(f"/clinics/{clinic_id}/rating"))["totalReviews"] == 1


async def test_helpful_is_a_toggle_and_not_for_ones_own(stage: Stage) -> None:
    customer, one, other = await stage.customer(), await stage.customer(), await stage.vendor()
    _, booking_id = await seat(stage, customer)
    id = (await reviewed(stage, customer, booking_id))["id"]
    path = f"/reviews/{id}/helpful"
    problem(await stage.call("POST", path, customer), 422, "OWN_REVIEW")
    problem(await stage.call("POST", f"/reviews/{uuid4()}/helpful", one), 404, "REVIEW_NOT_FOUND")
    answers = [(await stage.call("POST", path, who)).json() for who in (one, other, one, one)]
    assert answers == [
        {"helpful": True, "helpfulCount": 1}, {"helpful": True, "helpfulCount": 2},
        {"helpful": False, "helpfulCount": 1}, {"helpful": True, "helpfulCount": 2},
    ]  # fmt: skip
    votes = [stage.http.post(f"/api/v1{path}", headers=one.headers) for _ in range(4)]
    await asyncio.gather(*votes)
    assert (await stage.seen(f"/reviews/{id}"))["helpfulCount"] == len(await stage.rows("booking", HelpfulVote)) == 2


async def test_a_clinics_reviews_are_sorted_filtered_and_paged(stage: Stage) -> None:
    customer, voter = await stage.customer(), await stage.customer()
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id, ids = await new_service(stage, clinic_id), {}
    for rating in (3, 5, 1, 4):
        booking_id = await new_booking(stage, customer, clinic_id, service_id)
        ids[rating] = (await reviewed(stage, customer, booking_id, rating))["id"]
        stage.clock.advance(minutes=1)
    await stage.call("POST", f"/reviews/{ids[3]}/helpful", voter)

    async def ratings(query: str) -> list[int]:
        found = await stage.seen(f"/clinics/{clinic_id}/reviews?{query}")
        return [review["rating"] for review in found["reviews"]]

    assert await ratings("") == await ratings("sort=recent") == [4, 1, 5, 3]
    assert await ratings("sort=helpful") == [3, 4, 1, 5]
    assert await ratings("sort=rating_high") == [5, 4, 3, 1]
    assert await ratings("sort=rating_low&limit=2&offset=1") == [3, 4]
    assert await ratings("filter=positive") == [4, 5]
    assert (await ratings("filter=neutral"), await ratings("filter=negative")) == ([3], [1])
    assert (await stage.seen(f"/clinics/{clinic_id}/reviews?filter=positive&limit=1"))["total"] == 2
    assert (await stage.seen("/reviews/my-reviews?limit=3", customer))["total"] == 4
    for wrong in ("sort=best", "filter=angry", "limit=101", "limit=0", "offset=-1"):
        problem(await stage.call("GET", f"/clinics/{clinic_id}/reviews?{wrong}"), 400, "VALIDATION_ERROR")


async def test_the_snapshot_has_every_review(stage: Stage) -> None:
    customer = await stage.customer()
    clinic_id = await approved_clinic(stage, await stage.vendor(), await stage.admin())
    service_id = await new_service(stage, clinic_id)
    made = [
        (await reviewed(stage, customer, await new_booking(stage, customer, clinic_id, service_id)))["id"]
        for _ in range(3)
    ]
    first = await stage.ask("booking", SnapshotReviews(limit=2))
    rest = await stage.ask("booking", SnapshotReviews(cursor=first.next_cursor, limit=2))
    assert sorted(made) == [str(row.review_id) for row in [*first.data, *rest.data]]
