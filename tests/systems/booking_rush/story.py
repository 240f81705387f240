"""One long afternoon of Booking Rush, told through the public API, the same in every layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from tests.systems.booking_rush.recording import Answer

PASSWORD = "Test123!"
EVENT = {
    "venue_name": "Große Halle", "city": "กรุงเทพฯ", "country": "TH", "latitude": 13.75633090, "longitude": 100.50176510,
    "max_tickets_per_user": 4, "gallery": ["https://example.com/1.png", "https://example.com/2.png"],
    "short_description": "Zwei Stunden \"Lärm\" — und eine Pause 🎸",
}  # fmt: skip


class Site(Protocol):
    """A running system, and its time."""

    @property
    def http(self) -> httpx.AsyncClient: ...

    def tick(self) -> None:
        """Let a second pass, so that no two requests are made at the same time."""
        ...

    async def settle(self) -> None:
        """Wait until every event and all that follows from it is handled."""
        ...

    async def advance(self, **parts: float) -> None:
        """Let so much time pass, and everything happen that is due by then."""
        ...

    async def promote(self, email: str) -> None:
        """Make somebody a super_admin, as only an operator can."""
        ...


@dataclass
class Somebody:
    """With an account."""

    email: str
    tenant: str = ""
    id: str = ""
    access: str = ""
    refresh: str = ""


class Story:
    """Tells it at a site, and keeps every answer."""

    def __init__(self, site: Site) -> None:
        self.answers: list[Answer] = []
        self._site = site
        self._keys = 0

    # --- how people act -----------------------------------------------------------------------------------------------

    async def ask(
        self, expected: int, method: str, path: str, who: Somebody | None = None, *, key: str = "", **body: Any
    ) -> Any:
        """A request, a second after the last one; its answer's body. What follows from it has happened then, too."""
        self._site.tick()
        self._keys += 1
        headers = {"X-Idempotency-Key": key or f"key-{self._keys}", "X-Request-ID": f"request-{self._keys}"}
        if who is not None:
            headers["Authorization"] = f"Bearer {who.access}"
        sent = None if method == "GET" else body
        answer = await self._site.http.request(method, f"/api/v1{path}", json=sent, headers=headers)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text}"
        await self._site.settle()
        self.answers.append(Answer.of(f"{method} {path}", answer))
        return self.answers[-1].body

    async def join(self, name: str, tenant: str = "") -> Somebody:
        """Somebody registers."""
        who = Somebody(f"{name}@example.com", tenant)
        wish = {
            "email": who.email,
            "password": PASSWORD,
            "name": name.title(),
            **({"tenant_slug": tenant} if tenant else {}),
        }
        self._enter(who, await self.ask(201, "POST", "/auth/register", **wish))
        return who

    async def login(self, *people: Somebody) -> None:
        """They log in, since their tokens have ended, or say something else now."""
        for who in people:
            wish = {"email": who.email, "password": PASSWORD, **({"tenant_slug": who.tenant} if who.tenant else {})}
            self._enter(who, await self.ask(200, "POST", "/auth/login", **wish))

    def _enter(self, who: Somebody, answer: Mapping[str, Any]) -> None:
        who.id, who.access, who.refresh = answer["user"]["id"], answer["access_token"], answer["refresh_token"]

    async def pages(self, path: str, who: Somebody | None, limit: int = 2) -> None:
        """A list from its beginning to its end."""
        start = f"{path}{'&' if '?' in path else '?'}limit={limit}"
        answer = await self.ask(200, "GET", start, who)
        while answer["next_cursor"]:
            answer = await self.ask(200, "GET", f"{start}&cursor={answer['next_cursor']}", who)

    async def on_sale(self, who: Somebody, name: str, *seats: int, price: float = 1999.99, **fields: Any) -> Any:
        """A published event with one show on sale and a zone for each number of seats."""
        event = await self.ask(201, "POST", "/events", who, name=name, **{**EVENT, **fields})
        show = await self.ask(
            201, "POST", f"/events/{event['id']}/shows", who, show_date="2030-03-01", start_time="19:30:00+07:00",
            end_time="22:00:00+07:00",
        )  # fmt: skip
        zones = [
            await self.ask(
                201, "POST", f"/shows/{show['id']}/zones", who, name=f"Block {n}", price=price, total_seats=m
            )
            for n, m in enumerate(seats, 1)
        ]
        await self.ask(200, "POST", f"/events/{event['id']}/publish", who)
        await self.ask(200, "PUT", f"/shows/{show['id']}", who, status="on_sale")
        return {**event, "show": show, "zones": zones}

    async def reserve(self, expected: int, who: Somebody, event: Any, quantity: Any = 1, **more: Any) -> Any:
        """Somebody wants seats in a zone, by default the first."""
        zone = event["zones"][more.pop("zone", 0)]["id"]
        wish = {"event_id": event["id"], "show_id": event["show"]["id"], "zone_id": zone, "quantity": quantity, **more}
        return await self.ask(expected, "POST", "/bookings/reserve", who, **wish)

    async def payment_of(self, booking: Any, who: Somebody) -> Any:
        return await self.ask(200, "GET", f"/payments/booking/{booking['booking_id']}", who)

    async def pay(self, booking: Any, who: Somebody, status: str = "succeeded", **card: Any) -> Any:
        """Process the payment that waits for a booking."""
        payment = await self.payment_of(booking, who)
        paid = await self.ask(
            200, "POST", f"/payments/{payment['id']}/process", who, **card or {"card_token": "tok_visa"}
        )
        assert paid["status"] == status, paid
        return paid

    async def pass_time(self, times: int, **parts: float) -> None:
        for _ in range(times):
            await self._site.advance(**parts)

    # --- the story ----------------------------------------------------------------------------------------------------

    async def tell(self) -> list[Answer]:
        """All of it; the answers."""
        await self.people()
        await self.catalogue()
        await self.buying()
        await self.holds_that_end()
        await self.all_in_one()
        await self.queue()
        await self.intents()
        await self.after_the_sale()
        await self.reports()
        return self.answers

    async def people(self) -> None:
        """Accounts, sessions, tenants."""
        await self.ask(401, "POST", "/auth/login", email="nobody@example.com", password=PASSWORD)
        await self.ask(400, "POST", "/auth/register", email="ann", password="short", name="")
        self.boss, self.ann, self.ben = await self.join("boss"), await self.join("ann"), await self.join("ben")
        self.orla = await self.join("orla")
        await self.ask(409, "POST", "/auth/register", email="ANN@example.com", password=PASSWORD, name="Ann")
        await self._site.promote(self.boss.email)
        await self.login(self.boss)
        tenant = await self.ask(
            201, "POST", "/tenants", self.boss, name="Zürich", slug="zuerich",
            settings={"zeta": 1.50, "alpha": {"b": [1, 2.0, None], "a": "ä"}, "empty": {}},
        )  # fmt: skip
        await self.ask(409, "POST", "/tenants", self.boss, name="Again", slug="zuerich")
        await self.ask(403, "POST", "/tenants", self.ann, name="Mine", slug="mine")
        await self.ask(200, "PUT", f"/tenants/{tenant['id']}", self.boss, domain="example.ch")
        await self.ask(200, "GET", "/tenants/slug/zuerich", self.boss)
        await self.pages("/tenants", self.boss, 1)
        self.eve = await self.join("eve", "zuerich")
        await self.ask(200, "PUT", f"/users/{self.orla.id}", self.boss, role="organizer")
        await self.login(self.orla)
        first = self.ann.refresh
        self._enter(
            self.ann, {"user": {"id": self.ann.id}, **await self.ask(200, "POST", "/auth/refresh", refresh_token=first)}
        )
        await self.ask(401, "POST", "/auth/refresh", refresh_token=first)
        await self.login(self.ann)
        await self.ask(200, "PUT", "/auth/me", self.ann, phone="+66812345678", name="Änn Ärger")
        await self.ask(200, "GET", "/auth/me", self.ann)
        await self.ask(401, "GET", "/auth/me")
        await self.ask(403, "GET", f"/users/{self.ben.id}", self.ann)
        await self.pages("/users", self.boss)
        await self.ask(200, "GET", "/users?search=be&page=1&limit=1", self.boss)
        await self.ask(200, "POST", "/auth/logout", refresh_token=self.ben.refresh)
        await self.login(self.ben)

    async def catalogue(self) -> None:
        """Categories, events, shows, zones, and how they are found."""
        music = await self.ask(201, "POST", "/categories", self.boss, name="Música", sort_order=2, color="#A0b1C2")
        await self.ask(201, "POST", "/categories", self.boss, name="Art", sort_order=1)
        await self.ask(409, "POST", "/categories", self.boss, name="Art")
        await self.ask(200, "GET", "/categories")
        orla = self.orla
        self.rush = await self.on_sale(orla, "Rush Hour", 10, 3, category_id=music["id"])
        self.other = await self.on_sale(orla, "rush minute", 5, 5, price=0.1, max_tickets_per_user=2)
        draft = await self.ask(
            201, "POST", "/events", orla, name="Ärger im Anzug", booking_start_at="2030-02-01T00:00:00+07:00"
        )
        await self.ask(400, "POST", "/events", orla, name="", latitude=91)
        await self.ask(403, "POST", "/events", self.ann, name="Mine")
        await self.ask(200, "PUT", f"/events/{draft['id']}", orla, description=None, is_featured=True, city="Zug")
        await self.ask(200, "DELETE", f"/events/{draft['id']}", orla)
        await self.ask(200, "PUT", f"/zones/{self.rush['zones'][1]['id']}", orla, price=2500.5, sort_order=-1)
        await self.pages("/events", None, 1)
        await self.ask(200, "GET", "/events?search=RUSH&city=กรุงเทพฯ&page=1")
        await self.ask(200, "GET", f"/events/slug/{self.rush['slug']}")
        await self.ask(200, "GET", f"/events/{self.rush['id']}")
        await self.ask(200, "GET", f"/events/{self.rush['id']}/shows")
        await self.ask(200, "GET", f"/shows/{self.rush['show']['id']}/zones")
        await self.ask(404, "GET", "/events/00000000-0000-7000-8000-000000000000")
        await self.pages("/events/my", orla, 1)

    async def buying(self) -> None:
        """Seats, refusals, repeats, cards that work and cards that do not."""
        rush, ann, ben = self.rush, self.ann, self.ben
        wish = {
            "event_id": rush["id"], "show_id": rush["show"]["id"], "zone_id": rush["zones"][0]["id"], "quantity": 2,
        }  # fmt: skip
        self.bought = await self.ask(201, "POST", "/bookings/reserve", ann, key="ann-1", **wish)
        await self.ask(201, "POST", "/bookings/reserve", ann, key="ann-1", **wish)
        await self.ask(422, "POST", "/bookings/reserve", ann, key="ann-1", **{**wish, "quantity": 1})
        await self.reserve(400, ann, rush, 0)
        await self.reserve(400, ann, rush, "2")
        await self.reserve(409, ann, rush, 3)
        await self.reserve(409, ben, rush, 4, zone=1)
        await self.reserve(403, self.eve, rush)
        await self.ask(401, "POST", "/bookings/reserve", **wish)
        await self.ask(402, "POST", f"/bookings/{self.bought['booking_id']}/confirm", ann)
        await self.pay(self.bought, ann)
        await self.pass_time(2, seconds=1)
        await self.ask(200, "GET", f"/bookings/{self.bought['booking_id']}", ann)
        await self.ask(403, "GET", f"/bookings/{self.bought['booking_id']}", ben)
        await self.ask(404, "GET", f"/bookings/{self.bought['booking_id']}", self.eve)
        declined = await self.reserve(201, ben, rush, 1)
        await self.pay(declined, ben, "failed", card_token="tok_insufficient")
        by_number = await self.reserve(201, ben, rush, 2, zone=1)
        card = {"card_number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"}
        await self.pay(by_number, ben, **card)
        flaky = await self.reserve(201, ann, rush, 1, zone=1)
        await self.pay(flaky, ann, "processing", card_token="tok_flaky")
        await self.pass_time(3, seconds=2)
        late = await self.reserve(201, ben, self.other, 1)
        await self.pay(late, ben, "processing", card_token="tok_async")
        await self.pass_time(3, seconds=2)
        await self.pages("/bookings", ann, 1)
        await self.ask(200, "GET", "/bookings?page=1&limit=1", ben)
        await self.ask(200, "GET", f"/bookings/summary?event_id={rush['id']}", ann)
        await self.pages(f"/payments/user/{ben.id}", ben, 1)

    async def holds_that_end(self) -> None:
        """Cancelled, and forgotten."""
        held = await self.reserve(201, self.ben, self.rush, 1)
        await self.ask(200, "GET", "/bookings/pending", self.ben)
        await self.ask(200, "POST", f"/bookings/{held['booking_id']}/cancel", self.ben)
        await self.ask(409, "POST", f"/bookings/{held['booking_id']}/cancel", self.ben)
        forgotten = await self.reserve(201, self.ben, self.rush, 1)
        payment = await self.payment_of(forgotten, self.ben)
        await self.pass_time(1, minutes=10, seconds=1)
        await self.pass_time(2, seconds=5)
        await self.login(self.boss, self.ann, self.ben, self.orla, self.eve)
        await self.ask(410, "POST", f"/payments/{payment['id']}/process", self.ben, card_token="tok_visa")
        await self.ask(410, "POST", f"/bookings/{forgotten['booking_id']}/confirm", self.ben)
        await self.ask(200, "GET", f"/bookings/{forgotten['booking_id']}", self.ben)

    async def all_in_one(self) -> None:
        """The saga: it ends well, and it is compensated."""
        # In a zone of its own: what happens to two bookings of one zone at a time may become one event, or two.
        zone = self.other["zones"][1]["id"]
        wish = {"event_id": self.other["id"], "show_id": self.other["show"]["id"], "zone_id": zone, "quantity": 1}
        for card in ("tok_visa", "tok_declined"):
            begun = await self.ask(202, "POST", "/saga/bookings", self.ann, **wish, total_price=0.1, card_token=card)
            await self.pass_time(8, seconds=2)
            await self.ask(200, "GET", f"/saga/bookings/{begun['saga_id']}", self.ann)
        await self.ask(403, "GET", f"/saga/bookings/{begun['saga_id']}", self.ben)

    async def queue(self) -> None:
        """Two may buy at a time."""
        event = await self.on_sale(self.orla, "Line", 50)
        configured = {"required": True, "max_concurrent_bookings": 1, "queue_pass_ttl_minutes": 5}
        await self.ask(200, "PUT", f"/admin/queue/{event['id']}", self.orla, **configured)
        await self.ask(201, "POST", "/queue/join", self.ann, event_id=event["id"])
        ben = await self.ask(201, "POST", "/queue/join", self.ben, event_id=event["id"])
        await self.pass_time(1, seconds=2)
        ready = await self.ask(200, "GET", f"/queue/position/{event['id']}", self.ann)
        await self.ask(200, "GET", f"/queue/position/{event['id']}", self.ben)
        await self.ask(200, "GET", f"/queue/status/{event['id']}", self.ben)
        await self.reserve(403, self.ben, event)
        await self.reserve(201, self.ann, event, queue_pass=ready["queue_pass"])
        await self.reserve(403, self.ann, event, queue_pass=ready["queue_pass"])
        await self.ask(200, "DELETE", "/queue/leave", self.ben, event_id=event["id"], token=ben["token"])
        await self.ask(404, "GET", f"/queue/position/{event['id']}", self.ben)

    async def intents(self) -> None:
        """Payments by a form of the gateway's."""
        booking = await self.reserve(201, self.ben, self.rush, 1, zone=0)
        price = booking["total_price"]
        await self.ask(400, "POST", "/payments/intent", self.ben, booking_id=booking["booking_id"], amount=1)
        intent = await self.ask(
            200, "POST", "/payments/intent", self.ben, booking_id=booking["booking_id"], amount=price
        )
        confirmed = {"payment_id": intent["payment_id"], "payment_intent_id": intent["payment_intent_id"]}
        await self.ask(200, "POST", "/payments/intent/confirm", self.ben, **confirmed)
        await self.pass_time(2, seconds=5)
        await self.ask(200, "GET", f"/payments/{intent['payment_id']}", self.ben)
        await self.ask(200, "GET", "/payments/methods", self.ben)

    async def after_the_sale(self) -> None:
        """Money back, and an event that does not take place."""
        payment = await self.payment_of(self.bought, self.ann)
        await self.ask(403, "POST", f"/payments/{payment['id']}/refund", self.ben)
        await self.ask(200, "POST", f"/payments/{payment['id']}/refund", self.ann)
        await self.pass_time(2, seconds=5)
        await self.ask(200, "GET", f"/bookings/{self.bought['booking_id']}", self.ann)
        await self.ask(200, "POST", f"/events/{self.other['id']}/cancel", self.orla, reason="rain ☔")
        await self.pass_time(3, seconds=5)
        await self.reserve(409, self.ben, self.other)
        await self.pages("/bookings", self.ann, 3)

    async def reports(self) -> None:
        """What people are told, what organizers and admins look at."""
        for who in (self.ann, self.ben):
            await self.pages("/notifications", who, 5)
        for path in ("/analytics/dashboard", "/analytics/sales?period=month", "/analytics/sales?period=week",
                     "/analytics/events/top?limit=5", f"/analytics/events/{self.rush['id']}"):  # fmt: skip
            await self.ask(200, "GET", path, self.orla)
        await self.ask(403, "GET", "/analytics/dashboard", self.ann)
        await self.ask(200, "GET", "/admin/inventory-status", self.boss)
        await self.ask(200, "POST", "/admin/sync-inventory", self.boss)
        await self.ask(404, "GET", f"/internal/bookings/{self.bought['booking_id']}", self.boss)
        await self.ask(200, "POST", "/auth/logout-all", self.eve)
        await self.ask(200, "DELETE", f"/users/{self.eve.id}", self.boss)
