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
        allowed: set[str] = set()
        found = _search(self._root, path[1:].split("/"), 0, [], method, allowed)
        if found is not None:
            return found
        if allowed:
            raise Problem(405, "METHOD_NOT_ALLOWED", headers={"Allow": ", ".join(sorted(allowed))})
        raise Problem(404, "NOT_FOUND", "There is nothing at this path")


def _search(
    node: _Node[T], segments: list[str], at: int, values: list[str], method: str, allowed: set[str]
) -> tuple[T, dict[str, str]] | None:
    if at == len(segments):
        return _end(node, values, method, allowed)
    segment = segments[at]
    below = node.below.get(segment)
    if below is not None:
        found = _search(below, segments, at + 1, values, method, allowed)
        if found is not None:
            return found
    if node.param is not None and segment:
        found = _search(node.param, segments, at + 1, [*values, segment], method, allowed)
        if found is not None:
            return found
    if node.rest is not None:
        return _end(node.rest, [*values, "/".join(segments[at:])], method, allowed)
    return None


def _end(node: _Node[T], values: list[str], method: str, allowed: set[str]) -> tuple[T, dict[str, str]] | None:
    found = node.ends.get(method)
    if found is None:
        allowed.update(node.ends)
        return None
    route, names = found
    return route, dict(zip(names, values, strict=True))


def specificity(path: str) -> tuple[int, ...]:
    """Sorts path templates so that whoever tries them in turn decides as a RouteTable does."""
    return tuple(
        0 if not segment.startswith("{") else 2 if segment.endswith(":path}") else 1
        for segment in path.strip("/").split("/")
    )
