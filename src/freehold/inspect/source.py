"""Where declarations are written: files, lines, and which folder belongs to which service."""

from __future__ import annotations

import ast
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from freehold.model.service import Service
from freehold.model.system import System


class Place(NamedTuple):
    """A line of a file, by its path from the working directory where it lies below it."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed Python file."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """What a relative import in it counts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def place(self, node: ast.stmt | ast.expr) -> Place:
        """Where a node of its tree stands."""
        return place(self.path, node.lineno)

    def value(self, node: ast.expr) -> Any:
        """What `name` or `module.name` stands for where the file is imported; None where that is not known."""
        path: list[str] = []
        while isinstance(node, ast.Attribute):
            path.insert(0, node.attr)
            node = node.value
        names = getattr(sys.modules.get(self.name), "__dict__", {})
        first = names.get(node.id) if isinstance(node, ast.Name) else None
        return functools.reduce(lambda found, name: getattr(found, name, None), path, first)


class Source:
    """The source files of a system.

    `packages` maps each service that has a folder of its own to that folder's package; services in one file have none.
    """

    def __init__(self, system: System) -> None:
        self._services = system.services
        self.packages = _apart({service.name: _package(service) for service in system.services})

    def modules(self, service: Service) -> Iterator[Module]:
        """Every file in the service's folder; without one, the files that its declarations are in."""
        package = self.packages.get(service.name)
        if package is None:
            for name in sorted(_declaring_modules(service)):
                path = getattr(sys.modules.get(name), "__file__", None)
                if path:
                    yield _parse(name, Path(path))
            return
        for folder in map(Path, sys.modules[package].__path__):
            for path in sorted(folder.rglob("*.py")):
                parts = path.relative_to(folder).with_suffix("").parts
                inner = parts[:-1] if parts[-1] == "__init__" else parts
                yield _parse(".".join((package, *inner)), path)

    def of(self, declared: Callable[..., Any] | type[Any]) -> Place | None:
        """Where a function or a class is written."""
        declared = inspect.unwrap(declared)
        try:
            file = inspect.getsourcefile(declared)
            return place(file, inspect.getsourcelines(declared)[1]) if file else None
        except (OSError, TypeError):  # made at run time, so there is no source
            return None

    def of_attribute(self, owner: type[Any], name: str) -> Place | None:
        """Where a class, or the base that it has it from, assigns the attribute; the class itself when nobody does."""
        for cls in owner.__mro__:
            path = getattr(sys.modules.get(cls.__module__), "__file__", None)
            if not path:
                continue
            module = _parse(cls.__module__, Path(path))
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                    found = next((line for line in node.body if name in _assigned(line)), None)
                    if found is not None:
                        return module.place(found)
        return self.of(owner)

    def of_call(self, function: str, name: str, service: Service) -> Place | None:
        """Where `function("name", …)` is called, in the service's own files first."""
        for near in (service, *(other for other in self._services if other is not service)):
            for module in self.modules(near):
                for node in ast.walk(module.tree):
                    if isinstance(node, ast.Call) and called(node) == function and _first_argument(node) == name:
                        return module.place(node)
        return None


def called(node: ast.Call) -> str:
    """The last word of what is called: `text` of `sqlalchemy.text(…)`."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def place(file: Path | str, line: int) -> Place:
    """A line of a file."""
    relative = os.path.relpath(file)
    return Place(str(file) if relative.startswith(os.pardir) else relative, line)


@functools.lru_cache(maxsize=1024)
def _parse(name: str, path: Path) -> Module:
    return Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))


def _declaring_modules(service: Service) -> dict[str, None]:
    """The modules that the service's own declarations are written in."""
    declared: list[Any] = [
        *filter(None, [service.tables]),
        *service.publishes,
        *service.answered,
        *(route.handler for route in service.routes),
        *(handler.function for handler in service.handlers),
        *(answer.function for answer in service.answered.values()),
        *(job.function for job in service.jobs),
        *(coalescing.function for coalescing in service.coalescings),
        *service.provided.values(),
        *(view.table for view in service.every_view()),
    ]
    modules = dict.fromkeys(thing.__module__ for thing in declared)
    return {name: None for name in modules if name.split(".")[0] != "freehold"}


def _package(service: Service) -> str | None:
    """The folder named like the service, or else the one its tables are in."""
    modules = _declaring_modules(service)
    for name in modules:
        parts = name.split(".")
        if service.name in parts:
            package = ".".join(parts[: parts.index(service.name) + 1])
            if hasattr(sys.modules.get(package), "__path__"):
                return package
    return next(iter(modules), "").rpartition(".")[0] or None


def _apart(packages: dict[str, str | None]) -> dict[str, str]:
    """Without the packages that are not one service's alone."""
    found = [package for package in packages.values() if package]
    return {
        service: package
        for service, package in packages.items()
        if package and found.count(package) == 1 and not any(other.startswith(f"{package}.") for other in found)
    }


def _assigned(node: ast.stmt) -> list[str]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _first_argument(node: ast.Call) -> object:
    named = [keyword.value for keyword in node.keywords if keyword.arg == "name"]
    first = next(iter([*node.args, *named]), None)
    return first.value if isinstance(first, ast.Constant) else None
