"""G7 under everything at once: messages in any order, late, repeated or refused, time passing, processes dying.

Whatever happens, in the end the saga has ended, and its effects are all there or all gone.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from freehold.engines import open_engine
from freehold.model.envelope import Envelope
from freehold.model.saga import FINAL
from freehold.runtime import faultpoints
from tests.saga_world import (
    APPROVE,
    CHARGE,
    CONFIRM,
    GIFT,
    RESERVE,
    Approved,
    Denied,
    World,
    refusal,
)

pytestmark = [
    pytest.mark.guarantee("G7"),
    pytest.mark.cell(engine="sqlite"),
    pytest.mark.only("thousands of steps are tried"),
]

STEPS = (RESERVE, CHARGE, GIFT, CONFIRM, APPROVE)
COMMANDS_ONCE = {
    "stock.reserve": 1,
    "card.charge": 2,
    "gift.add": 1,
    "stock.release": 1,
    "card.refund": 1,
    "gift.remove": 1,
}
DYING_POINTS = (
    "inbox.before", "inbox.after", "handler.before_commit", "commit.before", "commit.after", "saga.before_step",
    "saga.after_step", "saga.before_compensation", "saga.after_compensation",
)  # fmt: skip
picks = st.integers(0, 1000)


class Death(BaseException):
    """The process ends here."""


class Checkouts(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.delivered: list[Envelope] = []
        self.resumed = 0

    @initialize(steps=st.permutations(STEPS).flatmap(lambda order: st.integers(1, len(order)).map(lambda n: order[:n])))
    def begin(self, steps: list[Any]) -> None:
        self.steps = steps
        self.shop_engine, self.depot_engine = (
            open_engine(f"sqlite:///{Path(self.folder.name) / name}.db") for name in ("shop", "depot")
        )
        self.world = World(self.shop_engine, self.depot_engine, *steps)
        self.runner.run(self.world.create())
        self.runner.run(self.world.place())

    # --- what the world may do ----------------------------------------------------------------------------------------

    @rule(pick=picks)
    def a_message_arrives(self, pick: int) -> None:
        pending = self.runner.run(self.world.pending())
        if pending:
            self._deliver(pending[pick % len(pending)])

    @rule(pick=picks)
    def the_first_messages_arrive(self, pick: int) -> None:
        for envelope in self.runner.run(self.world.pending())[: pick % 3 + 1]:
            self._deliver(envelope)

    @rule(late=st.booleans())
    def the_newest_message_overtakes_the_others(self, late: bool) -> None:
        if late:
            self.time_passes(31)
        for envelope in self.runner.run(self.world.pending())[-1:]:
            self._deliver(envelope)

    @precondition(lambda self: self.delivered)
    @rule(pick=picks)
    def a_message_arrives_again(self, pick: int) -> None:
        self._deliver(self.delivered[pick % len(self.delivered)])

    @rule()
    def the_order_is_placed_again(self) -> None:
        self._deliver(self.world.event())

    @rule(kind=st.sampled_from([Approved, Denied]))
    def somebody_decides(self, kind: Any) -> None:
        self._deliver(self.world.event(kind))

    @rule(what=st.sets(st.sampled_from(["reserve", "charge", "gift"])), repeats=st.integers(1, 3))
    def the_warehouse_changes_its_mood(self, what: set[str], repeats: int) -> None:
        self.world.mood.refuses, self.world.mood.repeats = what, repeats

    @rule(error=st.sampled_from([RuntimeError("broken"), refusal()]))
    def the_next_confirmation_fails(self, error: Exception) -> None:
        self.world.mood.confirm.append(error)

    @rule(times=st.integers(1, 11))
    def the_next_undos_fail(self, times: int) -> None:
        self.world.mood.unconfirm = [RuntimeError("broken") for _ in range(times)]

    @rule(seconds=st.sampled_from([1, 31, 3600]))
    def time_passes(self, seconds: float) -> None:
        self.world.later(seconds)
        self.runner.run(self.world.shop.sagas.run_due())

    @rule()
    def the_shop_restarts(self) -> None:
        self.world.shop = self.world.start_shop(self.world.saga)

    @rule(point=st.sampled_from(DYING_POINTS), pick=picks, seconds=st.sampled_from([0, 31]))
    def a_process_dies(self, point: str, pick: int, seconds: float) -> None:
        def die(reached: str) -> None:
            if reached == point:
                raise Death

        pending = self.runner.run(self.world.pending())
        self.world.later(seconds)
        faultpoints.on_reach = die
        try:
            if pending:
                self._deliver(pending[pick % len(pending)])
            self.runner.run(self.world.shop.sagas.run_due())
        except Death:
            pass
        finally:
            faultpoints.on_reach = None
        self.world.shop = self.world.start_shop(self.world.saga)

    def _deliver(self, envelope: Envelope) -> None:
        self.runner.run(self.world.deliver(envelope))
        self.delivered.append(envelope)

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def no_effect_is_there_twice(self) -> None:
        assert set(self.runner.run(self.world.effects()).values()) <= {1}

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.runner.run(self._end())
        finally:
            for engine in (self.shop_engine, self.depot_engine) if hasattr(self, "world") else ():
                self.runner.run(engine.close())
            self.runner.close()
            self.folder.cleanup()

    async def _end(self) -> None:
        world = self.world
        for _ in range(40):
            await world.settle()
            status = await world.status()
            if status in FINAL:
                break
            if status == "needs_attention":
                self.resumed += 1
                await world.shop.sagas.resume((await world.instance()).id)
            world.later(3600)
        await world.settle()
        for envelope in self.delivered:
            await world.deliver(envelope)
        await world.settle()
        await self._all_or_nothing()
        await self._each_command_once()
        await self._undone_in_reverse()

    async def _all_or_nothing(self) -> None:
        status, effects = await self.world.status(), await self.world.effects()
        names = {step.name for step in self.steps} - {"approve"}
        assert status in FINAL
        if status == "compensated":
            assert effects == {}, await self.world.history()
        else:
            assert names - {"gift"} <= set(effects) <= names, await self.world.history()

    async def _each_command_once(self) -> None:
        for name, count in Counter(await self.world.sent_names()).items():
            assert count <= COMMANDS_ONCE[name] + (self.resumed if name == "stock.release" else 0)

    async def _undone_in_reverse(self) -> None:
        order = [step.name for step in self.steps]
        undone = [line.removesuffix(": undone") for line in await self.world.history() if line.endswith(": undone")]
        assert undone == sorted(undone, key=order.index, reverse=True)


TestCheckouts = Checkouts.TestCase
TestCheckouts.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
