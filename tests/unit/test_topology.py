"""What brokers are told: every topic that somebody writes to, and everything that each group takes."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import BaseModel

from freehold import Command, Event, Saga, Service, Step, System, Tx
from freehold.model.errors import ConfigurationError
from freehold.model.topology import Topology


class Placed(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID


class Viewed(Event, name="order.viewed", topic="statistics", key="order_id"):
    order_id: UUID


class Reserve(Command, name="stock.reserve", key="order_id"):
    order_id: UUID


class Release(Command, name="stock.release", key="order_id", topic="stock.undo"):
    order_id: UUID


class Reserved(Event, name="stock.reserved", topic="stock", key="order_id"):
    order_id: UUID


class Rejected(Event, name="stock.rejected", topic="stock", key="order_id"):
    order_id: UUID


class Checkout(BaseModel):
    order_id: UUID


def shop() -> System:
    orders = Service("orders", publishes=[Placed, Viewed])
    stock = Service("stock", publishes=[Reserved, Rejected])
    orders.saga(
        Saga(
            "checkout",
            key="order_id",
            data=Checkout,
            starts_on=Placed,
            steps=[Step("reserve", do=Reserve, ok=Reserved, fail=Rejected, undo=Release)],
        )
    )

    @stock.on(Reserve)
    async def reserve(command: Reserve, tx: Tx) -> None: ...

    return System("shop", services=[orders, stock, Service("silent")])


def test_groups_take_events_commands_and_the_answers_of_their_sagas() -> None:
    topology = Topology.of(shop())
    assert topology.groups == {
        "orders": {"order.placed": "orders", "stock.reserved": "stock", "stock.rejected": "stock"},
        "stock": {"stock.reserve": "commands.stock"},
    }
    assert topology.takers("stock.reserve") == ["stock"]
    assert topology.takers("order.viewed") == []


def test_topics_are_those_that_anybody_writes_to_even_when_nobody_reads() -> None:
    topology = Topology.of(shop())
    assert topology.topics == dict.fromkeys(["commands.stock", "orders", "statistics", "stock", "stock.undo"], 8)


def test_partitions_can_be_set_for_all_topics_and_for_one() -> None:
    topology = Topology.of(shop(), partitions=2, by_topic={"orders": 32})
    assert topology.topics["orders"] == 32
    assert topology.topics["stock"] == 2
    assert topology.width("orders") == 32
    assert topology.width("stock") == 2


@pytest.mark.parametrize(
    ("by_topic", "told"), [({"order": 3}, "names order"), ({"orders": 0}, "topics.orders: would have 0")]
)
def test_numbers_that_cannot_be_right_are_refused(by_topic: dict[str, int], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Topology.of(shop(), by_topic=by_topic)
