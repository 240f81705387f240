"""Finding the route that a request is for."""

from __future__ import annotations

from typing import Generic, TypeVar

from freehold.model.problem import Problem

T = TypeVar("T")


class _Node(Generic[T]):
    """One segment of the paths; `ends` are the routes that end here, by method, with the names of their parameters."""

    __slots__ = ("below", "ends", "param", "rest")

    def __init__(self) -> None:
        self.below: dict[str, _Node[T]] = {}
        self.param: _Node[T] | None = None
        self.rest: _Node[T] | None = None
        self.ends: dict[str, tuple[T, tuple[str, ...]]] = {}


class RouteTable(Generic[T]):
    """Routes by method and path template; a literal segment goes before `{name}`, and that before `{name:path}`."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literal: dict[tuple[str, str], T] = {}

    def add(self, method: str, path: str, route: T) -> None:
        """Add a route; the first one of a method and path stays."""
        node, names = self._root, []
        for segment in path.strip("/").split("/"):
            if not segment.startswith("{"):
                node = node.below.setdefault(segment, _Node())
                continue
            name, _, kind = segment[1:-1].partition(":")
            names.append(name)
            if kind == "path":
                node.rest = node = node.rest or _Node()
            else:
                node.param = node = node.param or _Node()
        node.ends.setdefault(method, (route, tuple(names)))
        if not names:
            self._literal.setdefault((method, path), route)

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]]:
        """The route and its path parameters. Raises a Problem: 404 for an unknown path, 405 for a wrong method."""
        literal = self._literal.get((method, path))
        if literal is not None:
            return literal, {}
        search = _Search[T](method, path[1:].split("/"))
        found = search.below(self._root, 0, ())
        if found is not None:
            return found
        if search.allowed:
            allowed = ", ".join(sorted(search.allowed))
            raise Problem(405, "METHOD_NOT_ALLOWED", f"Here it is {allowed}", headers={"Allow": allowed})
        raise Problem(404, "NOT_FOUND", "There is nothing at this path")


class _Search(Generic[T]):
    """One walk down the table, which remembers what other methods the path has."""

    def __init__(self, method: str, segments: list[str]) -> None:
        self._method = method
        self._segments = segments
        self.allowed: set[str] = set()

    def below(self, node: _Node[T], at: int, values: tuple[str, ...]) -> tuple[T, dict[str, str]] | None:
        if at == len(self._segments):
            return self._end(node, values)
        segment = self._segments[at]
        literal = node.below.get(segment)
        found = None if literal is None else self.below(literal, at + 1, values)
        if found is None and node.param is not None and segment:
            found = self.below(node.param, at + 1, (*values, segment))
        if found is None and node.rest is not None:
            found = self._end(node.rest, (*values, "/".join(self._segments[at:])))
        return found

    def _end(self, node: _Node[T], values: tuple[str, ...]) -> tuple[T, dict[str, str]] | None:
        found = node.ends.get(self._method)
        if found is None:
            self.allowed.update(node.ends)
            return None
        route, names = found
        return route, dict(zip(names, values, strict=True))


def specificity(path: str) -> tuple[int, ...]:
    """Sorts path templates so that whoever tries them in turn decides as a RouteTable does."""
    return tuple(
        0 if not segment.startswith("{") else 2 if segment.endswith(":path}") else 1
        for segment in path.strip("/").split("/")
    )


def below(path: str, prefix: str) -> bool:
    """Whether the path is the prefix itself or lies beneath it."""
    prefix = prefix.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")
