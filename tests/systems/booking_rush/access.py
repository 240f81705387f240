"""Who may call what, as the specification says: everybody who may knock, the rows that they knock for, and what they send."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from freehold.inspect.describe import describe
from systems.booking_rush.auth.tables import Tenant
from tests.systems.booking_rush.catalogue import ABROAD, HOME, Headers, Person
from tests.systems.booking_rush.stage import Stage, system

ROUTES = Path(__file__).parents[2] / "contracts" / "booking_rush.routes.tsv"

# --- what the specification says --------------------------------------------------------------------------------------

ADMINS = ("admin", "super_admin")
BUYER, HOST = "the buyer", "the host"


@dataclass(frozen=True)
class Owned:
    """A route on a row: whose row it is, which roles of its tenant pass beside them, and how it refuses the others."""

    owner: str
    also: Collection[str] = ()
    refusal: int = 403


HOSTED = Owned(HOST, ADMINS)
OWNED = {
    "GET /users/{}": Owned(BUYER, ADMINS),
    "PUT /events/{}": HOSTED,
    "DELETE /events/{}": HOSTED,
    "POST /events/{}/publish": HOSTED,
    "POST /events/{}/cancel": HOSTED,
    "POST /events/{}/shows": HOSTED,
    "PUT /shows/{}": HOSTED,
    "DELETE /shows/{}": HOSTED,
    "POST /shows/{}/zones": HOSTED,
    "PUT /zones/{}": HOSTED,
    "DELETE /zones/{}": HOSTED,
    "PUT /admin/queue/{}": HOSTED,
    "GET /analytics/events/{}": HOSTED,
    "POST /bookings/{}/confirm": Owned(BUYER),
    "POST /bookings/{}/cancel": Owned(BUYER),
    "DELETE /bookings/{}": Owned(BUYER),
    "GET /bookings/{}": Owned(BUYER, ADMINS),
    "GET /saga/bookings/{}": Owned(BUYER, ADMINS),
    "POST /payments": Owned(BUYER),
    "POST /payments/intent": Owned(BUYER),
    "POST /payments/intent/confirm": Owned(BUYER, refusal=404),
    "POST /payments/{}/process": Owned(BUYER),
    "POST /payments/{}/cancel": Owned(BUYER),
    "POST /payments/{}/refund": Owned(BUYER, (*ADMINS, HOST)),
    "GET /payments/{}": Owned(BUYER, ADMINS),
    "GET /payments/booking/{}": Owned(BUYER, ADMINS),
    "GET /payments/user/{}": Owned(BUYER, ADMINS),
}
IN = 200
"""Whatever a handler answers that was reached."""
ABROAD_GETS = {
    "POST /bookings/reserve": {403},  # TENANT_MISMATCH
    "POST /saga/bookings": {403},
    "POST /queue/join": {403, 404},
    "GET /queue/position/{}": {IN},  # one's own place, which nobody from another tenant has
    "DELETE /queue/leave": {IN},
    "GET /payments/user/{}": {IN, 403},  # an admin gets a list, which may hold nothing of another tenant
}
"""Where who is from another tenant gets something else than 404 for a row."""
ACTS_ANYWHERE = {"POST /bookings/reserve", "POST /saga/bookings", "POST /queue/join"}
"""What a super_admin may be refused for being of another tenant than they look into, but need not."""
OWN_ACCOUNT = {"GET /auth/me", "PUT /auth/me", "GET /payments/methods", "POST /payments/portal"}
"""Where a super_admin is looked for, in the tenant that they look into."""
OF_THE_HANDLER = {
    "POST /auth/login": {"INVALID_CREDENTIALS"},
    "POST /auth/refresh": {"INVALID_TOKEN"},
    "GET /queue/position/{}": {"NOT_IN_QUEUE"},
    "DELETE /queue/leave": {"NOT_IN_QUEUE", "INVALID_TOKEN"},
}
"""401s, 403s and 404s that say nothing about access."""


# --- who knocks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """Somebody at the gateway: `role` is None for those without an access token; in `tenant` they act."""

    name: str
    role: str | None = None
    tenant: UUID = HOME
    person: Person | None = None
    more: Headers = field(default_factory=dict)

    @property
    def headers(self) -> Headers:
        """A fresh token, and what else they send."""
        return {**(self.person.headers if self.person else {}), **self.more}


async def everybody(stage: Stage) -> dict[str, Caller]:
    """One of each kind. Who is nobody, and who is from abroad, claims more in headers than they are."""
    claims = {"X-User-ID": str(uuid4()), "X-User-Role": "super_admin", "X-Tenant-ID": str(HOME)}
    callers = [Caller("nobody"), Caller("an impostor", more=claims)]
    for name, role, home, tenant in (
        ("a customer", "customer", HOME, HOME),
        (BUYER, "customer", HOME, HOME),
        ("a customer from abroad", "customer", ABROAD, ABROAD),
        ("an organizer", "organizer", HOME, HOME),
        (HOST, "organizer", HOME, HOME),
        ("an organizer from abroad", "organizer", ABROAD, ABROAD),
        ("an admin", "admin", HOME, HOME),
        ("an admin from abroad", "admin", ABROAD, ABROAD),
        ("a super_admin", "super_admin", HOME, HOME),
        ("a super_admin from abroad", "super_admin", ABROAD, HOME),
        ("a super_admin who looks abroad", "super_admin", HOME, ABROAD),
    ):
        person = await stage.person(role, tenant=home)  # type: ignore[arg-type]
        # Only a super_admin's header counts; all the others ask for what the rows' tenant has.
        looks = tenant if role == "super_admin" else HOME
        callers.append(Caller(name, role, tenant, person, {"X-Tenant-ID": str(looks)}))
    return {caller.name: caller for caller in callers}


# --- the rows that they knock for -------------------------------------------------------------------------------------


class Rows:
    """The rows of HOME that a route is tried on: each made when first asked for, for the buyer and the host.

    Args:
        doomed: the route deletes what it is tried on, so that user and tenant are none that anybody needs.
    """

    def __init__(self, stage: Stage, callers: Mapping[str, Caller], *, doomed: bool) -> None:
        self._stage = stage
        self._buyer, self._host = (person_of(callers[name]) for name in (BUYER, HOST))
        self._doomed = doomed
        self._made: dict[str, Mapping[str, Any]] = {}

    async def of(self, kind: str) -> Mapping[str, Any]:
        """The row of this kind, as a client sees it. Raises LookupError for a kind that nobody makes here."""
        if kind not in self._made:
            make = getattr(self, f"_make_{kind}", None)
            if make is None:
                raise LookupError(f"no row of the kind {kind!r}: add Rows._make_{kind}")
            self._made[kind] = await make()
        return self._made[kind]

    async def ids(self, *kinds: str) -> dict[str, str]:
        """As fields of a body: `event_id` and so on."""
        return {f"{kind}_id": (await self.of(kind))["id"] for kind in kinds}

    async def _make_event(self) -> Mapping[str, Any]:
        return await self._stage.event(self._host, name=f"Rush {uuid4()}")

    async def _make_show(self) -> Mapping[str, Any]:
        return dict((await self.of("event"))["show"])

    async def _make_zone(self) -> Mapping[str, Any]:
        return dict((await self.of("event"))["zones"][0])

    async def _make_category(self) -> Mapping[str, Any]:
        return await self._stage.made("/categories", self._host, name=f"Rock {uuid4()}")

    async def _make_booking(self) -> Mapping[str, Any]:
        return {"id": await self._stage.held(self._buyer, await self.of("event"))}

    async def _make_payment(self) -> Mapping[str, Any]:
        booking_id = (await self.of("booking"))["id"]
        await self._stage.world.settle()
        return {"id": str((await self._stage.payment(booking_id)).id)}

    async def _make_intent(self) -> Mapping[str, Any]:
        answer = await self._stage.act("/payments/intent", self._buyer, **await _payment(self))
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "id": answer.json()["payment_id"]}

    async def _make_saga(self) -> Mapping[str, Any]:
        answer = await self._stage.act("/saga/bookings", self._buyer, **await _book_and_pay(self))
        assert answer.status_code == 202, answer.text
        return {"id": answer.json()["saga_id"]}

    async def _make_user(self) -> Mapping[str, Any]:
        return {"id": str((await self._stage.person() if self._doomed else self._buyer).id)}

    async def _make_tenant(self) -> Mapping[str, Any]:
        if not self._doomed:
            return {"id": str(HOME), "slug": "default"}
        id, slug = uuid4(), f"t-{uuid4()}"
        async with self._stage.world.work("auth").transaction() as tx:
            tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        return {"id": str(id), "slug": slug}


def person_of(caller: Caller) -> Person:
    """Of a caller with an account."""
    assert caller.person is not None
    return caller.person


KINDS = {"categories": "category"} | {
    f"{kind}s": kind for kind in ("event", "show", "zone", "booking", "payment", "saga", "user", "tenant")
}


async def address(path: str, rows: Rows) -> str:
    """The path with ids of rows: `{event_id}` names its kind, `{id}` and `{slug}` follow it: `/shows/{id}`."""
    filled: list[str] = []
    for segment in path.split("/"):
        name = segment.strip("{}").partition(":")[0]
        if segment == name:
            filled.append(segment)
            continue
        kind = name.removesuffix("_id")
        if name in ("id", "slug"):
            before = [KINDS[each] for each in filled if each in KINDS]
            kind = before[-1] if before else "(unknown)"
        filled.append((await rows.of(kind))["slug" if name == "slug" else "id"])
    return "/".join(filled)


# --- what they send ---------------------------------------------------------------------------------------------------

Body = dict[str, Any]


async def _seats(rows: Rows) -> Body:
    return {**await rows.ids("event", "show", "zone"), "quantity": 1}


async def _book_and_pay(rows: Rows) -> Body:
    return {**await _seats(rows), "total_price": 3000, "card_token": "tok_visa"}


async def _payment(rows: Rows) -> Body:
    return {**await rows.ids("booking"), "amount": 3000, "currency": "THB", "method": "credit_card"}


async def _intent(rows: Rows) -> Body:
    intent = await rows.of("intent")
    return {name: intent[name] for name in ("payment_id", "payment_intent_id")}


async def _event(rows: Rows) -> Body:
    return await rows.ids("event")


async def _queue_place(rows: Rows) -> Body:
    return {**await rows.ids("event"), "token": "0" * 32}


FIXED: dict[str, Body] = {
    "POST /auth/login": {"email": "nobody@example.com", "password": "Test123!"},
    "POST /auth/logout": {"refresh_token": "unknown"},
    "POST /auth/refresh": {"refresh_token": "unknown"},
    "PUT /auth/me": {"name": "Some One"},
    "PUT /users/{}": {"name": "Some One"},
    "PUT /tenants/{}": {"name": "The same"},
    "PUT /categories/{}": {"name": "Jazz"},
    "POST /events": {"name": "Another rush"},
    "PUT /events/{}": {"name": "Rush"},
    "POST /events/{}/shows": {"show_date": "2030-03-01", "start_time": "19:30:00+07:00"},
    "PUT /shows/{}": {"name": "Matinee"},
    "POST /shows/{}/zones": {"name": "Gold", "price": 10, "total_seats": 1},
    "PUT /zones/{}": {"name": "Silver"},
    "PUT /admin/queue/{}": {"max_queue_size": 1000},
    "POST /payments/{}/process": {"card_token": "tok_visa"},
    "POST /payments/portal": {"return_url": "https://example.com/back"},
}
MADE: dict[str, Callable[[Rows], Awaitable[Body]]] = {
    "POST /bookings/reserve": _seats,
    "POST /saga/bookings": _book_and_pay,
    "POST /payments": _payment,
    "POST /payments/intent": _payment,
    "POST /payments/intent/confirm": _intent,
    "POST /queue/join": _event,
    "DELETE /queue/leave": _queue_place,
}
QUERIES: dict[str, Callable[[Rows], Awaitable[Body]]] = {"GET /bookings/summary": _event}


async def body_of(route: str, rows: Rows) -> Body:
    """What the route takes. For an unknown one nothing, which will do where access is decided before the body."""
    fresh = uuid4()
    if route == "POST /auth/register":
        return {"email": f"{fresh}@example.com", "password": "Test123!", "name": "Some One"}
    if route == "POST /tenants":
        return {"name": "Another", "slug": f"t-{fresh}"}
    if route == "POST /categories":
        return {"name": f"Category {fresh}"}
    return await MADE[route](rows) if route in MADE else FIXED.get(route, {})


# --- the routes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """A declared route, and the access that the specification gives it."""

    service: str
    method: str
    path: str
    access: str

    @property
    def name(self) -> str:
        """As the tables above name it: `GET /events/{}`."""
        return f"{self.method} {_plain(self.path).removeprefix('/api/v1')}"

    @property
    def guarded(self) -> bool:
        """Whether there is anybody whom it refuses."""
        return self.access not in ("public", "signature")

    @property
    def on_row(self) -> bool:
        """Whether the answer depends on whose row it is."""
        return "{" in self.path or self.name in MADE


def declared_routes() -> list[Route]:
    """What the system declares, with the access that the contract says; those first that change nothing."""
    lines = (line.split("\t") for line in ROUTES.read_text().splitlines() if line.strip())
    told = {(service, method, _plain(path)): access for service, method, path, access in lines}
    routes, unknown = [], []
    for service, described in describe(system)["services"].items():
        for route in described["routes"]:
            own = "internal" if route["path"].startswith("/internal/") else None
            access = told.get((service, route["method"], _plain(route["path"])), own)
            if access is None:
                unknown.append(f"{service} {route['method']} {route['path']}")
            else:
                routes.append(Route(service, route["method"], route["path"], access))
    assert not unknown, f"{ROUTES.name} does not say who may call {unknown}: add a line for each"
    return sorted(routes, key=lambda route: (route.method != "GET", route.path))


def _plain(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def expected(route: Route, caller: Caller) -> set[int]:
    """What the caller gets: IN, or how they are refused."""
    if route.access == "internal":
        return {404}
    if not route.guarded:
        return {IN}
    if caller.role is None:
        return {401}
    if caller.role == "super_admin" and route.name in ACTS_ANYWHERE:
        return {IN, 403}
    owned = OWNED.get(route.name)
    if route.access.startswith("role:"):
        named = route.access.removeprefix("role:").split(",")
        if caller.role not in (*named, *(["super_admin"] if "admin" in named else [])):
            return {403}
    if route.on_row and caller.tenant != HOME:
        if caller.role == "super_admin" and "/tenants" in route.path:
            return {IN}  # tenants are in no tenant
        # An owner's route may refuse by the role, before it looks for a row.
        hopeful = owned is None or caller.role in (*owned.also, "organizer" if owned.owner == HOST else "")
        return ABROAD_GETS.get(route.name, {404} if hopeful else {403, 404})
    if caller.role == "super_admin" and route.name in OWN_ACCOUNT:
        return {IN, 404}  # they may not be found in the tenant that they look into
    if owned is not None and not {caller.name, caller.role} & {owned.owner, *owned.also}:
        return {owned.refusal}
    return {IN}


def outcome(route: Route, answer: httpx.Response) -> int:
    """IN, or the status of a refusal."""
    if answer.status_code not in (401, 403, 404):
        return IN
    return IN if answer.json()["code"] in OF_THE_HANDLER.get(route.name, ()) else answer.status_code
