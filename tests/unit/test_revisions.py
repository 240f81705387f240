"""What `freehold revision` writes, and what is refused of a history."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import CheckConstraint, ForeignKey, column
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import ConfigurationError, ExactDecimal, Money, Percent, Point, Portable, Service, TimeOfDay, Timestamp
from freehold.deploy.migrations.author import history_from_zero, write_revision
from freehold.deploy.migrations.declared import declared_tables
from freehold.deploy.migrations.history import History, history_of
from systems.booking_rush.system import system as booking_rush
from systems.petpro.system import system as petpro


def service(columns: dict[str, tuple[Any, dict[str, bool]]], *, others: bool = False) -> Service:
    """A service with a table `things` of these columns."""

    class Base(Portable, DeclarativeBase):
        pass

    annotations = {"id": Mapped[int]} | {name: Mapped[kind] for name, (kind, _) in columns.items()}
    space = {"id": mapped_column(primary_key=True)} | {
        name: mapped_column(**options) for name, (_, options) in columns.items()
    }
    type("Thing", (Base,), {"__tablename__": "things", "__annotations__": annotations, **space})
    if others:

        class Other(Base):
            __tablename__ = "others"
            id: Mapped[int] = mapped_column(primary_key=True)
            thing_id: Mapped[int] = mapped_column(ForeignKey("things.id"), unique=True)

    return Service("shop", tables=Base)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History("shop", tmp_path / "migrations", {})


def again(history: History) -> History:
    """The same folder, read anew."""
    return History(history.name, history.folder, history.names)


async def written(columns: dict[str, tuple[Any, dict[str, bool]]], history: History, **more: Any) -> list[str]:
    """The names of the files that are written, and the steps in them; afterwards the history says what the models say."""
    found = service(columns, **more)
    paths = await write_revision(found, "a change", again(history))
    assert await history_from_zero(again(history), declared_tables(found)) == []
    revisions = [revision for revision in again(history).revisions if revision.path in paths]
    return [f"{r.name}: {step.text}" for r in revisions for step in r.steps(SQLiteDialect(), {})]


MONEY = (Money, {})
NOTE = (str | None, {})
STATUS = (Literal["open", "paid"], {})


async def test_the_first_one_holds_all_tables_in_types_that_any_database_has(history: History) -> None:
    columns = {
        "total": MONEY, "status": STATUS, "at": (Timestamp, {}), "place": (Point | None, {}),
        "opens": (TimeOfDay, {}), "more": (dict[str, Any], {}),
        "name": (str, {"index": True}),
    }  # fmt: skip
    assert await written(columns, history, others=True) == [
        "0001_a_change: create table things",
        "0001_a_change: create index ix_things_name",
        "0001_a_change: create table others",
    ]
    text = (history.folder / "0001_a_change.py").read_text()
    assert '"""A change."""' in text
    for line in (
        "freehold.ExactDecimal(precision=12, scale=2)", "freehold.UtcDateTime()", "freehold.JsonDocument()",
        "freehold.PointColumn(", "freehold.TimeTz(", "sa.Enum('open', 'paid', name='status', native_enum=False, "
        "create_constraint=True, length=32)",
    ):  # fmt: skip
        assert line in text
    assert not re.search(r"VARCHAR|sqlite\.", text)


async def test_nothing_is_written_when_there_is_nothing_to_say(history: History) -> None:
    await written({"note": NOTE}, history)
    assert await written({"note": NOTE}, history) == []


async def test_what_can_run_beside_the_version_before_is_one_revision(history: History) -> None:
    await written({"note": NOTE}, history)
    later = {
        "note": NOTE,
        "tag": (str | None, {"index": True}),
        "status": (Literal["a", "b"] | None, {}),
    }
    assert await written(later, history, others=True) == [
        "0002_a_change: create table others",
        "0002_a_change: add column things.status",
        "0002_a_change: add column things.tag",
        "0002_a_change: create index ix_things_tag",
    ]


async def test_what_takes_away_comes_second(history: History) -> None:
    """A column that goes may be left out first, one that is required may be left out at first."""
    await written({"total": MONEY}, history)
    assert await written({"cents": (int, {})}, history) == [
        "0002_a_change: add column things.cents",
        "0002_a_change: alter column things.total: NULL",
        "0003_a_change_contract: alter column things.cents: NOT NULL",
        "0003_a_change_contract: drop column things.total",
    ]
    text = (history.folder / "0002_a_change.py").read_text()
    assert "existing_type=freehold.ExactDecimal(precision=12, scale=2)" in text


async def test_a_column_that_is_optional_already_is_only_dropped(history: History) -> None:
    await written({"note": NOTE}, history)
    assert await written({}, history) == ["0002_a_change: drop column things.note"]


async def test_another_value_of_an_enum_is_another_check(history: History) -> None:
    await written({"status": STATUS}, history)
    assert await written({"status": (Literal["open", "paid", "lost"], {})}, history) == [
        "0002_a_change: drop constraint ck_things_status",
        "0003_a_change_contract: add constraint ck_things_status",
    ]


async def test_a_check_on_a_decimal_is_said_as_each_database_keeps_it(history: History) -> None:
    def shops(*, checked: bool, of: str = "shops") -> Service:
        class Base(Portable, DeclarativeBase):
            pass

        class Shop(Base):
            __tablename__ = of
            id: Mapped[int] = mapped_column(primary_key=True)
            rate: Mapped[Percent]
            if checked:
                __table_args__ = (CheckConstraint(column("rate", ExactDecimal(5, 2)) <= 100, "rate"),)

        return Service("shop", tables=Base)

    said = "freehold.spelled('rate <= 100', sqlite='rate <= 10000')"
    for checked, of, line in (
        (False, "shops", "create_table('shops'"),
        (True, "shops", f"op.create_check_constraint(op.f('ck_shops_rate'), 'shops', {said})"),
        (True, "stores", f"sa.CheckConstraint({said}, name=op.f('ck_stores_rate'))"),
    ):
        (path, *_) = await write_revision(shops(checked=checked, of=of), "a change", again(history))
        assert line in path.read_text()
        assert await history_from_zero(again(history), declared_tables(shops(checked=checked, of=of))) == []
    (step,) = [s for s in again(history).revisions[1].steps(PGDialect(), {}) if "ck_shops_rate" in s.text]
    assert step.sql(PGDialect()) == ["ALTER TABLE shops ADD CONSTRAINT ck_shops_rate CHECK (rate <= 100);"]


async def test_keys_come_and_go(history: History) -> None:
    await written({"note": NOTE}, history)
    unique = {"note": (str | None, {"unique": True})}
    assert await written(unique, history) == ["0002_a_change: add constraint uq_things_note"]
    assert await written({"note": NOTE}, history) == ["0003_a_change: drop constraint uq_things_note"]
    index = {"note": (str | None, {"unique": True, "index": True})}
    assert await written(index, history) == ["0004_a_change: create index ix_things_note"]
    assert await written({"note": NOTE}, history) == ["0005_a_change: drop index ix_things_note"]


async def test_a_table_that_goes_is_dropped_in_a_revision_of_its_own(history: History) -> None:
    await written({}, history, others=True)
    assert await written({}, history) == ["0002_a_change: drop table others"]


async def test_a_message_without_a_word_is_refused(history: History) -> None:
    with pytest.raises(ConfigurationError, match="'…' has no word in it"):
        await write_revision(service({}), "…", history)


@pytest.mark.parametrize("names", [["0002_b.py"], ["0001_a.py", "0001_b.py"], ["0001_a.py", "0003_b.py"], ["first.py"]])
def test_numbers_follow_each_other(names: list[str], history: History) -> None:
    history.folder.mkdir()
    for name in names:
        (history.folder / name).touch()
    with pytest.raises(ConfigurationError, match=r"should be revision 000[12]: they are counted from 1"):
        assert history.revisions


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("op.get_bind()", r"asks the database by op\.get_bind\(\)"),
        ("op.batch_alter_table('things')", r"uses op\.batch_alter_table"),
    ],
)
def test_a_revision_only_names_its_steps(body: str, problem: str, history: History) -> None:
    history.folder.mkdir()
    (history.folder / "0001_a.py").write_text(f"def upgrade(op):\n    {body}\n")
    with pytest.raises(ConfigurationError, match=rf"0001_a\.py: {problem}"):
        history.revisions[0].steps(SQLiteDialect(), {})


def test_a_revision_without_its_function_is_refused(history: History) -> None:
    history.folder.mkdir()
    (history.folder / "0001_a.py").write_text("upgrade = None\n")
    with pytest.raises(ConfigurationError, match="has no function upgrade"):
        history.revisions[0].steps(SQLiteDialect(), {})


@pytest.mark.parametrize(
    ("step", "breaks"),
    [
        ("op.add_column('things', sa.Column('a', sa.Text()))", False),
        ("op.add_column('things', sa.Column('a', sa.Text(), nullable=False, server_default=''))", False),
        ("op.add_column('things', sa.Column('a', sa.Text(), nullable=False))", True),
        ("op.drop_column('things', 'a')", True),
        ("op.drop_table('things')", True),
        ("op.rename_table('things', 'others')", True),
        ("op.alter_column('things', 'a', new_column_name='b')", True),
        ("op.alter_column('things', 'a', type_=sa.Text())", True),
        ("op.alter_column('things', 'a', existing_type=sa.Text(), nullable=False)", True),
        ("op.alter_column('things', 'a', existing_type=sa.Text(), nullable=True)", False),
        ("op.create_index('ix_a', 'things', ['a'])", False),
        ("op.create_index('ix_a', 'things', ['a'], unique=True)", True),
        ("op.drop_index('ix_a', 'things')", False),
        ("op.create_unique_constraint('uq_a', 'things', ['a'])", True),
        ("op.drop_constraint('uq_a', 'things', type_='unique')", False),
        ("op.execute('UPDATE things SET a = 1')", False),
        ("op.execute('ALTER TABLE things DROP COLUMN a')", True),
    ],
)
def test_what_processes_of_the_version_before_could_trip_over(step: str, breaks: bool, history: History) -> None:
    history.folder.mkdir()
    (history.folder / "0001_a.py").write_text(f"import sqlalchemy as sa\n\ndef upgrade(op):\n    {step}\n")
    (found,) = history.revisions[0].steps(SQLiteDialect(), {})
    assert bool(found.breaks) == breaks


@pytest.mark.parametrize(
    "named", [pytest.param(each, id=f"{of.name}.{each.name}") for of in (booking_rush, petpro) for each in of.services]
)
async def test_the_histories_of_the_systems_lead_to_their_models(named: Service) -> None:
    assert history_of(named).head >= "0001"
    assert await history_from_zero(history_of(named), declared_tables(named)) == []
