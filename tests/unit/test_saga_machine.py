"""Every decision of a saga, without a database: what it does next for whatever happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from freehold.model.errors import DeclarationError
from freehold.model.saga import FINAL, Saga, Step, is_command
from freehold.runtime.saga_machine import (
    Answered,
    Failed,
    Happening,
    Move,
    Order,
    Overdue,
    Resumed,
    SagaMachine,
    SagaSettings,
    State,
    Succeeded,
)
from tests.saga_world import (
    APPROVE,
    CHARGE,
    CONFIRM,
    GIFT,
    RESERVE,
    Approved,
    CardCharged,
    CardDeclined,
    Denied,
    GiftMissing,
    StockRejected,
    StockReleased,
    StockReserved,
    checkout,
)

ALL = (RESERVE, CHARGE, GIFT, CONFIRM, APPROVE)


class Walk:
    """A machine and where it stands."""

    def __init__(self, *steps: Step, settings: SagaSettings | None = None) -> None:
        self.machine = SagaMachine(checkout(*steps), settings or SagaSettings())
        self.move = self.machine.begin()
        self.actions: list[str] = []

    @property
    def state(self) -> State:
        return self.move.state

    def on(self, *happenings: Happening) -> Walk:
        for happening in happenings:
            if isinstance(happening, Succeeded | Failed):
                order = self.machine.order(self.state)
                self.actions.append(f"{order.kind} {order.step}")
            move = self.machine.decide(self.state, happening)
            assert move is not None, (self.state, happening)
            self.move = move
        return self

    def ignores(self, *happenings: Happening) -> Walk:
        for happening in happenings:
            assert self.machine.decide(self.state, happening) is None, (self.state, happening)
        return self

    def to_step(self, index: int) -> Walk:
        """Everything goes well until this step."""
        while self.state.step < index:
            self.well()
        return self

    def well(self) -> Walk:
        if self.state.waits_for == "turn":
            return self.on(Succeeded())
        step = self.machine.step(self.state)
        event = step.ok if self.state.status == "running" else step.undone
        assert event is not None
        return self.on(Answered(event))

    def to_end(self) -> Walk:
        while self.state.status not in FINAL:
            self.well()
        return self


def fail_for_good(walk: Walk) -> Walk:
    """The step at which the walk stands is refused, however often it is tried."""
    index = walk.state.step
    while walk.state.status == "running" and walk.state.step == index:
        step = walk.machine.step(walk.state)
        if walk.state.waits_for == "answer":
            assert step.fail is not None
            walk.on(Answered(step.fail))
        else:
            walk.on(Succeeded() if is_command(step.do) else Failed("no"))
    return walk


def test_when_all_goes_well_each_step_is_done_once_and_in_order() -> None:
    walk = Walk(*ALL).to_end()
    assert walk.state.status == "completed"
    assert walk.actions == ["do reserve", "do charge", "do gift", "do confirm"]


@pytest.mark.parametrize("index", range(len(ALL)))
def test_a_failure_at_any_step_takes_back_what_was_done_before_it_in_reverse(index: int) -> None:
    walk = fail_for_good(Walk(*ALL).to_step(index))
    if not ALL[index].critical:
        assert (walk.state.status, walk.state.step) == ("running", index + 1)
        return
    walk.actions.clear()
    walk.to_end()
    assert walk.state.status == "compensated"
    assert walk.actions == [f"undo {step.name}" for step in reversed(ALL[:index]) if step.undo is not None]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_command_without_an_answer_is_itself_taken_back(index: int) -> None:
    critical = [replace(step, critical=True) for step in ALL]
    walk = Walk(*critical).to_step(index).well().on(Overdue())
    assert walk.machine.tombstone(walk.state) == Order(ALL[index].name, 1)
    walk.actions.clear()
    walk.to_end()
    assert walk.actions == [f"undo {step.name}" for step in reversed(ALL[: index + 1])]


def test_an_undo_that_may_find_nothing_is_not_waited_for() -> None:
    walk = Walk(RESERVE).on(Succeeded(), Overdue(), Succeeded())
    assert walk.state.status == "compensated"


def test_an_undo_of_a_known_effect_leaves_no_tombstone_and_is_waited_for() -> None:
    walk = Walk(RESERVE, APPROVE).to_step(1).on(Answered(Denied))
    assert walk.machine.tombstone(walk.state) is None
    assert walk.on(Succeeded()).state.waits_for == "answer"
    assert walk.on(Answered(StockReleased)).state.status == "compensated"


def test_a_refused_command_is_sent_again_as_often_as_declared_each_time_later() -> None:
    walk = Walk(replace(CHARGE, retries=2))
    waits: list[Any] = []
    while walk.state.status == "running":
        walk.on(Succeeded(), Answered(CardDeclined))
        waits.append(walk.move.due_in)
    assert walk.actions == ["do charge"] * 3
    assert waits == [timedelta(seconds=1), timedelta(seconds=2), None]


def test_waiting_between_tries_has_a_limit() -> None:
    settings = SagaSettings(first_wait=1, longest_wait=60)
    assert [settings.backoff(n).total_seconds() for n in (1, 2, 6, 7, 10_000)] == [1, 2, 32, 60, 60]


def test_a_step_with_a_pause_is_tried_again_at_that_pace() -> None:
    walk = Walk(replace(CONFIRM, retries=3, pause="10s"), APPROVE)
    waits = []
    for _ in range(3):
        walk.on(Failed("no"))
        waits.append(walk.move.due_in)
    assert waits == [timedelta(seconds=10)] * 3
    assert walk.on(Failed("no")).state.status in FINAL
    with pytest.raises(DeclarationError, match="pause"):
        checkout(replace(CONFIRM, pause="soon"))


def test_a_timeout_is_not_tried_again_since_the_effect_may_exist() -> None:
    assert Walk(CHARGE).on(Succeeded(), Overdue()).state.status == "compensating"


def test_a_local_step_that_refuses_is_not_tried_again() -> None:
    assert Walk(CONFIRM).on(Failed("no", again=False)).state.status == "compensated"
    assert Walk(CONFIRM).on(Failed("broken")).state.attempt == 2


def test_deadlines() -> None:
    walk = Walk(CHARGE, CONFIRM, APPROVE)
    assert walk.move.due_in == timedelta()
    assert walk.on(Succeeded()).move.due_in == timedelta(seconds=30)
    assert walk.on(Answered(CardCharged)).move.due_in == timedelta()
    assert walk.on(Succeeded()).move.due_in == timedelta(hours=1)
    assert walk.on(Answered(Approved)).move.due_in is None


def test_answers_count_only_for_the_step_that_waits_for_them() -> None:
    foreign = [Answered(CardCharged), Answered(CardDeclined), Answered(StockReleased), Answered(GiftMissing)]
    Walk(*ALL).ignores(*foreign, Answered(StockReserved), Answered(StockRejected), Overdue(), Resumed()).on(
        Succeeded()
    ).ignores(*foreign, Succeeded(), Failed("x"), Resumed()).on(Answered(StockReserved)).ignores(
        Answered(StockReserved), Answered(StockRejected)
    )


def test_an_answer_to_another_try_or_to_another_step_is_none() -> None:
    walk = Walk(replace(RESERVE, retries=1)).on(Succeeded(), Answered(StockRejected), Succeeded())
    walk.ignores(Answered(StockRejected, Order("reserve", 1)), Answered(StockReserved, Order("charge", 2)))
    assert walk.on(Answered(StockReserved, Order("reserve", 2))).state.status == "completed"


def test_late_answers_do_not_stop_a_saga_that_turned_back() -> None:
    walk = Walk(RESERVE, CHARGE).to_step(1).on(Succeeded(), Overdue())
    late = (Answered(CardCharged), Answered(CardDeclined), Answered(StockReserved))
    walk.ignores(*late).on(Succeeded()).ignores(*late).on(Succeeded()).ignores(*late)
    assert walk.on(Answered(StockReleased)).state.status == "compensated"


def test_nothing_moves_a_saga_that_has_ended() -> None:
    happenings: list[Happening] = [
        Succeeded(), Failed("x"), Overdue(), Resumed(), Answered(CardCharged), Answered(CardDeclined), Answered(Approved),
    ]  # fmt: skip
    Walk(CHARGE).to_end().ignores(*happenings)
    Walk(CHARGE).on(Failed("x", again=False)).ignores(*happenings)


def test_a_signal_that_comes_early_is_kept_for_its_step_and_counts_once() -> None:
    walk = Walk(CHARGE, APPROVE, replace(APPROVE, name="approve again")).on(Succeeded(), Answered(Approved))
    assert (walk.move.keeps_deadline, walk.state.waits_for) == (True, "answer")
    walk.ignores(Answered(Approved)).on(Answered(CardCharged))
    assert (walk.state.step, walk.state.early) == (2, ())


def test_an_early_no_turns_back_when_its_step_comes() -> None:
    walk = Walk(CHARGE, APPROVE).on(Succeeded(), Answered(Denied), Answered(CardCharged))
    assert walk.state.status == "compensating"


def test_a_signal_that_says_no_is_not_asked_again() -> None:
    assert Walk(replace(APPROVE, retries=3)).on(Answered(Denied)).state.status == "compensated"


def test_a_step_that_is_not_critical_is_passed_over_and_taken_back_if_it_may_have_happened() -> None:
    refused = Walk(GIFT, APPROVE).on(Succeeded(), Answered(GiftMissing))
    assert refused.on(Answered(Denied)).state.status == "compensated"
    silent = Walk(GIFT, APPROVE).on(Succeeded(), Overdue())
    assert (silent.state.status, silent.state.step) == ("running", 1)
    silent.on(Answered(Denied), Succeeded())
    assert silent.actions == ["do gift", "undo gift"]


def test_an_undo_that_keeps_failing_asks_for_attention_and_goes_on_after_it() -> None:
    walk = Walk(RESERVE, CONFIRM, APPROVE, settings=SagaSettings(tries=3)).to_step(2).on(Answered(Denied))
    walk.on(Failed("1"), Failed("2")).ignores(Resumed())
    assert walk.state.status == "compensating"
    walk.on(Failed("3")).ignores(Succeeded(), Overdue(), Answered(StockReleased))
    assert (walk.state.status, walk.state.error, walk.move.due_in) == ("needs_attention", "3", None)
    assert walk.on(Resumed()).move.due_in == timedelta()
    assert walk.on(Failed("4")).state.status == "needs_attention"
    assert walk.on(Resumed()).to_end().state.status == "compensated"


def test_an_undo_that_is_not_answered_asks_for_attention_and_its_late_answer_counts() -> None:
    walk = Walk(RESERVE, APPROVE).to_step(1).on(Answered(Denied), Succeeded(), Overdue())
    assert walk.state.status == "needs_attention"
    walk.ignores(Answered(StockReleased, Order("reserve", 1, "do")))
    again = Walk(RESERVE, APPROVE)
    again.move = Move(walk.state)
    assert walk.on(Answered(StockReleased, Order("reserve", 1, "undo"))).state.status == "compensated"
    assert again.on(Resumed(), Succeeded(), Answered(StockReleased, Order("reserve", 1, "undo"))).state.status == (
        "compensated"
    )


def test_a_resumed_command_travels_under_a_new_number() -> None:
    walk = Walk(RESERVE, APPROVE).to_step(1).on(Answered(Denied))
    first = walk.machine.order(walk.state)
    assert walk.machine.order(walk.on(Succeeded(), Overdue(), Resumed()).state) != first


def test_versions_decide_for_their_own_instances() -> None:
    old = checkout(RESERVE, CHARGE)
    new: Saga = checkout(RESERVE, version=2, former=(old,))
    assert len(new.of_version(1).steps) == 2
