"""Who may call the routes of clinic, and those of booking that are about reviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.systems.petpro.clinic_stage import CLINIC, approved_clinic, new_booking, new_clinic, new_service
from tests.systems.petpro.stage import Stage, stage_mark, system

pytestmark = stage_mark

EVERYBODY = "nobody customer author vendor owner staff former admin"
SIGNED_IN = EVERYBODY.removeprefix("nobody ")
CLINICS = "owner staff admin"
VET = {"name": "Dr. Ayu", "role": "veterinarian"}
PAPER = {"documentType": "other", "documentName": "Paper", "documentUrl": "https://files.example/p"}

ROUTES: dict[str, tuple[str, dict[str, Any] | None]] = {
    # route: who gets in, and with what body
    "GET /clinics": (EVERYBODY, None),
    "POST /clinics": ("vendor owner admin", CLINIC),
    "GET /clinics/{id}": (EVERYBODY, None),
    "GET /clinics/{hidden}": (CLINICS, None),
    "PUT /clinics/{id}": (CLINICS, {"city": "Bogor"}),
    "GET /clinics/{id}/rating": (EVERYBODY, None),
    "GET /reviews/vendor/{id}/summary": (EVERYBODY, None),
    "GET /clinics/{id}/services": (EVERYBODY, None),
    "PUT /clinics/{id}/services/{service_id}": (CLINICS, {"isActive": True}),
    "DELETE /clinics/{id}/services/{service_id}": (CLINICS, None),
    "GET /clinics/{id}/staff": (EVERYBODY, None),
    "POST /clinics/{id}/staff": (CLINICS, VET),
    "PUT /clinics/{id}/staff/{staff_id}": (CLINICS, {"name": "Dr. A."}),
    "DELETE /clinics/{id}/staff/{staff_id}": (CLINICS, None),
    "GET /clinics/{id}/documents": (CLINICS, None),
    "POST /clinics/{id}/documents": (CLINICS, PAPER),
    "GET /clinics/{id}/appointments": (CLINICS, None),
    "PUT /admin/clinics/{id}/status": ("admin", {"status": "approved"}),
    "PUT /admin/clinics/{id}/documents/{doc_id}/verify": ("admin", None),
    "POST /reviews": ("author", {"rating": 5, "review": "Fine"}),
    "POST /bookings/{booking_id}/reviews": ("author", {"rating": 5, "review": "Fine"}),
    "GET /reviews/{review_id}": (EVERYBODY, None),
    "GET /reviews/booking/{booking_id}": (EVERYBODY, None),
    "GET /reviews/my-reviews": ("customer author", None),
    "GET /clinics/{id}/reviews": (EVERYBODY, None),
    "GET /reviews/vendor/{id}": (EVERYBODY, None),
    "PUT /reviews/{review_id}": ("author", {"rating": 4}),
    "POST /reviews/{review_id}/helpful": (SIGNED_IN, None),
    "PUT /admin/reviews/{review_id}/publish": ("admin", {"isPublished": True}),
    "DELETE /reviews/{review_id}": ("author", None),
}


async def cast(stage: Stage) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Everybody who may knock, and the rows that they knock about."""
    owner, admin, staff, former = await stage.vendor(), await stage.admin(), await stage.staff(), await stage.staff()
    customer, author = await stage.customer(), await stage.customer()
    people = {
        "nobody": None, "customer": customer, "author": author, "vendor": await stage.vendor(), "owner": owner,
        "staff": staff, "former": former, "admin": admin,
    }  # fmt: skip
    ids = {"id": await approved_clinic(stage, owner, admin), "hidden": await new_clinic(stage, owner)}
    for clinic_id in ids.values():
        path = f"/clinics/{clinic_id}/staff"
        await stage.made(path, owner, **VET, email="in@paw.id", userId=str(staff.id))
        left = await stage.made(path, owner, **VET, email="out@paw.id", userId=str(former.id))
        await stage.call("DELETE", f"{path}/{left['id']}", owner)
    ids["staff_id"] = (await stage.made(f"/clinics/{ids['id']}/staff", owner, **VET, email="some@paw.id"))["id"]
    ids["doc_id"] = (await stage.made(f"/clinics/{ids['id']}/documents", owner, **PAPER))["id"]
    service_id = await new_service(stage, ids["id"])
    ids["service_id"] = str(service_id)
    ids["booking_id"] = await new_booking(stage, author, ids["id"], service_id)
    reviewed = await new_booking(stage, author, ids["id"], service_id)
    made = await stage.made("/reviews", author, bookingId=reviewed, rating=5, review="Fine")
    ids["review_id"] = made["id"]
    return people, ids


async def test_every_route_lets_in_whom_the_specification_says(stage: Stage) -> None:
    people, ids = await cast(stage)
    wrong = []
    for number, (route, (allowed, body)) in enumerate(ROUTES.items()):
        method, template = route.split(" ")
        # Those who must be refused come first, on the row that is there for the others.
        for name, who in sorted(people.items(), key=lambda each: each[0] in allowed.split()):
            sent = dict(body or {})
            if route.endswith("POST /clinics/{id}/staff"):
                sent["email"] = f"{name}{number}@paw.id"
            if route == "POST /reviews":
                sent["bookingId"] = ids["booking_id"]
            got = (await stage.call(method, template.format_map(ids), who, **sent)).status_code
            refused = 404 if "{hidden}" in route else 401 if name == "nobody" else 403
            own_vote = name == "author" and route.endswith("/helpful")
            already = route == "POST /bookings/{booking_id}/reviews" and name == "author"
            expected = (
                {422} if own_vote else {409} if already else {200, 201, 204} if name in allowed.split() else {refused}
            )
            if got not in expected:
                wrong.append(f"{route}: {name} got {got}, expected {sorted(expected)}")
    assert not wrong, "\n".join(wrong)


async def test_the_matrix_has_every_route(stage: Stage) -> None:
    def shape(route: str) -> str:
        method, path = route.split(" ")
        return f"{method} " + "/".join("{}" if part.startswith("{") else part for part in path.split("/"))

    declared = {
        shape(f"{route.method} {route.path}")
        for service in system.services
        for route in service.routes
        if service.name == "clinic" or (service.name == "booking" and "review" in route.path)
    }
    assert declared == {shape(route) for route in ROUTES}


@pytest.mark.parametrize(
    "path",
    ["clinics/{id}", "staff/{staff_id}", "clinics/{id}/members/{id}", "users/{id}/clinics", "offerings/{service_id}",
     "snapshots/clinics", "snapshots/offerings", "snapshots/staff"],
)  # fmt: skip
async def test_what_is_internal_is_for_siblings_only(stage: Stage, path: str) -> None:
    people, ids = await cast(stage)
    address = f"/internal/{path.format_map(ids)}"
    async with stage.world.service("clinic") as http:
        assert (await http.get(address, headers=people["admin"].headers)).status_code == 401
    assert (await stage.http.get(f"/api/v1{address}", headers=people["admin"].headers)).status_code == 404
