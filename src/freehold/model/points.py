"""Places on Earth as one column that every engine can search by distance.

Where PostgreSQL has PostGIS, and the address says so, a point is a `geography`. Elsewhere it is text that begins with
the number of its cell in a quadtree: cells that lie together are ranges of an ordinary index, and a circle is inside
four of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from math import asin, cos, degrees, radians, sin, sqrt
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Dialect,
    Double,
    String,
    TypeDecorator,
    and_,
    cast,
    false,
    func,
    or_,
    type_coerce,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine, UserDefinedType

EARTH = 6_371_008.7714
"""Metres: the mean radius of WGS 84, which PostGIS has for its sphere, too."""
_NOTHING = 1e-100
"""Degrees that are none: PostgreSQL fails when it squares them."""
_DEPTH = 26
_DIGITS = _DEPTH * 2 // 4
_BEYOND = "g"
"""Sorts behind every cell."""


class Coordinates(NamedTuple):
    """A place on Earth in degrees (WGS 84), longitude first as in GeoJSON."""

    longitude: float
    latitude: float


def metres_between(one: Coordinates, other: Coordinates) -> float:
    """The great-circle distance of two places, on a sphere."""
    (longitude, latitude), (x, y) = one, other
    half = sin(radians(latitude - y) / 2) ** 2
    half += cos(radians(latitude)) * cos(radians(y)) * sin(radians(longitude - x) / 2) ** 2
    return 2 * EARTH * asin(min(1.0, sqrt(half)))


class Geography(UserDefinedType[str]):
    """PostGIS's own type; goes in as EWKT, comes out as EWKB in hexadecimal digits, to the last bit."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "GEOGRAPHY(Point,4326)"

    def literal_processor(self, dialect: Dialect) -> Callable[[str], str]:
        return lambda value: f"'{value}'"  # numbers, as `process_bind_param` writes them


class PointColumn(TypeDecorator[Coordinates]):
    """Coordinates, indexed by an ordinary `Index` or `index=True`; search them by `within`."""

    impl = String(_DIGITS + 52)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if has_postgis(dialect):
            return dialect.type_descriptor(Geography())
        length = _DIGITS + 52
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"))
        return dialect.type_descriptor(String(length, collation="C" if dialect.name == "postgresql" else None))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        longitude, latitude = on_earth(value)
        if has_postgis(dialect):
            return f"SRID=4326;POINT({longitude!r} {latitude!r})"
        return f"{_cell(longitude, latitude, _DEPTH):0{_DIGITS}x} {longitude!r} {latitude!r}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Coordinates | None:
        if value is None:
            return None
        if has_postgis(dialect):
            return Coordinates(*struct.unpack("<dd" if value.startswith("01") else ">dd", bytes.fromhex(value[-32:])))
        return Coordinates(*map(float, value.split()[1:]))


def on_earth(value: Sequence[Any]) -> Coordinates:
    """The same as Coordinates. Raises ValueError when they are not on Earth."""
    longitude, latitude = (_degrees(part) for part in value)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(
            f"point: longitude {longitude} and latitude {latitude} are not on Earth. Longitude comes first"
        )
    return Coordinates(longitude, latitude)


def _degrees(part: Any) -> float:
    number = float(part)
    return number if abs(number) > _NOTHING else 0.0


def has_postgis(dialect: Dialect) -> bool:
    """Whether points are PostGIS's in this database."""
    return bool(getattr(dialect, "postgis", False))


# --- search -----------------------------------------------------------------------------------------------------------


def within(column: Any, centre: Sequence[Any], metres: float) -> ColumnElement[bool]:
    """Whether a point is at most so far from a place, by the great circle.

    An index on the column is used on every engine, and every engine gives the same rows: poles and the antimeridian
    are no edges. The distance is that on a sphere, which differs from that on the ellipsoid by half a per cent at most.

    Args:
        column: a column of the type `Point`.
        centre: longitude and latitude in degrees.
        metres: the distance, not negative.

    Raises:
        ValueError: the centre is not on Earth, or the distance is negative.
    """
    if not metres >= 0:
        raise ValueError(f"within: {metres} metres is no distance")
    return _Within(column, on_earth(centre), float(metres))


class _Within(ColumnElement[bool]):
    """Spelled by the dialect."""

    type = Boolean()
    inherit_cache = False
    _is_implicitly_boolean = True  # else it is compared with 1 where there are no booleans, and no index is used
    __visit_name__ = "within"

    def __init__(self, column: Any, centre: Coordinates, metres: float) -> None:
        self.column = column.__clause_element__() if hasattr(column, "__clause_element__") else column
        self.centre = centre
        self.metres = metres

    @property
    def _from_objects(self) -> Any:
        return self.column._from_objects


@compiles(_Within)
def _spell(element: _Within, compiler: SQLCompiler, **options: Any) -> str:
    column, centre, metres = element.column, element.centre, element.metres
    if has_postgis(compiler.dialect):
        place = cast(f"SRID=4326;POINT({centre.longitude!r} {centre.latitude!r})", Geography())
        near: ColumnElement[bool] = func.ST_DWithin(column, place, metres * 1.000001 + 0.01, False)
        found = cast(column, _Geometry())
        condition = and_(near, _distance(func.ST_X(found), func.ST_Y(found), centre) <= metres)
    elif compiler.dialect.name == "sqlite":
        text = _text(column)
        condition = and_(_in_cells(text, centre, metres), func.freehold_metres(text, *centre) <= metres)
    else:
        text = _text(column)
        part = _part_of_mysql if compiler.dialect.name in ("mysql", "mariadb") else _part_of_postgres
        condition = and_(_in_cells(text, centre, metres), _distance(part(text, 2), part(text, 3), centre) <= metres)
    return f"({compiler.process(condition.self_group(), **options)})"


class _Geometry(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "geometry"


def _text(column: ColumnElement[Any]) -> ColumnElement[str]:
    return type_coerce(column, String())


def _part_of_postgres(text: ColumnElement[str], number: int) -> ColumnElement[float]:
    return cast(func.split_part(text, " ", number), Double)


def _part_of_mysql(text: ColumnElement[str], number: int) -> ColumnElement[float]:
    return cast(func.substring_index(func.substring_index(text, " ", number), " ", -1), Double)


def _distance(longitude: Any, latitude: Any, centre: Coordinates) -> ColumnElement[float]:
    """`metres_between` in SQL."""
    north = func.power(func.sin(func.radians(latitude - centre.latitude) / 2), 2)
    east = func.power(func.sin(func.radians(longitude - centre.longitude) / 2), 2)
    half = north + func.cos(func.radians(latitude)) * cos(radians(centre.latitude)) * east
    return 2 * EARTH * func.asin(func.least(1.0, func.sqrt(half)))


def of_text(value: str | None, longitude: float, latitude: float) -> float | None:
    """How far a stored point is, in metres: the function that SQLite is given."""
    if value is None:
        return None
    return metres_between(Coordinates(*map(float, value.split()[1:])), Coordinates(longitude, latitude))


# --- cells ------------------------------------------------------------------------------------------------------------


def _in_cells(text: ColumnElement[str], centre: Coordinates, metres: float) -> ColumnElement[bool]:
    ranges = [and_(text >= low, text < high) for low, high in ranges_around(centre, metres)]
    return or_(false(), *ranges)


def ranges_around(centre: Coordinates, metres: float) -> list[tuple[str, str]]:
    """Ranges of stored points, the second end not included, in which everything so near lies."""
    cells = set()
    for west, south, east, north in _boxes(centre, metres):
        depth = _DEPTH
        while depth and (east - west > 360 / 2**depth or north - south > 180 / 2**depth):
            depth -= 1
        below = 2 * (_DEPTH - depth)
        corners = (_cell(x, y, depth) for x in (west, east) for y in (south, north))
        cells |= {(cell << below, (cell + 1) << below) for cell in corners}
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(cells):
        if ranges and low <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]))
        else:
            ranges.append((low, high))
    return [(f"{low:0{_DIGITS}x}", _upper(high)) for low, high in ranges]


def _upper(end: int) -> str:
    return f"{end:0{_DIGITS}x}" if end < 1 << 2 * _DEPTH else _BEYOND


def _boxes(centre: Coordinates, metres: float) -> Iterator[tuple[float, float, float, float]]:
    """West, south, east, north of one box, or of two where the antimeridian is between."""
    angle = metres / EARTH * (1 + 1e-9) + 1e-9  # what rounding may cost
    reach = degrees(angle)
    longitude, latitude = centre
    south, north = max(-90.0, latitude - reach), min(90.0, latitude + reach)
    if north >= 90 or south <= -90:
        yield -180, south, 180, north
        return
    # The circle is widest towards the pole, not at its centre.
    aside = degrees(asin(min(1.0, sin(angle) / cos(radians(latitude))))) + 1e-9
    west, east = longitude - aside, longitude + aside
    if west < -180:
        yield west + 360, south, 180, north
        yield -180, south, east, north
    elif east > 180:
        yield west, south, 180, north
        yield -180, south, east - 360, north
    else:
        yield west, south, east, north


def _cell(longitude: float, latitude: float, depth: int) -> int:
    """The number of the cell that a place is in, when the world is halved both ways so many times."""
    most = (1 << depth) - 1
    x = min(most, int((longitude + 180) / 360 * (1 << depth)))
    y = min(most, int((latitude + 90) / 180 * (1 << depth)))
    return _spread(x) << 1 | _spread(y)


def _spread(number: int) -> int:
    """Its bits with a gap before each."""
    spread = 0
    for bit in range(_DEPTH):
        spread |= (number >> bit & 1) << (2 * bit)
    return spread
