"""A history of thousands of operations by many users, drawn from one seed, with crashes between."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from freehold.runtime import faultpoints
from freehold.testing import Crash, ManualClock, World, crash_at
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking.inventory import reconcile
from systems.booking_rush.payment.simulated import CARDS, NUMBERS
from systems.booking_rush.payment.tables import Payment
from tests.databases import Databases
from tests.systems.booking_rush.books import Books
from tests.systems.booking_rush.catalogue import ABROAD, HOME, Person
from tests.systems.booking_rush.stage import Stage, open_again

BATCH = 200
AT_ONCE = 12
CRASH_EVERY = 5
DYING = 1.0
"""Seconds; an event whose handler crashed is never answered for."""
RESTART_EVERY = 8
PEOPLE = 60
MOST_SEATS = 80
EVENTS = 5
RECENT = 500
"""So many of the newest payments are acted upon, whatever has become of them."""
ASYNC_DELAY = 6 * 60_000
"""Some of what settles so late finds its hold expired."""

OPERATIONS = {
    "reserve": 30,
    "reserve_abroad": 1,
    "order": 4,
    "process": 24,
    "pay_at_once": 5,
    "confirm": 5,
    "cancel": 6,
    "cancel_payment": 2,
    "refund_mine": 4,
    "refund_by_organizer": 2,
    "refund_by_admin": 1,
    "webhook": 3,
    "repeat": 8,
    "grow": 2,
    "pause": 1,
    "delete_user": 0.3,
    "cancel_show": 0.15,
    "cancel_event": 0.15,
}
PAUSES = {3: 60, 40: 25, 180: 11, 660: 3, 36_000: 1}
"""Seconds that pass after each batch, and how often."""


@dataclass(frozen=True)
class Request:
    """What somebody sends; sent again it is the same to the byte."""

    who: Person | None
    method: str
    path: str
    content: bytes
    headers: Mapping[str, str]

    def __str__(self) -> str:
        who = "somebody" if self.who is None else f"{self.who.role} {self.who.id}"
        return f"{who}: {self.method} {self.path} {self.content.decode()} {dict(self.headers)}"


class History:
    """What happens, drawn from one seed."""

    def __init__(self, databases: Databases, folder: Path, seed: int) -> None:
        self.databases, self.folder, self.seed = databases, folder, seed
        self.clock, self.random = ManualClock(), random.Random(seed)
        self.done = 0
        self.answers: Counter[str] = Counter()
        self.granted: set[str] = set()
        self.ordered: set[str] = set()
        self.newest: deque[str] = deque(maxlen=25)
        self.sent: deque[Request] = deque(maxlen=300)
        self.people: list[Person] = []
        self.events: list[dict[str, Any]] = []
        self.over: set[str] = set()
        self.payments: Sequence[Any] = []
        self._keys = 0
        self._tokens: dict[Any, tuple[datetime, dict[str, str]]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._stack = AsyncExitStack()

    # --- the process --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Run the system on what is there."""
        world = await open_again(self.databases, self.folder, self.clock, sim_async_delay_ms=ASYNC_DELAY)
        self.world: World = await self._stack.enter_async_context(world)
        self.stage = Stage(self.world)
        self._tokens.clear()

    async def drop(self) -> None:
        """Leave everything as it is."""
        stack, self._stack = self._stack, AsyncExitStack()
        with suppress(Crash, BaseExceptionGroup):
            await stack.aclose()

    async def begin(self) -> None:
        """Tenants, people, and events on sale."""
        await self.open()
        async with self.world.work("auth").transaction() as tx:
            for id, slug in ((HOME, "default"), (ABROAD, "abroad")):
                tx.add(Tenant(id=id, name=slug, slug=slug, created_at=tx.now(), updated_at=tx.now()))
        self.organizer, self.admin = await self.stage.person("organizer"), await self.stage.person("admin")
        self.stranger = await self.stage.person(tenant=ABROAD)
        self.people = [await self.stage.person() for _ in range(PEOPLE)]
        self.events = [await self._new_event() for _ in range(EVENTS)]

    async def _new_event(self) -> dict[str, Any]:
        """Two shows of two zones each; the show's date decides what a refund is worth."""
        organizer, made = self._token(self.organizer), self.stage.made
        event = await made("/events", organizer, name="Rush", max_tickets_per_user=self.random.randint(4, 10))
        shows = []
        for days in self.random.sample((2, 5, 9, 30), 2):
            date = (self.clock.now() + timedelta(days=days)).date().isoformat()
            show = await made(f"/events/{event['id']}/shows", organizer, show_date=date, start_time="19:30:00+07:00")
            zones = [
                await made(
                    f"/shows/{show['id']}/zones", organizer, name=f"Zone {n}", price=self.random.choice((999.99, 0.01, 1500)),
                    total_seats=self.random.randint(10, MOST_SEATS),
                )
                for n in (1, 2)
            ]  # fmt: skip
            shows.append(show | {"zones": zones})
        await made(f"/events/{event['id']}/publish", organizer)
        for show in shows:
            await self.stage.call("PUT", f"/shows/{show['id']}", organizer, status="on_sale")
        return event | {"shows": shows}

    # --- batches ------------------------------------------------------------------------------------------------------

    async def go_on(self) -> None:
        """A batch of operations at once, sometimes with a crash in it; then some time passes."""
        await self._shrink()
        async with self.world.work("payment").transaction(readonly=True) as tx:
            columns = Payment.id, Payment.booking_id, Payment.user_id, Payment.amount, Payment.status
            self.payments = (await tx.execute(select(*columns).order_by(Payment.id.desc()).limit(RECENT))).all()
        weights = OPERATIONS if self.payments else {"reserve": 1}
        names = self.random.choices(list(weights), list(weights.values()), k=BATCH)
        requests = [request for name in names if (request := getattr(self, name)()) is not None]
        pause, batch = self._pause(), self.done // BATCH
        if batch % CRASH_EVERY == 3:
            await self._crash(requests, pause)
        else:
            await self._all(requests)
            if batch % RESTART_EVERY == 5:
                await self.drop()
                await self.open()
            await self.world.settle()
            await self.world.advance(seconds=pause)
        self.done += BATCH
        if self.random.random() < BATCH / 1000:
            self.over.add(self.random.choice(self.events)["id"])
        going_on = [event for event in self.events if event["id"] not in self.over]
        self.events = going_on + [await self._new_event() for _ in range(EVENTS - len(going_on))]

    def _pause(self) -> float:
        (most,) = self.random.choices(list(PAUSES), list(PAUSES.values()))
        return self.random.uniform(most / 3, most)

    async def _all(self, requests: Sequence[Request]) -> None:
        for answer in await asyncio.gather(*map(self._send, requests)):
            assert answer.status_code < 500, answer.text

    async def _crash(self, requests: Sequence[Request], pause: float) -> None:
        """The process dies somewhere in the batch, or in what follows from it; whoever got no answer asks again."""
        point, nth = self.random.choice(faultpoints.POINTS), self.random.randint(1, 6)
        with crash_at(point, nth=nth):
            answers = await asyncio.gather(*map(self._send, requests), return_exceptions=True)
            for follow_up in (self.world.settle(), self.world.advance(seconds=pause)):
                await self._try(follow_up)
            await self.drop()
        self.newest.append(f"--- crash at {point}:{nth}")
        self.answers["a crash"] += 1
        await self.open()
        lost = [
            request
            for request, answer in zip(requests, answers, strict=True)
            if isinstance(answer, BaseException) or answer.status_code >= 500
        ]
        await self._all(lost)
        await self.world.run_due()

    async def _try(self, follow_up: Coroutine[Any, Any, None]) -> None:
        """What a process does that may have died meanwhile: nobody waits long for its answers."""
        with suppress(Crash, BaseExceptionGroup, TimeoutError):
            async with asyncio.timeout(DYING):
                await follow_up

    async def _send(self, request: Request) -> httpx.Response:
        async with self._turns:
            answer = await self.world.http.request(
                request.method,
                f"/api/v1{request.path}",
                content=request.content,
                headers={**(self._token(request.who) if request.who else {}), **request.headers},
            )
        self.newest.append(f"{answer.status_code} {request}")
        told = answer.json()
        what = "/".join(part for part in request.path.partition("?")[0].split("/") if part.count("-") < 4)
        self.answers[f"{request.method} {what} {answer.status_code} {told.get('code', '')}".rstrip()] += 1
        if request.path == "/bookings/reserve" and answer.status_code == 201:
            self.granted.add(told["booking_id"])
        elif request.path == "/saga/bookings" and answer.status_code == 202:
            self.ordered.add(told["booking_id"])
        return answer

    def _token(self, who: Person) -> dict[str, str]:
        made, headers = self._tokens.get(who.id, (None, {}))
        if made is None or self.clock.now() - made > timedelta(minutes=10):
            headers = self.world.as_user(who.id, roles=[who.role], tenant_id=who.tenant, email=who.email)
            self._tokens[who.id] = self.clock.now(), headers
        return headers

    # --- operations ---------------------------------------------------------------------------------------------------

    def _ask(self, who: Person, path: str, body: Mapping[str, Any] | None = None, *, method: str = "POST") -> Request:
        self._keys += 1
        headers = {"Idempotency-Key": f"key-{self._keys}", "Content-Type": "application/json"}
        request = Request(who, method, path, json.dumps(body or {}).encode(), headers)
        self.sent.append(request)
        return request

    def _wish(self) -> tuple[dict[str, Any], float]:
        """Seats, and their price."""
        event = self.random.choice(self.events)
        show = self.random.choice(event["shows"])
        zone, quantity = self.random.choice(show["zones"]), self.random.randint(1, 4)
        wish = {"event_id": event["id"], "show_id": show["id"], "zone_id": zone["id"], "quantity": quantity}
        return wish, round(zone["price"] * quantity, 2)

    def _card(self) -> str:
        return "tok_visa" if self.random.random() < 0.4 else self.random.choice([*CARDS, "tok_unknown"])

    def _payment(self) -> tuple[Any, Person]:
        """One of the newest payments, and its owner."""
        payment = self.random.choice(self.payments)
        return payment, Person(self.world, payment.user_id, "customer", HOME, "somebody@example.com")

    def reserve(self) -> Request:
        return self._ask(self.random.choice(self.people), "/bookings/reserve", self._wish()[0])

    def reserve_abroad(self) -> Request:
        return self._ask(self.stranger, "/bookings/reserve", self._wish()[0])

    def order(self) -> Request:
        wish, price = self._wish()
        order = {**wish, "total_price": price, "card_token": self._card()}
        return self._ask(self.random.choice(self.people), "/saga/bookings", order)

    def process(self) -> Request:
        payment, owner = self._payment()
        card: dict[str, Any] = {"card_token": self._card()}
        if self.random.random() < 0.1:
            card = {"card_number": self.random.choice(list(NUMBERS)), "exp_month": 1, "exp_year": 2040, "cvc": "123"}
        return self._ask(owner, f"/payments/{payment.id}/process", card)

    def pay_at_once(self) -> Request:
        payment, owner = self._payment()
        body = {"booking_id": str(payment.booking_id), "amount": float(payment.amount), "currency": "THB"}
        return self._ask(owner, "/payments?auto_process=true", {**body, "method": "credit_card"})

    def confirm(self) -> Request:
        payment, owner = self._payment()
        return self._ask(owner, f"/bookings/{payment.booking_id}/confirm")

    def cancel(self) -> Request:
        payment, owner = self._payment()
        path = f"/bookings/{payment.booking_id}"
        if self.random.random() < 0.3:
            return self._ask(owner, path, method="DELETE")
        return self._ask(owner, f"{path}/cancel")

    def cancel_payment(self) -> Request:
        payment, owner = self._payment()
        return self._ask(owner, f"/payments/{payment.id}/cancel")

    def refund_mine(self) -> Request:
        payment, owner = self._payment()
        return self._ask(owner, f"/payments/{payment.id}/refund")

    def refund_by_organizer(self) -> Request:
        """Some of it, all of it, or more than there is."""
        payment, _ = self._payment()
        amount = round(float(payment.amount) * self.random.choice((0.3, 0.5, 1.0, 1.1)), 2) or 0.01
        return self._ask(self.organizer, f"/payments/{payment.id}/refund", {"amount": amount})

    def refund_by_admin(self) -> Request:
        payment, _ = self._payment()
        return self._ask(self.admin, f"/payments/{payment.id}/refund")

    def webhook(self) -> Request | None:
        """The gateway tells, perhaps again, perhaps before its own answer is kept, what it did."""
        payment, _ = self._payment()
        charged = self.stage.gateway.charged.get(payment.id)
        if charged is None:
            return None
        whole = charged == payment.amount * 100
        told = {
            "id": f"sim_{payment.id}",
            "status": "succeeded",
            "amount": int(payment.amount * 100),
            "metadata": {"payment_id": str(payment.id)},
        }
        kind = "payment_intent.succeeded" if whole else "charge.refunded"
        event = {"id": f"evt_{payment.id}" if whole else f"back_{payment.id}", "type": kind, "data": {"object": told}}
        body = json.dumps(event).encode()
        return Request(None, "POST", "/webhooks/simulated", body, {"X-Sim-Signature": self.stage.gateway.sign(body)})

    def repeat(self) -> Request | None:
        """An earlier request, to the byte; sometimes its key with another body."""
        if not self.sent:
            return None
        earlier = self.random.choice(self.sent)
        if self.random.random() < 0.1:
            return replace(earlier, content=json.dumps({**json.loads(earlier.content), "quantity": 5}).encode())
        return earlier

    # --- what organizers and admins do --------------------------------------------------------------------------------

    def grow(self) -> Request:
        """To the size that no zone exceeds: one that is made smaller while others buy is decided by ticket's count,
        which is behind.
        """
        return self._ask(self.organizer, f"/zones/{self._zone()['id']}", {"total_seats": MOST_SEATS}, method="PUT")

    async def _shrink(self) -> None:
        """Take seats away that nobody has, while nobody buys."""
        if await self.stage.dead_letters() == []:
            seats = {"total_seats": self.random.randint(5, MOST_SEATS)}
            await self._send(self._ask(self.organizer, f"/zones/{self._zone()['id']}", seats, method="PUT"))
            self.sent.pop()
            await self.world.settle()

    def _zone(self) -> dict[str, Any]:
        zone: dict[str, Any] = self.random.choice(self.random.choice(self.random.choice(self.events)["shows"])["zones"])
        return zone

    def pause(self) -> Request:
        """Stop a sale, or start it again."""
        show = self.random.choice(self.random.choice(self.events)["shows"])
        status = self.random.choice(("scheduled", "on_sale", "on_sale"))
        return self._ask(self.organizer, f"/shows/{show['id']}", {"status": status}, method="PUT")

    def delete_user(self) -> Request:
        """Whoever is deleted goes on for as long as the token lasts."""
        return self._ask(self.admin, f"/users/{self.random.choice(self.people).id}", method="DELETE")

    def cancel_show(self) -> Request:
        show = self.random.choice(self.random.choice(self.events)["shows"])
        return self._ask(self.organizer, f"/shows/{show['id']}", {"status": "cancelled"}, method="PUT")

    def cancel_event(self) -> Request:
        event = self.random.choice(self.events)
        self.over.add(event["id"])
        return self._ask(self.organizer, f"/events/{event['id']}/cancel", {"reason": "rain"})

    # --- the end ------------------------------------------------------------------------------------------------------

    async def end(self) -> list[str]:
        """Let everything run out; what does not add up then, in words."""
        books = await Books.open(self.databases, self.folder)
        await self.world.advance(minutes=11)
        for _ in range(80):
            await self.world.advance(seconds=31)
            if not await books.open_work():
                break
        found = [f"{count} {what} have not ended" for what, count in (await books.open_work()).items()]
        report = await reconcile(self.world.work("booking").as_service(), page=500)
        found += [f"the reconciler finds {drift}" for drift in (*report.repaired, *report.elsewhere)]
        await self.drop()
        return found + await books.faults(self.granted, self.ordered)
