"""A saga as a state diagram: its steps, what turns it back, and how it undoes itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from freehold.inspect.diagrams.drawing import (
    Box,
    Description,
    Drawing,
    Link,
    Mark,
    Picture,
    Row,
    colours,
    mermaid,
    quoted,
)

LEGEND: tuple[tuple[Mark, str], ...] = (("solid", "forwards"), ("dashed", "turned back"))
_START, _COMPLETED, _COMPENSATED, _ATTENTION = "start", "completed", "compensated", "needs_attention"
_NARROW = 0.2
_ENDS = {_COMPLETED: "completed", _COMPENSATED: "compensated", _ATTENTION: "needs attention"}
Said = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Transition:
    """From one state to the next; `back` once the saga has turned back."""

    source: str
    target: str
    why: str
    back: bool = False


def saga_states(description: Description, saga: Said) -> Picture:
    """The states of a saga."""
    found = list(transitions(saga))
    return Picture(f"saga-{saga['name']}", _mermaid(saga, found), _drawing(description, saga, found))


def transitions(saga: Said) -> Iterator[Transition]:
    """Every way from state to state; states are `do N` and `undo N` for the steps by number, and the ends."""
    steps = saga["steps"]
    yield Transition(_START, "do 0", "")
    for index, step in enumerate(steps):
        onwards = f"do {index + 1}" if index + 1 < len(steps) else _COMPLETED
        yield Transition(f"do {index}", onwards, step["ok"] or "done")
        yield from _failures(saga, index, onwards)
    for index, step in reversed(list(enumerate(steps))):
        if step["undo"] is not None:
            yield Transition(f"undo {index}", _back_from(steps, index), step["undone"] or "undone", back=True)
            if _is_local(step["undo"]) or step["undone"]:
                why = "keeps failing" if _is_local(step["undo"]) else f"no {step['undone']}"
                yield Transition(f"undo {index}", _ATTENTION, why, back=True)


def _failures(saga: Said, index: int, onwards: str) -> Iterator[Transition]:
    """What becomes of a step that is not done: an effect that is uncertain is undone like one that is certain."""
    step, before = saga["steps"][index], _back_from(saga["steps"], index)
    refused = step["fail"] or ("fails" if _is_local(step["do"]) else "")
    limited = not _is_local(step["do"]) and (step["timeout"] or saga["deadline"])
    late = f"no answer in {_seconds(step['timeout'] or saga['deadline'])}" if limited else ""
    if not step["critical"]:
        why = " or ".join(filter(None, (refused, late)))
        if why:
            yield Transition(f"do {index}", onwards, f"skipped: {why}")
        return
    own = f"undo {index}" if step["undo"] is not None else before
    if refused and late and own == before:
        yield Transition(f"do {index}", before, f"{refused} or {late}", back=True)
        return
    if refused:
        yield Transition(f"do {index}", before, refused, back=True)
    if late:
        yield Transition(f"do {index}", own, late, back=True)


def _back_from(steps: list[Said], index: int) -> str:
    """Where a saga goes that has nothing of this step to undo, or has undone it."""
    return next((f"undo {each}" for each in reversed(range(index)) if steps[each]["undo"] is not None), _COMPENSATED)


def _is_local(action: str | None) -> bool:
    return action is not None and action.endswith("()")


def _seconds(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _begins(saga: Said) -> str:
    return str(saga["starts_on"] or "tx.start()")


def _states(saga: Said, found: list[Transition]) -> dict[str, str]:
    """Each state that can be reached, with its title."""
    titles = {_START: _begins(saga), **_ENDS}
    for index, step in enumerate(saga["steps"]):
        titles |= {f"do {index}": step["name"], f"undo {index}": f"undo {step['name']}"}
    reached = {_START} | {each.target for each in found}
    return {state: title for state, title in titles.items() if state in reached}


def _drawing(description: Description, saga: Said, found: list[Transition]) -> Drawing:
    colour = colours(description)
    boxes = []
    for state, title in _states(saga, found).items():
        if state in (_START, *_ENDS):
            boxes.append(Box(state, title, colour=colour[saga["service"]] if state == _START else None, shape="pill"))
            continue
        kind, _, index = state.partition(" ")
        step = saga["steps"][int(index)]
        by = _carries_out(description, saga, step[kind])
        boxes.append(Box(state, title, [Row(line) for line in _details(step, kind)], colour[by]))
    links = [Link(each.source, each.target, label=each.why, mark="dashed" if each.back else "solid") for each in found]
    title = f"saga {saga['name']} of {saga['service']}"
    return Drawing(title, boxes, links, LEGEND, downwards=True, shape=_NARROW)


def _carries_out(description: Description, saga: Said, action: str | None) -> str:
    command = description["commands"].get(action)
    return str(command["handler"] if command else saga["service"])


def _details(step: Said, kind: str) -> Iterator[str]:
    yield step[kind] or "waits for a signal"
    if kind == "undo":
        return
    limits = [f"within {_seconds(step['timeout'])}"] if step["timeout"] else []
    if step["retries"]:
        limits.append(f"{step['retries']} {'retry' if step['retries'] == 1 else 'retries'}")
    if limits:
        yield ", ".join(limits)


def _mermaid(saga: Said, found: list[Transition]) -> str:
    names = {state: state.replace(" ", "") for state in _states(saga, found)}
    names[_START] = "[*]"
    lines = [
        f"state {quoted(title)} as {names[state]}" for state, title in _states(saga, found).items() if state != _START
    ]
    for each in found:
        why = each.why or _begins(saga)
        lines.append(f"{names[each.source]} --> {names[each.target]} : {why.replace(':', ',')}")
    lines += [f"{names[end]} --> [*]" for end in (_COMPLETED, _COMPENSATED) if end in names]
    return mermaid("stateDiagram-v2", lines)
