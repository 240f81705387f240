"""Password hashes: argon2id, off the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from freehold.model.errors import ConfigurationError

T = TypeVar("T")
CheckHash = Callable[[str, str], bool]


class Passwords:
    """Hashes and verifies passwords with argon2id; the defaults are RFC 9106's for limited memory.

    Args:
        time_cost: passes over the memory.
        memory_kib: memory of one hash, in KiB.
        parallelism: threads of one hash.
        concurrency: how many hashes run at once, the rest wait their turn; the number of processors when None. It
            bounds the memory: `concurrency * memory_kib`.
        legacy: functions `(hash, password) -> bool` for imported hashes, by the hash's prefix, e.g.
            `{"$2": check_bcrypt}`. Such hashes keep working, and `needs_rehash` names them.

    Raises:
        ConfigurationError: argon2 cannot work with the parameters.
    """

    def __init__(
        self,
        *,
        time_cost: int = 3,
        memory_kib: int = 65_536,
        parallelism: int = 4,
        concurrency: int | None = None,
        legacy: Mapping[str, CheckHash] | None = None,
    ) -> None:
        self._hasher = PasswordHasher(time_cost, memory_kib, parallelism)
        self._legacy = dict(legacy or {})
        threads = (os.cpu_count() or 1) if concurrency is None else concurrency
        if min(threads, time_cost, parallelism) < 1 or memory_kib < 8 * parallelism:
            raise ConfigurationError(
                "passwords",
                f"time_cost={time_cost}, memory_kib={memory_kib}, parallelism={parallelism}, concurrency={threads}"
                " cannot work",
                "All are at least 1, and memory_kib at least 8 times parallelism",
            )
        # Threads of its own: a rush of logins neither takes the default pool's nor more memory than planned.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")

    async def hash(self, password: str) -> str:
        """The password's hash, with its parameters and a new salt."""
        return await self._run(self._hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Pass None for a user who does not exist: the answer is False after the same work, so that the time it takes does
        not tell which e-mail addresses are known.

        Raises:
            ValueError: `hashed` is no hash that can be checked, which is a damaged row and no wrong password.
        """
        return await self._run(self._verify, hashed, password)

    def needs_rehash(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than today's: hash again at the next good login."""
        try:
            return self._hasher.check_needs_rehash(hashed)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """Give the threads back; hashes not begun are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_bytes(password))

    def _verify(self, hashed: str | None, password: str) -> bool:
        if hashed is None:
            self._hash(password)
            return False
        for prefix, check in self._legacy.items():
            if hashed.startswith(prefix):
                return check(hashed, password)
        try:
            return self._hasher.verify(hashed, _bytes(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            raise ValueError("the stored password hash is damaged or of no known kind") from None


def _bytes(password: str) -> bytes:
    # JSON can spell half a surrogate pair, which has no UTF-8 of its own: a wrong password, not an error.
    return password.encode("utf-8", "surrogatepass")
