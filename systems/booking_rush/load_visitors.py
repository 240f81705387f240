"""What the visitors of the load shapes do, each as a script; they run in the client's process."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from freehold import LoadAnswer, LoadAsk, LoadNote, LoadPause, LoadScript

PATIENT = 100
"""So often a visitor looks again, at most."""

Sale = Mapping[str, Any]
Asking = Generator[LoadAsk | LoadPause | LoadNote, LoadAnswer, LoadAnswer]


def buy(sale: Sale, token: str, number: int) -> LoadScript:
    """1 to 4 seats somewhere."""
    yield from _reserve(token, random.choice(sale["zones"]), random.randint(1, 4))


def buy_one(sale: Sale, token: str, number: int) -> LoadScript:
    """One seat of the zone that everybody wants."""
    yield from _reserve(token, sale["zones"][0], 1)


def buy_the_last(sale: Sale, token: str, number: int) -> LoadScript:
    """The one seat."""
    yield from _reserve(token, sale["last"], 1)


def empty(sale: Sale, token: str, number: int) -> LoadScript:
    """All seats of a zone."""
    yield from _reserve(token, sale["zones"][0], sale["zones"][0]["seats"])


def hang_up(sale: Sale, token: str, number: int) -> LoadScript:
    """Five times, without waiting for the answer."""
    for _ in range(5):
        yield from _reserve(token, random.choice(sale["zones"]), 1, patience=0)


def say_it_again(sale: Sale, token: str, number: int) -> LoadScript:
    """The same request ten times."""
    zone, key = random.choice(sale["zones"]), uuid4().hex
    first = yield from _reserve(token, zone, 2, key=key)
    for _ in range(9):
        again = yield _wish(token, zone, 2, key=key, step="again")
        if first.status == 201 and again.body != first.body:
            yield LoadNote("a repeated request was answered otherwise")


def lose_patience(sale: Sale, token: str, number: int) -> LoadScript:
    """Five times: hang up after a few milliseconds, and ask again, with the same key, until there is an answer."""
    for _ in range(5):
        zone, key = random.choice(sale["zones"]), uuid4().hex
        answer = yield _wish(token, zone, 1, key=key, step="impatient", patience=random.uniform(0.001, 0.02))
        for _ in range(PATIENT):
            if answer.status in (201, 404, 422):
                break
            yield LoadPause(0.05)
            answer = yield _wish(token, zone, 1, key=key, step="again")
        yield LoadNote("granted" if answer.status == 201 else "no answer after a lost connection")


def pay_slowly(sale: Sale, token: str, number: int) -> LoadScript:
    """Three times: reserve, and pay with a card whose bank does not answer at first."""
    for _ in range(3):
        held = yield from _reserve(token, random.choice(sale["zones"]), 1)
        if held.status != 201:
            return
        path = f"/api/v1/payments/booking/{held.body['booking_id']}"
        payment = yield from _look(token, path, lambda body: body["status"] == "pending")
        charge = f"/api/v1/payments/{payment.body['id']}/process"
        yield LoadAsk("pay", "POST", charge, {"card_token": "tok_flaky"}, _headers(token))
        paid = yield from _look(token, path, lambda body: body["status"] == "succeeded")
        if paid.status != 200 or paid.body["status"] != "succeeded":
            yield LoadNote("a payment that timed out was never made")


def queue_up(sale: Sale, token: str, number: int) -> LoadScript:
    """Join an event's queue, wait for the pass, and reserve."""
    zone = sale["zones"][0]
    event = {"event_id": zone["event_id"]}
    joined = yield LoadAsk("join", "POST", "/api/v1/queue/join", event, _headers(token))
    if joined.status != 201:
        return
    path = f"/api/v1/queue/position/{zone['event_id']}"
    place = yield from _look(token, path, lambda body: bool(body.get("queue_pass")))
    if place.status == 200 and place.body.get("queue_pass"):
        yield LoadNote("got a pass")
        yield from _reserve(token, zone, 1, queue_pass=place.body["queue_pass"])


def _look(token: str, path: str, is_it: Callable[[Any], bool]) -> Asking:
    """Look until it is so."""
    for _ in range(PATIENT):
        answer = yield LoadAsk("look", "GET", path, headers=_headers(token))
        if answer.status == 200 and is_it(answer.body):
            break
        yield LoadPause(0.1)
    return answer


def _reserve(
    token: str, zone: Any, quantity: int, *, key: str = "", patience: float = 30.0, queue_pass: str = ""
) -> Asking:
    """Ask for seats, and note what came of it."""
    wish = _wish(token, zone, quantity, key=key or uuid4().hex, step="reserve", patience=patience)
    answer = yield replace(wish, headers={**wish.headers, "X-Queue-Pass": queue_pass}) if queue_pass else wish
    if answer.status == 201:
        yield LoadNote("granted")
    elif answer.status == 0 or answer.status >= 500:
        yield LoadNote("unheard")
    if answer.status and "x-ratelimit-limit" in answer.headers:
        yield LoadNote("told its limit")
    if answer.status == 429 and "retry-after" in answer.headers:
        yield LoadNote("told when to retry")
    return answer


def _wish(token: str, zone: Any, quantity: int, *, key: str, step: str, patience: float = 30.0) -> LoadAsk:
    body = {**{name: zone[name] for name in ("event_id", "show_id", "zone_id")}, "quantity": quantity}
    return LoadAsk(step, "POST", "/api/v1/bookings/reserve", body, _headers(token, key), patience)


def _headers(token: str, key: str = "") -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}", "X-Idempotency-Key": key or uuid4().hex}
