import asyncio
import threading

import pytest

from freehold.identity import Passwords
from freehold.model.errors import ConfigurationError

CHEAP = {"time_cost": 1, "memory_kib": 64, "parallelism": 1}


@pytest.fixture
def passwords():
    passwords = Passwords(**CHEAP, concurrency=2)
    yield passwords
    passwords.close()


async def test_a_password_verifies_and_another_does_not(passwords):
    hashed = await passwords.hash("Secret-1")
    assert hashed.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await passwords.verify(hashed, "Secret-1")
    assert not await passwords.verify(hashed, "secret-1")
    assert not await passwords.verify(hashed, "")


async def test_equal_passwords_have_different_hashes(passwords):
    assert await passwords.hash("Secret-1") != await passwords.hash("Secret-1")


@pytest.mark.parametrize("password", ["", "ü" * 1000, "日本", "\ud800", "a\0b"])
async def test_any_text_is_a_password(passwords, password):
    hashed = await passwords.hash(password)
    assert await passwords.verify(hashed, password)
    assert not await passwords.verify(hashed, password + "x")


async def test_an_unknown_user_costs_the_same_hash(passwords, monkeypatch):
    """Counted, not timed: one argon2 computation with today's parameters either way."""
    import argon2.low_level

    work = []
    real = argon2.low_level.hash_secret

    def counted(secret, salt, **parameters):
        work.append((parameters["time_cost"], parameters["memory_cost"], parameters["parallelism"]))
        return real(secret, salt, **parameters)

    monkeypatch.setattr("argon2._password_hasher.hash_secret", counted)
    assert await passwords.verify(None, "Secret-1") is False
    assert work == [(1, 64, 1)]


async def test_a_damaged_hash_is_an_error_and_no_wrong_password(passwords):
    for damaged in ("", "plain", "$2b$12$abc", "$argon2id$v=19$m=64"):
        with pytest.raises(ValueError, match="damaged or of no known kind"):
            await passwords.verify(damaged, "Secret-1")


async def test_other_parameters_ask_for_a_new_hash_and_still_verify(passwords):
    stronger = Passwords(time_cost=2, memory_kib=64, parallelism=1)
    try:
        hashed = await passwords.hash("Secret-1")
        assert not passwords.needs_rehash(hashed)
        assert stronger.needs_rehash(hashed)
        assert await stronger.verify(hashed, "Secret-1")
    finally:
        stronger.close()


async def test_imported_hashes_keep_working_and_want_a_new_one():
    passwords = Passwords(**CHEAP, legacy={"$2": lambda hashed, password: hashed == f"$2a${password}"})
    try:
        assert await passwords.verify("$2a$Secret-1", "Secret-1")
        assert not await passwords.verify("$2a$Secret-1", "other")
        assert passwords.needs_rehash("$2a$Secret-1")
    finally:
        passwords.close()


async def test_hashing_leaves_the_loop_free_and_runs_a_few_at_a_time():
    running, most, entered, release = 0, 0, threading.Semaphore(0), threading.Event()
    lock = threading.Lock()

    def slow(hashed, password):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        entered.release()
        assert release.wait(10)
        with lock:
            running -= 1
        return True

    passwords = Passwords(**CHEAP, concurrency=2, legacy={"slow": slow})
    try:
        calls = [asyncio.create_task(passwords.verify("slow", "x")) for _ in range(6)]
        for _ in range(2):
            assert await asyncio.to_thread(entered.acquire, timeout=10)
        release.set()
        assert await asyncio.wait_for(asyncio.gather(*calls), 10) == [True] * 6
        assert most == 2
    finally:
        release.set()
        passwords.close()


@pytest.mark.parametrize(
    "wrong", [{"time_cost": 0}, {"parallelism": 0}, {"memory_kib": 7}, {"concurrency": 0}, {"parallelism": 16}]
)
def test_parameters_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"passwords: .*cannot work"):
        Passwords(**(CHEAP | wrong))


def test_the_defaults_are_those_of_rfc_9106_for_limited_memory():
    passwords = Passwords()
    hasher = passwords._hasher
    assert (hasher.time_cost, hasher.memory_cost, hasher.parallelism) == (3, 65_536, 4)
    assert (hasher.type.name, hasher.salt_len, hasher.hash_len) == ("ID", 16, 32)
    passwords.close()
