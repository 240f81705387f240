"""A payment request that is sent again after a crash gets the true answer, wherever the process died."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from freehold.runtime import faultpoints
from freehold.testing import Crash, World
from systems.booking_rush.payment.contract import PaymentCompleted, PaymentRefunded
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import Person
from tests.systems.booking_rush.stage import Stage, open_again, open_stage

COMMITS = 9
"""More than any of these requests has, reads included: the last round crashes nowhere."""


@contextmanager
def dying_at_commit(nth: int) -> Iterator[None]:
    """The request of this task dies right after its nth commit; what others do meanwhile is not counted."""
    me, left = asyncio.current_task(), nth

    def on_reach(point: str) -> None:
        nonlocal left
        if point == "commit.after" and asyncio.current_task() is me:
            left -= 1
            if not left:
                raise Crash(point)

    faultpoints.on_reach = on_reach
    try:
        yield
    finally:
        faultpoints.on_reach = None


class Requests:
    """One request of each kind, to be sent as often as wanted under its own key."""

    def __init__(self, buyer: Person, claimed: str, processed: UUID, refunded: UUID) -> None:
        self.buyer = buyer
        self.claimed, self.processed, self.refunded = claimed, processed, refunded

    async def send(self, kind: str, stage: Stage) -> tuple[int, dict[str, Any]]:
        buyer = replace(self.buyer, world=stage.world)
        if kind == "claim":
            body: dict[str, Any] = {"booking_id": self.claimed, "amount": 1000.0, "currency": "THB", "method": "wallet"}
            path = "/payments?auto_process=true"
        elif kind == "process":
            path, body = f"/payments/{self.processed}/process", {"card_token": "tok_visa"}
        else:
            path, body = f"/payments/{self.refunded}/refund", {"amount": 400.0}
        headers = {**buyer.headers, "Idempotency-Key": kind}
        answer = await stage.http.post(f"/api/v1{path}", json=body, headers=headers)
        return answer.status_code, answer.json()


EXPECTED = {"claim": (201, "succeeded"), "process": (200, "succeeded"), "refund": (200, "refunded")}


async def test_a_repeat_after_a_crash_anywhere_gets_the_true_answer_and_has_no_second_effect(
    databases: Databases, tmp_path: Path
) -> None:
    async with open_stage(databases, tmp_path) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(100,), price=1000.0)
        rounds = []
        for _ in range(COMMITS):
            buyer = await stage.person()
            bookings = [await stage.held(buyer, event) for _ in range(3)]
            await stage.pay(buyer, bookings[2])
            processed, refunded = [(await stage.payment(each)).id for each in bookings[1:]]
            rounds.append(Requests(buyer, bookings[0], processed, refunded))
        await stage.world.run_due()
        clock = stage.world.clock
    crashes = dict.fromkeys(EXPECTED, 0)
    for nth, (died, dying) in enumerate(pairwise([None, *rounds, None]), 1):
        async with await open_again(databases, tmp_path, clock) as world:
            if died is not None:
                await _check_answers(died, Stage(world))
            if dying is None:
                await _check_books(world)
                break
            for kind in EXPECTED:
                with dying_at_commit(nth), suppress(Crash):
                    await dying.send(kind, Stage(world))
                    continue
                crashes[kind] += 1
    assert min(crashes.values()) >= 4, crashes
    assert max(crashes.values()) < COMMITS, "a crash at every commit"


async def _check_answers(requests: Requests, stage: Stage) -> None:
    for kind, (status, state) in EXPECTED.items():
        answered = [await requests.send(kind, stage) for _ in range(2)]
        assert answered[0] == answered[1]
        assert (answered[0][0], answered[0][1].get("status")) == (status, state), (kind, answered)


async def _check_books(world: World) -> None:
    charged = Stage(world).gateway.charged
    assert sorted(set(charged.values())) == [60_000, 100_000]
    assert list(charged.values()).count(60_000) == COMMITS
    assert len(charged) == 3 * COMMITS
    assert len(await world.published(PaymentCompleted)) == 3 * COMMITS
    assert len(await world.published(PaymentRefunded)) == COMMITS
