"""What a saga can come to, found without running it."""

from __future__ import annotations

from dataclasses import replace

from freehold.model.saga import Step
from freehold.runtime.saga_paths import Stop, explore, walk
from tests.saga_world import APPROVE, CHARGE, CONFIRM, GIFT, RESERVE, checkout


def ends(*steps: Step) -> set[tuple[str, tuple[str, ...]]]:
    return {(outcome.status, outcome.left) for outcome in explore(checkout(*steps))}


def test_a_sound_saga_leaves_all_or_nothing() -> None:
    assert ends(RESERVE, CHARGE, CONFIRM) == {
        ("completed", ("reserve", "charge", "confirm")),
        ("compensated", ()),
        ("needs_attention", ("reserve",)),
    }


def test_a_step_without_an_undo_is_left_behind_when_a_later_one_fails() -> None:
    assert ("compensated", ("reserve",)) in ends(replace(RESERVE, undo=None, undone=None), CONFIRM)


def test_a_command_that_can_time_out_needs_an_undo_even_as_the_last_step() -> None:
    last = replace(CHARGE, undo=None, retries=0)
    assert ("compensated", ("charge",)) in ends(last)
    assert ("compensated", ("charge",)) not in ends(replace(last, timeout=None))


def test_a_step_that_is_not_critical_may_be_left_out() -> None:
    assert ends(GIFT) == {("completed", ("gift",)), ("completed", ())}


def test_the_path_tells_what_happened() -> None:
    once = replace(CHARGE, retries=0, timeout=None)
    (refused,) = [outcome for outcome in explore(checkout(once, APPROVE)) if outcome.status == "compensated"]
    assert refused.path == ("charge: sent", "charge: failed", "charge: turned back", "compensated")


def test_a_long_saga_is_explored_quickly() -> None:
    steps = [replace(step, name=f"{step.name} {n}", retries=3) for n in range(3) for step in (RESERVE, GIFT, CONFIRM)]
    assert {status for status, left in ends(*steps) if not left} == {"compensated"}


def test_a_step_that_no_answer_can_reach_is_not_reached() -> None:
    saga = checkout(RESERVE, replace(CHARGE, retries=0), CONFIRM)
    assert walk(saga).reached == {"reserve", "charge", "confirm"}

    walked = walk(saga, can_come=lambda step, event: event is not CHARGE.ok)

    assert walked.reached == {"reserve", "charge"}
    assert walked.stops == []
    assert "completed" not in {outcome.status for outcome in walked.outcomes}


def test_a_saga_stops_where_nothing_can_come_any_more() -> None:
    saga = checkout(RESERVE, replace(CHARGE, timeout=None))

    (stop,) = walk(saga, can_come=lambda step, event: step.name != "charge").stops

    assert stop == Stop("charge", ("reserve: sent", "reserve: done", "charge: sent"))
    assert walk(saga).stops == []
