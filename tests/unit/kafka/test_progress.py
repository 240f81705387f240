"""What may be committed of a partition: nothing at or above its lowest unfinished message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.buses.kafka.progress import Progress


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.randoms())
def test_the_position_is_behind_the_last_of_those_that_are_finished_without_a_gap(
    steps: list[int], random: st.Random
) -> None:  # type: ignore[name-defined]
    offsets = [sum(steps[: index + 1]) for index in range(len(steps))]  # transactions and compaction leave holes
    progress = Progress()
    for offset in offsets:
        progress.begin(offset)
    finished: set[int] = set()
    for offset in random.sample(offsets, len(offsets)):
        progress.finish(offset)
        finished.add(offset)
        done = 0
        while done < len(offsets) and offsets[done] in finished:
            done += 1
        assert progress.position == (offsets[done - 1] + 1 if done else None)
        assert progress.unfinished == len(offsets) - len(finished)
        assert progress.span == len(offsets) - done


def test_nothing_is_committed_before_something_is_finished() -> None:
    progress = Progress()
    progress.begin(7)
    assert progress.position is None
