"""G7: a saga ends, completed, compensated or in somebody's attention, and each of its effects happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from freehold.model.saga import Step
from freehold.observe.metrics import METRICS
from freehold.runtime import faultpoints
from freehold.runtime.dead_letters import DeadLetters
from freehold.runtime.saga_machine import SagaSettings
from freehold.runtime.transaction import MisuseError, Tx
from freehold.runtime.work import CONFLICT_TRIES
from tests.databases import Databases
from tests.matrix import on_engines
from tests.saga_world import (
    APPROVE,
    CHARGE,
    CONFIRM,
    GIFT,
    RESERVE,
    AddGift,
    Approved,
    CardCharged,
    CardDeclined,
    ChargeCard,
    Checkout,
    Denied,
    OrderPlaced,
    RefundCard,
    World,
    checkout,
    refusal,
)

pytestmark = pytest.mark.guarantee("G7")

Make = Callable[..., Awaitable[World]]


@pytest.fixture
def make(databases: Databases) -> Make:
    async def make(*steps: Step, deadline: str | None = None) -> World:
        shop, depot = await databases.open("shop"), await databases.open("warehouse")
        return await World(shop, depot, *steps, deadline=deadline).create()

    return make


async def test_all_steps_are_carried_out_in_order(make: Make) -> None:
    world = await make(RESERVE, CHARGE, GIFT, CONFIRM, APPROVE)
    await world.place()
    await world.settle()
    assert (await world.instance()).step_name == "approve"
    await world.deliver(world.event(Approved))

    done = await world.instance()
    assert (done.status, done.deadline_at, done.completed_at) == ("completed", None, world.clock.now())
    assert done.data["shelf"] == "A1"
    assert done.data["confirmations"] == 1
    assert await world.effects() == {"reserve": 1, "charge": 1, "gift": 1, "confirm": 1}
    assert await world.history() == [
        "started", "reserve: sent", "reserve: done", "charge: sent", "charge: done", "gift: sent", "gift: done",
        "confirm: done", "approve: done", "completed",
    ]  # fmt: skip


async def test_a_second_start_event_of_the_same_key_starts_nothing(make: Make) -> None:
    world = await make(RESERVE)
    await world.place()
    await world.place()
    await world.settle()
    assert await world.effects() == {"reserve": 1}
    assert (await world.history()).count("started") == 1


async def test_two_start_events_at_once_start_one_instance(make: Make, databases: Databases) -> None:
    world = await make(RESERVE)
    other = World(await databases.open("shop"), world.depot.engine, RESERVE)
    other.order_id = world.order_id
    await asyncio.gather(world.place(), other.place())
    assert await world.sent_names() == ["stock.reserve"]


async def test_a_saga_starts_with_the_callers_transaction_or_not_at_all(make: Make) -> None:
    world = await make(RESERVE)
    data = Checkout(order_id=world.order_id, item="teapot")
    saga = world.shop.service.sagas[0]

    async def fails(tx: Tx) -> None:
        await tx.start(saga, data)
        raise refusal()

    with pytest.raises(Exception, match="NOT_CONFIRMABLE"):
        await world.shop.work().run(fails)
    assert await world.sent(world.shop) == []
    first = await world.shop.work().run(lambda tx: tx.start(saga, data))
    again = await world.shop.work().run(lambda tx: tx.start(saga, data))
    assert first == again == (await world.instance()).id
    assert await world.sent_names() == ["stock.reserve"]


async def test_starting_what_the_service_does_not_run_is_refused(make: Make) -> None:
    world = await make(RESERVE)
    work = world.shop.work()
    with pytest.raises(MisuseError, match="does not run saga checkout"):
        await work.run(lambda tx: tx.start(checkout(CHARGE), Checkout(order_id=uuid4(), item="x")))
    with pytest.raises(MisuseError, match="starts with Checkout, not OrderPlaced"):
        await work.run(lambda tx: tx.start(world.saga, OrderPlaced(order_id=uuid4(), item="x")))


async def test_a_refused_step_turns_the_saga_back_in_reverse(make: Make) -> None:
    world = await make(RESERVE, CHARGE, CONFIRM, APPROVE)
    await world.place()
    await world.settle()
    await world.deliver(world.event(Denied))
    await world.settle()
    assert await world.status() == "compensated"
    assert await world.effects() == {}
    undone = [line for line in await world.history() if line.endswith(": undone")]
    assert undone == ["confirm: undone", "charge: undone", "reserve: undone"]


async def test_an_undo_waits_for_the_answer_of_the_one_before(make: Make) -> None:
    awaited = Step("second", do=ChargeCard, ok=CardCharged, fail=CardDeclined, undo=RefundCard, timeout="30s")
    world = await make(awaited, RESERVE, APPROVE)
    await world.place()
    await world.settle()
    await world.deliver(world.event(Denied))
    assert (await world.sent_names())[2:] == ["stock.release"]
    await world.settle()
    assert (await world.sent_names())[2:] == ["stock.release", "card.refund"]
    assert await world.status() == "compensated"


async def test_a_refused_command_is_sent_again_after_a_while(make: Make) -> None:
    world = await make(CHARGE)
    world.mood.refuses = {"charge"}
    await world.place()
    await world.settle()
    assert world.mood.calls["charge"] == 1
    world.mood.refuses = set()
    world.later(1)
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"charge": 1}


async def test_a_repeated_refusal_is_no_answer_to_the_next_try(make: Make) -> None:
    world = await make(CHARGE)
    world.mood.refuses, world.mood.repeats = {"charge"}, 2
    await world.place()
    (command,) = await world.pending()
    await world.deliver(command)
    refused, refused_again = await world.pending()
    await world.deliver(refused)
    world.later(1)
    await world.shop.sagas.run_due()
    await world.deliver(refused_again)
    world.mood.refuses = set()
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"charge": 1}


async def test_a_failing_local_step_leaves_nothing_and_is_tried_again(make: Make) -> None:
    world = await make(CONFIRM)
    world.mood.confirm = [RuntimeError("no"), RuntimeError("not yet")]
    await world.place()
    await world.settle()
    assert await world.effects() == {}
    assert (await world.instance()).attempt == 2
    world.later(1)
    await world.settle()
    world.later(1.9)
    await world.settle()
    assert world.mood.calls["confirm"] == 2
    world.later(0.1)
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"confirm": 1}
    assert (await world.instance()).data["confirmations"] == 1


async def test_a_local_step_that_keeps_failing_turns_the_saga_back(make: Make) -> None:
    world = await make(RESERVE, CONFIRM)
    world.mood.confirm = [RuntimeError(str(n)) for n in range(3)]
    await world.place()
    for _ in range(4):
        await world.settle()
        world.later(5)
    found = await world.instance()
    assert (found.status, found.error) == ("compensated", "RuntimeError: 2")
    assert world.mood.calls["confirm"] == 3
    assert await world.effects() == {}


@pytest.mark.parametrize("keep", [False, True])
async def test_a_problem_turns_back_at_once_and_keeps_what_it_says(make: Make, keep: bool) -> None:
    world = await make(RESERVE, CONFIRM)
    world.mood.confirm = [refusal(keep=keep)]
    await world.place()
    await world.settle()
    assert await world.status() == "compensated"
    assert (await world.instance()).error == "NOT_CONFIRMABLE: the order has expired"
    assert world.mood.calls["confirm"] == 1
    assert await world.effects() == ({"confirm": 1} if keep else {})


async def test_what_a_problem_keeps_commits_together_with_the_refusal(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        pass

    def die(point: str) -> None:
        if point == "commit.after":
            raise Death

    world = await make(CONFIRM)
    world.mood.confirm = [refusal(keep=True)]
    await world.place()
    monkeypatch.setattr(faultpoints, "on_reach", die)
    with pytest.raises(Death):
        await world.shop.sagas.run_due()
    monkeypatch.undo()
    await world.settle()
    assert await world.status() == "compensated"
    assert world.mood.calls["confirm"] == 1
    assert await world.effects() == {"confirm": 1}


async def slow(data: Checkout, tx: Tx) -> None:
    await asyncio.Event().wait()


async def test_a_local_step_that_takes_too_long_has_failed(make: Make) -> None:
    world = await make(RESERVE, Step("slow", do=slow, timeout="10ms"))
    await world.place()
    await world.settle()
    assert (await world.instance()).error == "StepTimeout: slow took longer than 0.01 s"
    assert await world.effects() == {}


async def unreachable(data: Checkout, tx: Tx) -> None:
    raise ConnectionRefusedError("the gateway is down")


async def test_a_local_step_that_cannot_reach_something_is_not_mistaken_for_the_database(make: Make) -> None:
    world = await make(RESERVE, Step("call", do=unreachable))
    await world.place()
    await world.settle()
    assert await world.status() == "compensated"


async def test_a_step_without_an_answer_is_turned_back_and_its_command_has_no_effect_any_more(make: Make) -> None:
    world = await make(RESERVE)
    await world.place()
    world.later(29)
    await world.shop.sagas.run_due()
    assert await world.status() == "running"
    world.later(1)
    await world.shop.sagas.run_due()
    do, undo = await world.pending()
    assert undo.headers["undoes"] == f"{do.event_id}/stock.reserve"
    await world.deliver(undo)
    await world.deliver(do)
    await world.settle()
    assert await world.status() == "compensated"
    assert await world.effects() == {}
    assert world.mood.calls["reserve"] == 0


async def test_an_answer_that_comes_too_late_changes_nothing(make: Make) -> None:
    world = await make(CHARGE, RESERVE)
    await world.place()
    await world.deliver((await world.pending())[0])
    await world.deliver((await world.pending())[0])
    await world.deliver((await world.pending())[0])
    world.later(30)
    await world.shop.sagas.run_due()
    await world.settle()
    assert await world.status() == "compensated"
    assert await world.effects() == {}
    assert world.mood.calls == {"charge": 1, "reserve": 1, "release": 1, "refund": 1}


async def test_an_undo_of_a_known_effect_is_carried_out_however_old_the_inbox_is(make: Make) -> None:
    world = await make(CHARGE, APPROVE)
    await world.place()
    await world.settle()
    async with world.depot.engine.write() as connection:
        await connection.execute(world.depot.tables.consumed.delete())
    await world.deliver(world.event(Denied))
    await world.settle()
    assert await world.effects() == {}


async def test_a_step_that_is_not_critical_may_fail(make: Make) -> None:
    world = await make(RESERVE, GIFT, CHARGE)
    world.mood.refuses = {"gift"}
    await world.place()
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"reserve": 1, "charge": 1}
    assert "gift: skipped" in await world.history()


async def test_a_command_that_nobody_answers_is_left_as_a_dead_letter_and_its_replay_is_the_same_command(
    make: Make,
) -> None:
    world = await make(GIFT, CONFIRM)
    await world.place()
    (sent,) = await world.pending()
    world.later(30)
    await world.shop.sagas.run_due()
    assert await world.status() == "completed"
    assert await world.effects() == {"confirm": 1}

    letters = DeadLetters(world.shop)
    (letter,) = await letters.list()
    assert (letter.direction, letter.consumer_name, letter.event_type) == ("publish", "saga.checkout", "gift.add")
    assert (letter.event_id, letter.error) == (sent.event_id, "gift: no answer in time")
    await world.deliver(sent)  # it was only late
    await letters.replay(letter.id, by="ann@example.com")
    for envelope in await world.sent(world.shop):
        await world.deliver(envelope)
    await world.settle()
    assert await world.effects() == {"confirm": 1, "gift": 1}
    assert await letters.list() == []


async def test_a_command_that_is_refused_for_good_is_left_as_a_dead_letter_and_its_replay_is_another_try(
    make: Make,
) -> None:
    world = await make(replace(GIFT, retries=1), CONFIRM)
    world.mood.refuses = {"gift"}
    await world.place()
    await world.settle()
    world.later(1)
    await world.settle()
    assert (await world.status(), world.mood.calls["gift"]) == ("completed", 2)

    letters = DeadLetters(world.shop)
    (letter,) = await letters.list()
    assert (letter.retry_count, letter.error) == (2, "gift: gift.missing")
    world.mood.refuses.clear()
    await letters.replay(letter.id, by="ann@example.com")
    await world.settle()
    assert await world.effects() == {"confirm": 1, "gift": 1}


async def test_the_deadline_of_a_saga_ends_its_waiting(make: Make) -> None:
    world = await make(RESERVE, APPROVE, deadline="40s")
    await world.place()
    await world.settle()
    assert (await world.instance()).deadline_at == world.clock.now() + timedelta(seconds=40)
    world.later(40)
    await world.settle()
    assert (await world.status(), await world.effects()) == ("compensated", {})


async def test_a_step_that_has_its_turn_only_after_the_deadline_is_tried_once(make: Make) -> None:
    world = await make(RESERVE, CONFIRM, CHARGE, deadline="40s")
    await world.place()
    for _ in range(2):
        await world.deliver((await world.pending())[0])
    world.later(100)  # the shop was away when its turn to confirm came
    await world.settle()
    assert await world.status() == "completed"


async def test_a_try_that_would_come_after_the_deadline_is_not_made(make: Make) -> None:
    world = await make(RESERVE, CONFIRM, deadline="40s")
    world.mood.confirm = [RuntimeError("broken")]
    await world.place()
    for _ in range(2):
        await world.deliver((await world.pending())[0])
    world.later(39.5)
    await world.settle()
    assert (await world.status(), world.mood.calls["confirm"]) == ("compensated", 1)


async def test_an_effect_that_nobody_knows_of_is_taken_back_with_the_rest(make: Make) -> None:
    world = await make(GIFT, APPROVE)
    await world.place()
    await world.deliver((await world.pending())[0])
    world.later(30)
    await world.shop.sagas.run_due()
    await world.settle()
    assert await world.effects() == {"gift": 1}
    await world.deliver(world.event(Denied))
    await world.settle()
    assert await world.effects() == {}
    assert await world.status() == "compensated"


async def test_a_signal_may_overtake_the_step_before_it(make: Make) -> None:
    world = await make(RESERVE, APPROVE, CHARGE)
    await world.place()
    deadline = (await world.instance()).deadline_at
    await world.deliver(world.event(Approved))
    assert (await world.instance()).deadline_at == deadline
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"reserve": 1, "charge": 1}


async def test_an_undo_that_keeps_failing_needs_attention_and_goes_on_when_resumed(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = await make(RESERVE, CONFIRM, APPROVE)
    world.mood.unconfirm = [RuntimeError("stuck") for _ in range(10)]
    before = counted("needs_attention")
    await world.place()
    await world.settle()
    await world.deliver(world.event(Denied))
    for _ in range(10):
        await world.settle()
        world.later(600)
    found = await world.instance()
    assert (found.status, found.error, found.deadline_at) == ("needs_attention", "RuntimeError: stuck", None)
    assert world.mood.calls["unconfirm"] == 10
    assert await world.effects() == {"reserve": 1, "confirm": 1}
    assert "needs attention at step 'confirm'" in caplog.text
    assert counted("needs_attention") == before + 1
    async with world.shop.work().transaction(readonly=True) as tx:
        assert await world.shop.sagas.unfinished(tx) == {("checkout", "needs_attention"): 1}
        (listed,) = await world.shop.sagas.instances(tx, status="needs_attention")
    assert listed == found

    await world.shop.sagas.resume(found.id)
    await world.settle()
    assert await world.status() == "compensated"
    assert await world.effects() == {}
    with pytest.raises(MisuseError, match="needs no attention"):
        await world.shop.sagas.resume(found.id)
    with pytest.raises(LookupError):
        await world.shop.sagas.resume(uuid4())


async def test_an_unanswered_undo_needs_attention_until_its_answer_comes(make: Make) -> None:
    world = await make(RESERVE, APPROVE)
    await world.place()
    await world.settle()
    await world.deliver(world.event(Denied))
    world.later(SagaSettings().undone_within.total_seconds())
    await world.shop.sagas.run_due()
    assert await world.status() == "needs_attention"
    await world.settle()
    assert await world.status() == "compensated"
    assert world.mood.calls["release"] == 1


async def test_a_command_that_cannot_be_built_turns_the_saga_back(make: Make) -> None:
    def broken(data: Any) -> AddGift:
        return AddGift(order_id="secret")  # type: ignore[arg-type]

    world = await make(RESERVE, Step("gift", do=AddGift, ok=CardCharged, timeout="1m", build=broken))
    await world.place()
    await world.settle()
    found = await world.instance()
    assert found.status == "compensated"
    assert "order_id" in str(found.error)
    assert "secret" not in str(found.error)
    assert await world.effects() == {}


def counted(state: str) -> float:
    labels = {"service": "shop", "saga": "checkout", "state": state}
    return METRICS.registry.get_sample_value("freehold_saga_total", labels) or 0.0


LOSES_ITS_RACE = (
    """
    CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001';
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER races AFTER INSERT ON confirmations DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION lose()
    """,
)


@on_engines("postgres-schemas", why="they are about what is PostgreSQL's own")
async def test_a_commit_that_keeps_losing_its_race_is_no_failure_of_the_step(make: Make) -> None:
    world = await make(CONFIRM)
    async with world.shop.engine.write() as connection:
        for statement in LOSES_ITS_RACE:
            await connection.execute(text(statement))
    await world.place()
    await world.shop.sagas.run_due()
    found = await world.instance()
    assert world.mood.calls["confirm"] == CONFLICT_TRIES
    assert (found.status, found.attempt, found.error) == ("running", 1, None)
    async with world.shop.engine.write() as connection:
        await connection.execute(text("DROP TRIGGER races ON confirmations"))
    await world.settle()
    assert await world.status() == "completed"
    assert await world.effects() == {"confirm": 1}
