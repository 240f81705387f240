"""Search by distance: the same rows on every engine, with PostGIS and without, and by an index."""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Index, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Coordinates, Point, Portable, metres_between, within
from freehold.engines import open_engine
from freehold.engines.provision import Account, drop_database, drop_role, provision_databases
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Engine
from tests.databases import Databases
from tests.matrix import on_engines
from tests.servers.postgres import install_postgis

pytestmark = pytest.mark.guarantee("G9")


class Base(Portable, DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shops"
    __table_args__ = (Index("ix_shops_place", "place"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[Point | None]


CENTRES = [
    Coordinates(106.660172, 10.762622),
    Coordinates(180.0, 0.0),
    Coordinates(-179.999, -16.5),
    Coordinates(179.95, 66.0),
    Coordinates(0.0, 90.0),
    Coordinates(25.0, -89.9),
    Coordinates(-180.0, -90.0),
    Coordinates(0.0, 0.0),
]
DISTANCES = [0.0, 1.0, 250.0, 20_000.0, 1_000_000.0, 12_000_000.0, 20_100_000.0]


def _places() -> dict[int, Coordinates]:
    """Some anywhere, some close to each centre, the centres themselves, and the edges of the map."""
    chance = random.Random(4)
    found = [*CENTRES, Coordinates(-180.0, 0.0), Coordinates(180.0, 90.0), Coordinates(0.1 + 0.2, 1e-99)]
    found += [
        Coordinates(chance.uniform(-180, 180), math.degrees(math.asin(chance.uniform(-1, 1)))) for _ in range(300)
    ]
    for centre in CENTRES:
        for reach in (1e-5, 1e-3, 0.1, 5):
            for _ in range(8):
                longitude = (centre.longitude + chance.uniform(-reach, reach) + 540) % 360 - 180
                latitude = max(-90.0, min(90.0, centre.latitude + chance.uniform(-reach, reach)))
                found.append(Coordinates(longitude, latitude))
    return dict(enumerate(found))


PLACES = _places()


async def with_shops(engine: Engine) -> Engine:
    await engine.create(Base.metadata)
    async with engine.write() as connection:
        await connection.execute(
            engine.upsert(Shop.__table__, [{"id": i, "place": p} for i, p in PLACES.items()], key=["id"])
        )  # type: ignore[arg-type]
        await connection.execute(insert(Shop).values(id=-1, place=None))
    return engine


@pytest.fixture
async def engine(databases: Databases) -> Engine:
    return await with_shops(await databases.open("orders"))


@pytest.fixture
async def postgis(postgres_url: str) -> AsyncIterator[Engine]:
    """A service's engine on a database with PostGIS."""
    install_postgis()
    name = f"geo_{secrets.token_hex(4)}"
    account = Account(role=name, password=secrets.token_urlsafe(12), namespace=name)
    [url] = (await provision_databases(f"{postgres_url}?postgis=true", [account])).values()
    engine = open_engine(url)
    yield await with_shops(engine)
    await engine.close()
    await drop_database(postgres_url, name)
    await drop_role(postgres_url, name)


async def check_all(engine: Engine) -> None:
    async with engine.read() as connection:
        stored = dict((await connection.execute(select(Shop.id, Shop.place).where(Shop.id >= 0))).all())
        assert stored == PLACES, "to the last bit"
        for centre in CENTRES:
            for metres in DISTANCES:
                found = set(await connection.scalars(select(Shop.id).where(within(Shop.place, centre, metres))))
                near = {i for i, place in PLACES.items() if metres_between(centre, place) <= metres}
                unsure = {
                    i for i in found ^ near if abs(metres_between(centre, PLACES[i]) - metres) < 1e-6 * metres + 1e-3
                }
                assert found ^ near == unsure, (centre, metres)
                assert metres != 1.0 or not unsure


async def plan(engine: Engine) -> str:
    statement = select(Shop.id).where(within(Shop.place, CENTRES[0], 500.0))
    async with engine.write() as connection:
        if engine.dialect == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        sql = str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if engine.dialect == "sqlite" else "EXPLAIN"
        rows = await connection.exec_driver_sql(f"{explain} {sql.replace('%', '%%')}")
        return "\n".join(" ".join(map(str, row)) for row in rows)


async def test_every_engine_finds_what_is_near(engine: Engine) -> None:
    await check_all(engine)


async def test_a_search_uses_the_index(engine: Engine) -> None:
    assert "ix_shops_place" in await plan(engine)


async def test_a_condition_beside_it_and_a_second_search_are_their_own(engine: Engine) -> None:
    async with engine.read() as connection:
        for number in (0, 1, 4):
            near = select(Shop.id).where(within(Shop.place, PLACES[number], 0.0), Shop.id == number)
            assert list(await connection.scalars(near)) == [number]
            far = select(Shop.id).where(~within(Shop.place, PLACES[number], 100.0), Shop.id == number)
            assert list(await connection.scalars(far)) == []


async def test_postgis_finds_the_same_and_by_its_own_index(postgis: Engine) -> None:
    await check_all(postgis)
    assert "ix_shops_place" in await plan(postgis)
    async with postgis.read() as connection:
        kind = await connection.scalar(
            text("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'place'")
        )
        index = await connection.scalar(text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_shops_place'"))
    assert "geography(Point,4326)" in str(kind)
    assert "USING gist" in str(index)


@on_engines("postgres-schemas", why="PostGIS is PostgreSQL's")
async def test_an_address_that_promises_postgis_where_there_is_none(databases: Databases) -> None:
    engine = await databases.open("orders", postgis=True)
    with pytest.raises(ConfigurationError, match="has no PostGIS that the service's role finds"):
        await engine.create(Base.metadata)
