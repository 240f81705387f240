"""What coalesced calls and idempotency keys decide without a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from freehold.model.errors import DeclarationError
from freehold.model.problem import Problem
from freehold.model.service import Coalescing, Service
from freehold.runtime.coalesce import Coalescer
from freehold.runtime.once import Once, Stored, fingerprint
from freehold.runtime.transaction import Tx


class Answer(BaseModel):
    number: int


class ProcessWithoutDatabase:
    """As much of a running service as is needed to declare, not to call."""

    service = Service("seats")

    def work(self) -> None:
        return None


def coalescer(function: Any) -> Coalescer:
    declared = Coalescing(function.__name__, function, key=lambda call: call, max_batch=10, max_wait=0)
    return Coalescer(ProcessWithoutDatabase(), declared)  # type: ignore[arg-type]


async def plain(calls: Sequence[int], tx: Tx) -> list[Answer]:
    raise NotImplementedError


async def refusing(calls: Sequence[int], tx: Tx) -> Sequence[Answer | Problem]:
    raise NotImplementedError


async def either(calls: Sequence[int], tx: Tx) -> Sequence[Answer | UUID | Exception]:
    raise NotImplementedError


async def nothing(calls: Sequence[int], tx: Tx) -> Sequence[Problem | None]:
    raise NotImplementedError


async def silent(calls: Sequence[int], tx: Tx):  # type: ignore[no-untyped-def]
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (plain, Answer(number=1)),
        (refusing, Answer(number=2)),
        (either, Answer(number=3)),
        (either, UUID(int=4)),
        (nothing, None),
    ],
)
def test_an_answer_is_stored_and_read_as_the_function_says(function: Any, answer: Any) -> None:
    queue = coalescer(function)
    stored = queue._stored(Once("alice", "k", "f", 201), answer)
    assert stored.status == 201
    assert queue._read(stored) == answer


def test_a_problem_is_stored_as_its_document_and_read_as_itself() -> None:
    problem = Problem(409, "INSUFFICIENT_SEATS", "three are left", left=3, zone=UUID(int=7))
    again = coalescer(refusing)._read(Stored.of(problem))
    assert isinstance(again, Problem)
    assert (again.status, again.code, again.detail) == (409, "INSUFFICIENT_SEATS", "three are left")
    assert again.extra == {"left": 3, "zone": str(UUID(int=7))}


def test_a_function_that_does_not_say_what_it_answers_cannot_take_keys() -> None:
    with pytest.raises(DeclarationError, match=r"seats\.silent.*Sequence\[Reserved \| Problem\]"):
        coalescer(silent)._stored(Once("alice", "k", "f"), 1)


@pytest.mark.parametrize("key", ["", "x" * 201, "line\nbreak", "nul\0"])
def test_a_key_that_cannot_be_kept_is_refused(key: str) -> None:
    with pytest.raises(Problem) as refused:
        Once("alice", key, "f")
    assert (refused.value.status, refused.value.code) == (400, "INVALID_IDEMPOTENCY_KEY")


def test_a_key_of_two_hundred_characters_is_taken() -> None:
    assert Once("alice", "é" * 200, "f").identity == ("alice", "é" * 200)


def test_the_fingerprint_tells_method_path_and_body_apart() -> None:
    same = fingerprint("POST", "/orders", b"{}")
    assert same == fingerprint("post", "/orders", b"{}")
    assert len(same) == 64
    others = [("PUT", "/orders", b"{}"), ("POST", "/orders/1", b"{}"), ("POST", "/orders", b"{ }"), ("POST", "/", b"")]
    assert len({same, *(fingerprint(*request) for request in others)}) == 5


@pytest.mark.parametrize(
    ("status", "final"), [(200, True), (201, True), (404, True), (409, True), (408, False), (429, False), (500, False)]
)
def test_what_asks_to_try_again_is_no_final_answer(status: int, final: bool) -> None:
    assert Stored(status, b"{}").final is final
