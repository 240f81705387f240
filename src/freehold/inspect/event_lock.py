"""`events.lock`: every published schema of a system's events and commands, and what may become of it.

A reader of today meets what was written before it was deployed, and a reader that was deployed before meets what is
written today: a change is compatible when both can read. Everything else is a new version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from freehold.inspect.message_schema import Schema, schema_of
from freehold.model.errors import ConfigurationError
from freehold.model.messages import Message
from freehold.model.system import System

FILE = "events.lock"
Entries = Mapping[str, Mapping[int, Schema]]


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between what is declared and what is locked.

    Args:
        message: its name on the wire.
        version: of it.
        what: the message, `topic`, `key`, or a field by its path, like `items[].sku`.
        problem: what became of it.
        verdict: `new`, `compatible` or `incompatible`; `gone` where it is declared no more.
        remedy: of an incompatible one.
    """

    message: str
    version: int
    what: str
    problem: str
    verdict: Literal["new", "compatible", "incompatible", "gone"]
    remedy: str = ""

    def __str__(self) -> str:
        what = f"{self.what} " if self.what else ""
        return f"{self.message} version {self.version}: {what}{self.problem}. {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class EventLock:
    """What the file says: each message's versions."""

    entries: Entries

    @classmethod
    def of(cls, system: System) -> EventLock | None:
        """The lock nearest to the system's messages, in their module's folder or a package's above it; None without.

        Raises ConfigurationError for a file that is none.
        """
        for module in sorted({message.__module__ for message in system.messages().values()}):
            file = getattr(sys.modules.get(module), "__file__", None)
            for folder in Path(file).parents[: module.count(".") + 1] if file else ():
                if (lock := cls.read(folder)) is not None:
                    return lock
        return None

    @classmethod
    def read(cls, folder: Path) -> EventLock | None:
        """The lock in a folder; None when there is no file. Raises ConfigurationError for what is none."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls({
                name: {int(number): Schema(entry["topic"], entry["key"], entry["fields"])
                       for number, entry in versions.items()}
                for name, versions in document.items()
            })  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                str(path), f"is not what `freehold events lock` writes ({error})", "Take it back from version control"
            ) from None

    def write(self, folder: Path) -> None:
        """Write the file, a line for each field, so that differences can be read."""
        (folder / FILE).write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """What the file holds: the same entries give the same text."""
        return f"{{\n{_joined(_message(name, versions) for name, versions in sorted(self.entries.items()))}\n}}\n"

    def changes(self, system: System) -> list[Change]:
        """How the system's declarations differ from the lock, by message."""
        declared = system.messages()
        found = [change for name in sorted(declared) for change in self.changes_of(declared[name])]
        gone = [
            Change(name, max(self.entries[name]), "", "is declared no more", "gone")
            for name in sorted(self.entries.keys() - declared.keys())
        ]
        return [*found, *gone]

    def changes_of(self, message: type[Message]) -> Iterator[Change]:
        """How one message differs."""
        name, version = message.__message__.name, message.__message__.version
        locked, declared = self.entries.get(name, {}), schema_of(message)
        if locked and version < max(locked):
            yield Change(
                name, version, "", f"is below {max(locked)}, which is locked", "incompatible",
                f"Declare version={max(locked)} again, or a newer one",
            )  # fmt: skip
            return
        for other in sorted(locked):
            if locked[other].topic != declared.topic:
                yield Change(
                    name, version, "topic", f"is {declared.topic}, and version {other} is in {locked[other].topic}",
                    "incompatible", "What is under way there would be read by nobody: give the event another name",
                )  # fmt: skip
                return
        if version not in locked:
            yield Change(name, version, "", "is not in the lock", "new")
            return
        for what, problem, is_compatible in locked[version].differences(declared):
            verdict: Literal["compatible", "incompatible"] = "compatible" if is_compatible else "incompatible"
            remedy = (
                "" if is_compatible else f"Declare version={version + 1}, and what {version} means by upcast({version})"
            )
            yield Change(name, version, what, problem, verdict, remedy)

    def with_declared(self, system: System) -> EventLock:
        """The lock with what the system declares; versions of before stay."""
        entries = {name: dict(versions) for name, versions in self.entries.items()}
        for name, message in system.messages().items():
            entries.setdefault(name, {})[message.__message__.version] = schema_of(message)
        return EventLock(entries)


def _message(name: str, versions: Mapping[int, Schema]) -> str:
    numbers = _joined(f"    {_version(number, schema)}" for number, schema in sorted(versions.items()))
    return f"  {json.dumps(name)}: {{\n{numbers}\n  }}"


def _version(number: int, schema: Schema) -> str:
    head = f'"{number}": {{"topic": {json.dumps(schema.topic)}, "key": {json.dumps(schema.key)}, "fields": {{'
    fields = _joined(f"      {json.dumps(name)}: {json.dumps(field)}" for name, field in sorted(schema.fields.items()))
    return f"{head}\n{fields}\n    }}}}"


def _joined(lines: Iterator[str]) -> str:
    return ",\n".join(lines)
