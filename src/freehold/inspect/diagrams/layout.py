"""A layered layout: nodes in ranks, edges from one rank to another that go round the nodes between them.

After Sugiyama: ranks, order within each rank by barycentres, places by least squares. Directions are called depth (from
rank to rank) and breadth (along a rank), so that the same serves from left to right and from top to bottom.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt

from freehold.inspect.diagrams.ranks import ranks

Point = tuple[float, float]
_SWEEPS = 24
_SETTLING = 12
_LANE = 6.0
_BETWEEN = 24.0
_LOOP = 14.0


@dataclass(frozen=True, slots=True)
class Node:
    """A box of this size."""

    name: str
    depth: float
    breadth: float


@dataclass(frozen=True, slots=True)
class Edge:
    """From one node to another.

    Args:
        source, target: names of nodes; the same one twice is a loop at its side.
        leaves, enters: where along the breadth of each.
        label: its size as depth and breadth; None without.
    """

    source: str
    target: str
    leaves: float
    enters: float
    label: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is, as (depth, breadth).

    Args:
        size: of the whole.
        nodes: the first corner of each.
        paths: the points each edge goes through; a loop's are those of one curve.
        labels: the middle of each edge's label.
    """

    size: Point
    nodes: dict[str, Point]
    paths: list[list[Point]]
    labels: list[Point | None]


@dataclass(eq=False, slots=True)
class _Slot:
    """A node, a label, or the place where an edge passes a rank; `joins` are (slot, own offset, its offset)."""

    breadth: float
    depth: float = 0.0
    passes: bool = False
    at: float = 0.0
    before: list[tuple[_Slot, float, float]] = field(default_factory=list)
    after: list[tuple[_Slot, float, float]] = field(default_factory=list)


def layout(nodes: Sequence[Node], edges: Sequence[Edge], *, gap: Point, shape: float) -> Layout:
    """Places for nodes and edges; the same input always gets the same.

    Args:
        nodes, edges: what there is.
        gap: how far ranks are apart, at least and at most.
        shape: the depth of the whole divided by its breadth, about.
    """
    straight = [edge for edge in edges if edge.source != edge.target]
    loops = [edge for edge in edges if edge.source == edge.target]
    step = 2 if any(edge.label for edge in edges) else 1
    pairs = [(edge.source, edge.target) for edge in straight]
    sizes = {node.name: node.breadth + _BETWEEN for node in nodes}
    level = ranks(sizes, pairs, step=step, limit=_limit(nodes, gap, shape))
    slots = {node.name: _Slot(node.breadth, node.depth + _beside(node, loops)) for node in nodes}
    layers = [
        [slots[n.name] for n in nodes if level[n.name] == rank] for rank in range(max(level.values(), default=0) + 1)
    ]
    chains = [_chain(edge, slots, level, layers) for edge in straight]
    _order(layers)
    _place(layers)
    starts, ends = _depths(layers, gap)
    corners = {name: (starts[level[name]], slot.at) for name, slot in slots.items()}
    places = _Places(corners, {node.name: node.depth for node in nodes}, starts, ends)
    paths: list[list[Point]] = []
    labels: list[Point | None] = []
    chained = iter(chains)
    turns: dict[str, int] = {}
    for edge in edges:
        if edge.source == edge.target:
            turns[edge.source] = turns.get(edge.source, 0) + 1
            paths.append(places.loop(edge, turns[edge.source]))
            labels.append(None)
        else:
            chain = next(chained)
            paths.append(places.path(edge, chain))
            labels.append(places.label(chain))
    size = (max(ends, default=0.0), max((slot.at + slot.breadth for layer in layers for slot in layer), default=0.0))
    return Layout(size, corners, paths, labels)


def _limit(nodes: Sequence[Node], gap: Point, shape: float) -> float:
    """How much a rank may hold so that the whole gets its shape."""
    if not nodes:
        return 0.0
    depth = sum(node.depth for node in nodes) / len(nodes) + sum(gap) / 2
    breadths = [node.breadth + _BETWEEN for node in nodes]
    return max(*breadths, 0.0, sqrt(sum(breadths) * depth / shape))


def _beside(node: Node, loops: Sequence[Edge]) -> float:
    return _LOOP * (count + 1) if (count := sum(edge.source == node.name for edge in loops)) else 0.0


@dataclass(frozen=True, slots=True)
class _Chain:
    """An edge from its end in the lower rank to that in the higher one; `label` is the slot of its label."""

    slots: list[_Slot]
    first: int
    label: _Slot | None
    backwards: bool


def _chain(edge: Edge, slots: dict[str, _Slot], level: dict[str, int], layers: list[list[_Slot]]) -> _Chain:
    """Slots in every rank between the two ends, joined one to the next."""
    backwards = level[edge.source] > level[edge.target]
    low, high = (edge.target, edge.source) if backwards else (edge.source, edge.target)
    leaves, enters = (edge.enters, edge.leaves) if backwards else (edge.leaves, edge.enters)
    between = [_Slot(_LANE, passes=True) for _ in range(level[low] + 1, level[high])]
    labelled = None
    if edge.label:
        index = -1 if backwards else 0
        labelled = between[index] = _Slot(edge.label[1], edge.label[0])
    for rank, slot in enumerate(between, level[low] + 1):
        layers[rank].append(slot)
    chain = [slots[low], *between, slots[high]]
    offsets = [leaves, *(slot.breadth / 2 for slot in between), enters]
    for index in range(len(chain) - 1):
        one, other = chain[index], chain[index + 1]
        one.after.append((other, offsets[index], offsets[index + 1]))
        other.before.append((one, offsets[index + 1], offsets[index]))
    return _Chain(chain, level[low], labelled, backwards)


# --- order and places -------------------------------------------------------------------------------------------------


def _wanted(slot: _Slot, joins: Sequence[tuple[_Slot, float, float]]) -> float:
    """Where its edges would be straight on average."""
    if not joins:
        return slot.at
    pull = [_pull(slot, other) for other, _, _ in joins]
    ways = (other.at + theirs - own for other, own, theirs in joins)
    return sum(weight * way for weight, way in zip(pull, ways, strict=True)) / sum(pull)


def _pull(slot: _Slot, other: _Slot) -> float:
    """Where an edge passes rank after rank it is to be straight above all."""
    return 4.0 if slot.passes and other.passes else 1.0


def _order(layers: list[list[_Slot]]) -> None:
    """Sweep up and down, each rank sorted by what the one before wants; keep the order with the fewest crossings."""
    for layer in layers:
        _settle(layer, lambda slot: 0.0)
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = {slot: _wanted(slot, slot.before if down else slot.after) for slot in layer}
            layer.sort(key=wanted.__getitem__)
            _swap(layer)
            _settle(layer, wanted.__getitem__)
        if (found := _crossings(layers)) < fewest:
            best, fewest = [list(layer) for layer in layers], found
    layers[:] = best


def _swap(layer: list[_Slot]) -> None:
    """Change neighbours in a rank as long as that saves crossings."""
    for _ in layer:
        changed = False
        for index in range(len(layer) - 1):
            one, other = layer[index : index + 2]
            if _crossed(one, other) > _crossed(other, one):
                layer[index : index + 2] = other, one
                changed = True
        if not changed:
            return


def _crossed(one: _Slot, other: _Slot) -> int:
    """How many edges of two slots cross each other when the first comes before the second."""
    return sum(
        a.at + theirs > b.at + its
        for mine, others in ((one.before, other.before), (one.after, other.after))
        for a, _, theirs in mine
        for b, _, its in others
    )


def _crossings(layers: Sequence[Sequence[_Slot]]) -> int:
    total = 0
    for layer in layers[:-1]:
        ends = sorted((slot.at + own, other.at + theirs) for slot in layer for other, own, theirs in slot.after)
        seen: list[float] = []
        for _, end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _place(layers: Sequence[Sequence[_Slot]]) -> None:
    """Move the slots of each rank, in their order, to where their edges are straightest."""
    for layer in layers:
        _settle(layer, lambda slot: 0.0)
    for turn in range(_SETTLING):
        down = turn % 2 == 0
        for layer in layers if down else reversed(layers):
            last = turn >= _SETTLING - 2
            wanted = {
                slot: _wanted(slot, slot.before + slot.after if last else slot.before if down else slot.after)
                for slot in layer
            }
            _settle(layer, wanted.__getitem__)
    first = min((slot.at for layer in layers for slot in layer), default=0.0)
    for layer in layers:
        for slot in layer:
            slot.at -= first


def _settle(layer: Sequence[_Slot], wanted: Callable[[_Slot], float]) -> None:
    """Give each slot the place it wants, as nearly as the order and the room between them allow.

    The least squares fit under these conditions, by pooling adjacent violators.
    """
    reach, offsets = 0.0, list[float]()
    for index, slot in enumerate(layer):
        if index:
            before = layer[index - 1]
            reach += before.breadth + (_LANE if before.passes and slot.passes else _BETWEEN * 0.7)
        offsets.append(reach)
    pools: list[tuple[float, float, int]] = []  # the sum of what they want, their weight, how many there are
    for slot, offset in zip(layer, offsets, strict=True):
        weight = 1.0 + sum(_pull(slot, other) for other, _, _ in (*slot.before, *slot.after))
        pools.append(((wanted(slot) - offset) * weight, weight, 1))
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            later, earlier = pools.pop(), pools.pop()
            pools.append((earlier[0] + later[0], earlier[1] + later[1], earlier[2] + later[2]))
    bases = [total / weight for total, weight, count in pools for _ in range(count)]
    for slot, base, offset in zip(layer, bases, offsets, strict=True):
        slot.at = base + offset


# --- from slots to points ---------------------------------------------------------------------------------------------


def _depths(layers: Sequence[Sequence[_Slot]], gap: Point) -> tuple[list[float], list[float]]:
    """Where each rank starts and ends; ranks are further apart where edges have a longer way along them."""
    starts, ends = list[float](), list[float]()
    at = 0.0
    for layer in layers:
        starts.append(at)
        ends.append(at + max((slot.depth for slot in layer), default=0.0))
        ways = [abs(slot.at + own - other.at - theirs) for slot in layer for other, own, theirs in slot.after]
        at = ends[-1] + min(gap[1], gap[0] + 0.2 * max(ways, default=0.0))
    return starts, ends


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the nodes' corners are and how deep they go, and where each rank starts and ends."""

    corners: dict[str, Point]
    depths: dict[str, float]
    starts: list[float]
    ends: list[float]

    def path(self, edge: Edge, chain: _Chain) -> list[Point]:
        """Through the middle of each slot, straight from one side of its rank to the other."""
        low, high = (edge.target, edge.source) if chain.backwards else (edge.source, edge.target)
        leaves, enters = (edge.enters, edge.leaves) if chain.backwards else (edge.leaves, edge.enters)
        side, along = self.corners[low][0] + self.depths[low], self.corners[low][1] + leaves
        points = [(side, along), (self.ends[chain.first], along)]
        for rank, slot in enumerate(chain.slots[1:-1], chain.first + 1):
            middle = slot.at + slot.breadth / 2
            points += [(self.starts[rank], middle), (self.ends[rank], middle)]
        points.append((self.corners[high][0], self.corners[high][1] + enters))
        return points[::-1] if chain.backwards else points

    def label(self, chain: _Chain) -> Point | None:
        """The middle of the edge's label."""
        if chain.label is None:
            return None
        rank = chain.first + chain.slots.index(chain.label)
        return (self.starts[rank] + self.ends[rank]) / 2, chain.label.at + chain.label.breadth / 2

    def loop(self, edge: Edge, turn: int) -> list[Point]:
        """A curve beside the node, further out than the earlier ones."""
        corner = self.corners[edge.source]
        side, first, last = corner[0] + self.depths[edge.source], corner[1] + edge.leaves, corner[1] + edge.enters
        out = side + _LOOP * (turn + 0.4) / 0.75  # a curve comes three quarters of the way to its control points
        return [(side, first), (out, first), (out, last), (side, last)]
