"""A service's own keys: one signs, the replaced ones verify until the last token they signed has expired."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from freehold.identity.keys import Algorithm, KeysUnavailable, SigningKey, VerificationKey, public_key_from_pem
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Clock, SystemClock

_BLOCK = re.compile(
    r"(?:^keep-until (?P<until>\S+)\s*\n)?"
    r"(?P<pem>^-----BEGIN (?P<label>[A-Z ]*KEY)-----$.*?^-----END (?P=label)-----$)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """A key that signs no more. It verifies until `until`, or for as long as it is listed when `until` is None."""

    key: VerificationKey
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Keys:
    active: SigningKey
    retired: dict[str, RetiredKey]


class KeyRing:
    """The keys of one service, in memory or in a file that its processes share.

    As text: one private key in PEM, then any number of public keys, each below a line `keep-until <ISO time>` if it is
    to be dropped one day. A ring is a key source for verifiers in the same process.
    """

    def __init__(self, active: SigningKey, retired: Sequence[RetiredKey] = (), *, clock: Clock | None = None) -> None:
        self._keys = _Keys(active, {entry.key.kid: entry for entry in retired})
        self._clock = clock or SystemClock()
        self._path: Path | None = None
        self._stamp: tuple[int, ...] | None = None

    @classmethod
    def generate(cls, algorithm: Algorithm = "EdDSA", *, clock: Clock | None = None) -> KeyRing:
        """A ring with a new key, in memory only."""
        return cls(SigningKey.generate(algorithm), clock=clock)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], algorithm: Algorithm = "EdDSA", *, clock: Clock | None = None
    ) -> KeyRing:
        """The ring kept in the file `path`; made with a new key, mode 0600, when there is none.

        Processes that start at once end with the same key. `algorithm` matters only for a new key.

        Raises:
            ConfigurationError: the file is unreadable, holds no private key, or others may read it.
        """
        file = Path(path)
        if not file.exists():
            _make_directory(file.parent)
            with _exclusive(file):
                if not file.exists():
                    _replace(file, _to_text(_Keys(SigningKey.generate(algorithm), {})))
        keys, stamp = _load(file)
        ring = cls(keys.active, tuple(keys.retired.values()), clock=clock)
        ring._path, ring._stamp = file, stamp
        return ring

    @classmethod
    def from_pem(cls, text: str, *, clock: Clock | None = None) -> KeyRing:
        """The ring that the text holds, e.g. of a mounted secret.

        A `\\n` spelt with two characters counts as a line's end.

        Raises:
            ConfigurationError: it holds no private key, or more than one.
        """
        keys = _from_text(text.replace("\\n", "\n"), "signing key")
        return cls(keys.active, tuple(keys.retired.values()), clock=clock)

    @classmethod
    def from_environment(cls, variable: str, *, clock: Clock | None = None) -> KeyRing:
        """The ring that an environment variable holds.

        Raises:
            ConfigurationError: it is not set, or holds no private key.
        """
        text = os.environ.get(variable)
        if not text:
            raise ConfigurationError(variable, "is not set", "Put the service's private key there as PEM text")
        keys = _from_text(text.replace("\\n", "\n"), variable)
        return cls(keys.active, tuple(keys.retired.values()), clock=clock)

    @property
    def active(self) -> SigningKey:
        """The key that signs."""
        return self._keys.active

    def find(self, kid: str) -> VerificationKey | None:
        keys = self._keys
        if kid == keys.active.kid:
            return keys.active.public
        entry = keys.retired.get(kid)
        if entry is None or (entry.until is not None and self._clock.now() >= entry.until):
            return None
        return entry.key

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517), the active one first."""
        keys = [self.active.public, *(entry.key for entry in self._current())]
        return {"keys": [key.jwk() for key in keys]}

    def rotate(self, *, keep: float, algorithm: Algorithm | None = None) -> SigningKey:
        """Sign with a new key from now on; the old one still verifies for `keep` seconds.

        A ring in a file is changed there, for every process: the others notice at their next `refresh` and sign with
        the old key until then. So `keep` is at least the longest life of a token plus the time between two refreshes.

        Args:
            keep: seconds.
            algorithm: of the new key; that of the old one when None.
        """
        if self._path is None:
            self._keys = self._rotated(keep, algorithm)
        else:
            with _exclusive(self._path):
                self.reload()
                self._keys = self._rotated(keep, algorithm)
                self._stamp = _replace(self._path, _to_text(self._keys))
        return self.active

    def reload(self) -> None:
        """Read the ring's file again when it has changed; nothing to do for a ring in memory.

        Raises:
            ConfigurationError: as `open`; the keys stay as they were.
        """
        if self._path is None:
            return
        try:
            unchanged = _stamp_of(self._path) == self._stamp
        except OSError as error:
            raise _unreadable(self._path, error) from None
        if not unchanged:
            self._keys, self._stamp = _load(self._path)

    async def refresh(self) -> None:
        """`reload`, in a thread.

        Raises:
            KeysUnavailable: the file cannot be read now; the keys stay as they were.
        """
        if self._path is None:
            return
        try:
            await asyncio.to_thread(self.reload)
        except ConfigurationError as error:
            raise KeysUnavailable(str(error)) from error

    def to_pem(self) -> str:
        """The ring as text that `from_pem` reads. It holds the private key: keep it in a secret, never in a log."""
        return _to_text(self._keys)

    def _current(self) -> list[RetiredKey]:
        now = self._clock.now()
        return [entry for entry in self._keys.retired.values() if entry.until is None or now < entry.until]

    def _rotated(self, keep: float, algorithm: Algorithm | None) -> _Keys:
        old = self.active
        newly = RetiredKey(old.public, self._clock.now() + timedelta(seconds=keep))
        retired = {entry.key.kid: entry for entry in (newly, *self._current())}
        return _Keys(SigningKey.generate(algorithm or old.algorithm), retired)


def _to_text(keys: _Keys) -> str:
    parts = [keys.active.to_pem()]
    for entry in keys.retired.values():
        if entry.until is not None:
            parts.append(f"keep-until {entry.until.isoformat()}\n")
        parts.append(entry.key.to_pem())
    return "".join(parts)


def _from_text(text: str, setting: str) -> _Keys:
    active: list[SigningKey] = []
    retired: dict[str, RetiredKey] = {}
    for block in _BLOCK.finditer(text.replace("\r\n", "\n")):
        if "PRIVATE" in block["label"]:
            active.append(SigningKey.from_pem(block["pem"]))
        else:
            key = public_key_from_pem(block["pem"])
            retired[key.kid] = RetiredKey(key, _time(block["until"], setting))
    if len(active) != 1:
        raise ConfigurationError(
            setting,
            f"holds {len(active)} private keys instead of one",
            "Give one private key as PEM text; older keys follow as public keys",
        )
    return _Keys(active[0], retired)


def _time(text: str | None, setting: str) -> datetime | None:
    if text is None:
        return None
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise ConfigurationError(
            setting, f"keep-until {text!r} is no time with a zone", "Write it like 2030-01-31T12:00:00+00:00"
        )
    return until


def _load(file: Path) -> tuple[_Keys, tuple[int, ...]]:
    # The stamp comes first: a change between the two reads is then seen by the next reload instead of missed.
    try:
        stamp = _stamp_of(file)
        text = file.read_text()
        mode = stat.S_IMODE(file.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigurationError(
            str(file), f"holds a private key that others may read (mode {mode:04o})", f"Run chmod 600 {file}"
        )
    return _from_text(text, str(file)), stamp


def _unreadable(file: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        str(file), f"cannot be read ({type(error).__name__})", "It must be a file that this user may read"
    )


def _stamp_of(file: Path) -> tuple[int, ...]:
    status = file.stat()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            str(directory), f"cannot be made ({error.strerror})", "Choose a folder that this user may write"
        ) from None


def _replace(file: Path, text: str) -> tuple[int, ...]:
    """Put the text in place so that a reader sees all of it or what was there before, even after a power cut."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as draft:  # mode 0600
        try:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
            os.replace(draft.name, file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return _stamp_of(file)


@contextmanager
def _exclusive(file: Path) -> Iterator[None]:
    """Hold other processes off while the ring's file is made or changed; a process that dies lets go."""
    import fcntl  # POSIX only: everything else of this module works without it

    try:
        lock = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            str(file), f"cannot be written ({error.strerror})", "Choose a folder that this user may write"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
