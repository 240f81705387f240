import asyncio
import logging

import pytest

from freehold.identity import JwksKeys, KeyRing, KeysUnavailable


class Auth:
    """The auth service's key endpoint: counts the requests, and can be down."""

    def __init__(self, document):
        self.document = document
        self.requests = 0
        self.asked = asyncio.Event()

    async def __call__(self):
        self.requests += 1
        self.asked.set()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


async def test_keys_are_fetched_and_found(clock):
    ring = KeyRing.generate(clock=clock)
    keys = JwksKeys(Auth(ring.jwks()), clock=clock)
    assert keys.find(ring.active.kid) is None
    await keys.refresh()
    assert keys.find(ring.active.kid) == ring.active.public


async def test_refreshing_is_limited_to_one_request_per_interval(clock):
    auth = Auth(KeyRing.generate().jwks())
    keys = JwksKeys(auth, minimum_interval=5, clock=clock)
    await asyncio.gather(*(keys.refresh() for _ in range(50)))
    clock.advance(4.999)
    await keys.refresh()
    assert auth.requests == 1
    clock.advance(0.001)
    await keys.refresh()
    assert auth.requests == 2


@pytest.mark.parametrize(
    "answer", [OSError("refused"), {}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}, 7]}, [], None]
)
async def test_a_bad_answer_removes_no_key(clock, caplog, answer):
    ring = KeyRing.generate(clock=clock)
    auth = Auth(ring.jwks())
    keys = JwksKeys(auth, minimum_interval=5, clock=clock)
    await keys.refresh()
    auth.document = answer
    for _ in range(3):
        clock.advance(5)
        with pytest.raises(KeysUnavailable):
            await keys.refresh()
    assert keys.find(ring.active.kid) == ring.active.public
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_too_early_after_a_failure_is_still_a_failure(clock):
    auth = Auth(OSError("refused"))
    keys = JwksKeys(auth, minimum_interval=5, clock=clock)
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await keys.refresh()
    assert auth.requests == 1


async def test_a_withdrawn_key_is_forgotten_and_a_kept_one_stays_the_same_object(clock):
    ring = KeyRing.generate(clock=clock)
    auth = Auth(ring.jwks())
    keys = JwksKeys(auth, minimum_interval=5, clock=clock)
    await keys.refresh()
    old = ring.active.kid
    kept = keys.find(old)
    ring.rotate(keep=60)
    auth.document = ring.jwks()
    clock.advance(5)
    await keys.refresh()
    assert keys.find(old) is kept
    clock.advance(60)
    auth.document = ring.jwks()
    await keys.refresh()
    assert keys.find(old) is None
    assert keys.find(ring.active.kid) is not None


async def test_keep_fresh_goes_on_after_failures():
    ring = KeyRing.generate()
    auth = Auth(OSError("refused"))
    keys = JwksKeys(auth, refresh_interval=0.001, minimum_interval=0)
    task = asyncio.create_task(keys.keep_fresh())
    try:
        async with asyncio.timeout(10):
            await auth.asked.wait()
            auth.document = ring.jwks()
            for _ in range(2):  # the second request begins after the first good answer was taken in
                auth.asked.clear()
                await auth.asked.wait()
    finally:
        task.cancel()
    assert keys.find(ring.active.kid) is not None
    with pytest.raises(asyncio.CancelledError):
        await task
