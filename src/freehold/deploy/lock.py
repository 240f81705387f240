"""One process at a time on a data folder."""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path
from uuid import uuid4

from freehold.model.errors import ConfigurationError


class FolderTaken(ConfigurationError):
    """Another process has the lock."""


class FolderLock:
    """Held until released or until the process ends, however it ends: the kernel gives it back.

    Args:
        folder: the data folder, made where it is missing.
        name: of the lock's file.

    Attributes:
        identity: what this holder is called.
        predecessor: what the holder before was called, who is dead now; empty when there was none.

    Raises:
        FolderTaken: another process has it.
        ConfigurationError: nothing can be written there.
    """

    def __init__(self, folder: Path, name: str = "lock") -> None:
        make_folder(folder)
        try:
            self._file = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise FolderTaken(
                str(folder.name),
                "another process already runs this system on this data folder, and the local bus is for one",
                "Stop the other process, or give this one another folder by FREEHOLD_DATA",
            ) from None
        self.predecessor = os.read(self._file, 64).decode()
        self.identity = uuid4().hex[:12]
        os.pwrite(self._file, self.identity.encode(), 0)

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._file)


def take_slot(folder: Path, name: str) -> FolderLock:
    """A lock for one of several processes of a kind: the first that is free.

    Whoever had it before is dead, so that the new holder may take over what that one had leased.
    """
    for number in itertools.count():
        try:
            return FolderLock(folder, f"{name}.{number}.lock")
        except FolderTaken:
            continue
    raise AssertionError("unreachable")


def make_folder(folder: Path) -> None:
    """Make the data folder where it is missing. Raises ConfigurationError when that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "data",
        f"{folder} cannot be written to ({error.strerror})",
        "Make it writable, or give another folder by FREEHOLD_DATA",
    )
