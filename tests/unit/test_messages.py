"""Declarations of messages that cannot be right."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from freehold import Command, DeclarationError, Event, Query


def event_with_key() -> object:
    class Scored(Event, name="game.scored", topic="games", key="game_id"):
        game_id: UUID
        key: str

    return Scored


def inherited() -> object:
    class Fact(Event):
        key: str

    class Scored(Fact, name="game.scored", topic="games", key="key"):
        pass

    return Scored


def command_with_read() -> object:
    class Score(Command, name="game.score", key="game_id"):
        game_id: UUID
        read: bool  # type: ignore[assignment]

    return Score


def query_with_answer() -> object:
    class Ask(Query[str], path="/internal/ask"):
        answer: str  # type: ignore[assignment]

    return Ask


@pytest.mark.filterwarnings("ignore:Field name")  # pydantic's own
@pytest.mark.parametrize(
    ("declare", "field"),
    [(event_with_key, "key"), (inherited, "key"), (command_with_read, "read"), (query_with_answer, "answer")],
)
def test_a_field_that_hides_what_every_message_has_is_refused(declare: Callable[[], object], field: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        declare()
    assert f"has a field '{field}'" in str(refused.value)
    assert f"'entry_{field}'" in str(refused.value)
