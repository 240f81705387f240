"""The specification's pass marks, for each of its load shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freehold import LoadMark, LoadReport

HERD_SEATS = 10
LAST_SEAT_CROWD = 100
QUEUE_UP = 100


def usual(step: str) -> Callable[[LoadReport], Sequence[LoadMark]]:
    """Of the scenarios in which there are seats for everybody."""
    return lambda load: [*speed(load, step), *success(load, step)]


def speed(load: LoadReport, step: str) -> Sequence[LoadMark]:
    """The marks that depend on the machine."""
    times = load.time(step)
    return [
        _below("p95 < 500 ms", times.p95, 500),
        _below("p99 < 1 s", times.p99, 1000),
        _below("mean < 200 ms", times.mean, 200),
    ]


def success(load: LoadReport, step: str) -> Sequence[LoadMark]:
    """Shares of what was asked."""
    asked, lost = load.count(step), load.count(f"{step.partition('/')[0]}/unfinished")
    asked += lost + load.count(f"{step.partition('/')[0]}/turned away")
    failed = asked - sum(n for status, n in load.outcomes.get(step, {}).items() if 0 < status < 500)
    return [
        _above("success > 95 %", load.count(step, 201), asked, 95),
        LoadMark("failures < 5 %", f"{failed:,} of {asked:,}", asked > 0 and failed < 0.05 * asked, speed=True),
    ]


def no_5xx(load: LoadReport) -> LoadMark:
    """No server error, in whatever step."""
    return LoadMark("no 5xx", f"{load.failures():,}", load.failures() == 0)


def _below(name: str, milliseconds: float, limit: float) -> LoadMark:
    return LoadMark(name, f"{milliseconds:,.1f} ms", milliseconds < limit, speed=True)


def _above(name: str, part: int, whole: int, percent: float, *, speed: bool = True) -> LoadMark:
    share = 100 * part / whole if whole else 0.0
    return LoadMark(name, f"{share:.2f} % ({part:,} of {whole:,})", share > percent, speed)


def _senseless(why: str) -> Sequence[LoadMark]:
    return [LoadMark("success > 95 %", why, None), LoadMark("failures < 5 %", why, None)]


def exactly(name: str, found: int, wanted: int) -> LoadMark:
    return LoadMark(name, f"{found:,}", found == wanted)


def judge_spike(load: LoadReport) -> Sequence[LoadMark]:
    return [*usual("spike/reserve")(load), no_5xx(load)]


def judge_herd(load: LoadReport) -> Sequence[LoadMark]:
    step = "herd/reserve"
    return [
        exactly("exactly 10 of 100 win", load.count(step, 201), HERD_SEATS),
        exactly("90 are told that there is nothing left", load.count(step, 409), 100 - HERD_SEATS),
        *speed(load, step),
        *_senseless("90 of 100 are to be refused"),
        no_5xx(load),
    ]


def judge_sold_out(load: LoadReport) -> Sequence[LoadMark]:
    step = "empty/reserve"
    refused, asked = load.count(step, 409), load.count(step)
    return [
        LoadMark("everybody is refused", f"{refused:,} of {asked:,}", 0 < refused == asked),
        _below("refusals p95 < 5 ms", load.time(step, 409).p95, 5),
        *speed(load, step),
        *_senseless("nobody is to get a seat"),
        no_5xx(load),
    ]


def judge_rate_limit(load: LoadReport) -> Sequence[LoadMark]:
    step = "flood/reserve"
    asked, limited = load.count(step), load.count(step, 429)
    return [
        LoadMark("somebody is slowed down", f"{limited:,} of {asked:,}", limited > 0),
        _below("429 p95 < 5 ms", load.time(step, 429).p95, 5),
        _above("X-RateLimit headers on > 99 %", load.notes.get("told its limit", 0), asked, 99, speed=False),
        _above("Retry-After on > 90 % of 429", load.notes.get("told when to retry", 0), limited, 90, speed=False),
        *speed(load, step),
        *_senseless("most are to be slowed down"),
        no_5xx(load),
    ]


def judge_dirty(load: LoadReport) -> Sequence[LoadMark]:
    step, last = "degradation/reserve", "last seat/reserve"
    seen = [
        "a repeated request was answered otherwise",
        "no answer after a lost connection",
        "a payment that timed out was never made",
    ]
    return [
        exactly("exactly 1 gets the last seat", load.count(last, 201), 1),
        exactly(f"{LAST_SEAT_CROWD - 1} do not", load.count(last, 409), LAST_SEAT_CROWD - 1),
        *(exactly(f"never: {what}", load.notes.get(what, 0), 0) for what in seen),
        *speed(load, step),
        *success(load, step),
        no_5xx(load),
    ]


def judge_queue(load: LoadReport) -> Sequence[LoadMark]:
    joined, passes = load.count("queue/join", 201), load.notes.get("got a pass", 0)
    booked = load.time("queue/reserve")
    return [
        _above("join > 95 %", joined, QUEUE_UP, 95),
        _above("pass > 80 %", passes, joined, 80),
        _above("booking > 90 %", load.count("queue/reserve", 201), passes, 90),
        _below("booking p95 < 2 s", booked.p95, 2000),
        no_5xx(load),
    ]
