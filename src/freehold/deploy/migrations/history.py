"""A history: the revisions of one set of tables, a file each, in the order of their numbers.

    shop/orders/migrations/0002_add_note.py

A revision is a list of steps. Its function is called to name them, and nothing happens to a database meanwhile:

    \"\"\"Orders have a note.\"\"\"

    def upgrade(op: Operations) -> None:
        op.add_column("orders", sa.Column("note", sa.Text()))
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.model.errors import ConfigurationError
from freehold.model.service import Service

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from freehold.deploy.migrations.steps import Step

FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.py")
TOOLKIT = "freehold"
"""What the history of the toolkit's own tables is called."""


@dataclass(frozen=True)
class Revision:
    """One file of a history.

    Args:
        number: four digits, and what a database remembers.
        path: of the file.
    """

    number: str
    path: Path

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        return self.path.stem

    @cached_property
    def message(self) -> str:
        """What it says of itself."""
        said = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or self.name
        return said.partition("\n")[0]

    @cached_property
    def _upgrade(self) -> Callable[[Any], None]:
        spec = importlib.util.spec_from_file_location(f"freehold_revision_{self.name}", self.path)
        if spec is None or spec.loader is None:
            raise ConfigurationError(str(self.path), "cannot be read as Python", "Correct the file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if not callable(upgrade := getattr(module, "upgrade", None)):
            raise ConfigurationError(
                str(self.path), "has no function upgrade", "Write: def upgrade(op: Operations) -> None"
            )
        return upgrade  # type: ignore[no-any-return]

    def steps(self, dialect: Dialect, names: Mapping[str, str]) -> Sequence[Step]:
        """What it does in a database of this dialect, in order.

        Args:
            dialect: of the database.
            names: other names of tables, by the name that the revision calls them.
        """
        from freehold.deploy.migrations.steps import recorded

        return recorded(self._upgrade, dialect, names, where=str(self.path))


@dataclass(frozen=True)
class History:
    """The revisions of a service's tables, or of the toolkit's.

    Args:
        name: the service's, or `freehold`.
        folder: where its files are; there may be none.
        names: other names of tables, by the name that revisions call them.
    """

    name: str
    folder: Path
    names: Mapping[str, str]

    @cached_property
    def revisions(self) -> Sequence[Revision]:
        """All of them, the first one first. Raises ConfigurationError for numbers that are not 1, 2, 3 …"""
        found = sorted(path for path in self.folder.glob("*.py") if path.name != "__init__.py")
        for expected, path in enumerate(found, 1):
            match = FILE.fullmatch(path.name)
            if match is None or int(match[1]) != expected:
                raise ConfigurationError(
                    str(path),
                    f"should be revision {expected:04}: they are counted from 1, and none is there twice",
                    f"Call it {expected:04}_what_it_does.py, and look whether it still follows the one before",
                )
        return [Revision(path.name[:4], path) for path in found]

    @property
    def head(self) -> str:
        """The number of the last revision; empty when there is none."""
        return self.revisions[-1].number if self.revisions else ""

    def after(self, number: str) -> Sequence[Revision]:
        """The revisions that follow a number. Raises ConfigurationError when the number is none of its own."""
        if number and number not in {revision.number for revision in self.revisions}:
            raise ConfigurationError(
                f"history {self.name}",
                f"its database is at revision {number}, and the last one here is {self.head or 'none'}",
                "Deploy the code that belongs to the database, which is newer",
            )
        return [revision for revision in self.revisions if revision.number > number]


def history_of(service: Service) -> History:
    """The service's own history: `migrations/` in the service's folder, `migrations/SERVICE/` where it has none.

    The folder is that of the file which declares the base of its tables.
    """
    if service.tables is None:
        return History(service.name, Path(__file__).parent / "none", {})  # where nothing is
    file = getattr(sys.modules.get(service.tables.__module__), "__file__", None)
    folder = Path(file).parent if file else Path.cwd()
    own = folder / "migrations"
    return History(service.name, own if folder.name == service.name else own / service.name, {})


def toolkit_history(service: Service) -> History:
    """The history of the toolkit's own tables, as the service calls them."""
    return History(TOOLKIT, Path(__file__).parent / "toolkit", service.table_names)
