"""What sagas say: commands made from their data, under ids that make every answer find its question."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel

from freehold.model.messages import Command
from freehold.model.saga import is_command
from freehold.runtime.saga_machine import Order
from freehold.runtime.saga_store import Instance

M = TypeVar("M", bound=BaseModel)


def build_command(instance: Instance) -> Command:
    """The command whose turn it is. Raises what its `build` raises, or ValidationError when the data lacks a field."""
    step, action = instance.machine.step(instance.state), instance.machine.action(instance.state)
    if step.build is not None and action is step.do:
        return step.build(instance.data)
    assert is_command(action)  # noqa: S101 - nothing else is sent
    return same_fields(action, instance.data)


def origin_of(instance: Instance, causation_id: str) -> Order | None:
    """Which of the instance's commands has this id; None when the event came about in another way."""
    orders = instance.machine.orders(instance.state)
    return next((order for order in orders if str(command_id(instance.id, order)) == causation_id), None)


def command_id(saga_id: UUID, order: Order) -> UUID:
    """The id under which an order's command travels, the same however often it is computed."""
    return uuid5(saga_id, f"{order.step}:{order.attempt}:{order.kind}")


def same_fields(model: type[M], source: BaseModel) -> M:
    """A model filled from another one's fields of the same names."""
    if isinstance(source, model):
        return source
    return model.model_validate({name: getattr(source, name) for name in model.model_fields if hasattr(source, name)})
