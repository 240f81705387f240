"""The command in surroundings that are wrong: one clear line, exit code 2, and nothing made or changed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import make_url

from freehold.engines.provision import Account, drop_database, drop_role, provision_databases
from systems.booking_rush.system import system

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("freehold")
Freehold = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that has Booking Rush, and no data."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "systems").symlink_to(ROOT / "systems")
    return project


@pytest.fixture
def freehold(folder: Path) -> Freehold:
    """The installed command, as a process of its own: `freehold("run", "booking_rush", FREEHOLD_PORT="0")`."""

    def run(*arguments: str, **variables: str) -> CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments], cwd=folder, env=environment(**variables),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def files(folder: Path) -> dict[str, bytes]:
    """Everything in the project but the system itself."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "systems" not in path.relative_to(folder).parts
    }


def refused(done: CompletedProcess[str], *told: str) -> None:
    """It ended with 2 and one line that tells all this."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("freehold: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for words in told:
        assert words in done.stderr


# --- configuration ----------------------------------------------------------------------------------------------------

FILES = {
    "no TOML": ("[deploy.default\n", ["freehold.toml", "TOML", "line"]),
    "unknown section": ("[deplyo.default]\n", ["deplyo", "is no section", "deploy.NAME"]),
    "deploy is a number": ("deploy = 3\n", ["deploy", "[deploy.NAME]"]),
    "unknown key": ("[deploy.default]\nprot = 80\n", ["prot", "is no setting", "port"]),
    "unknown key of a service": (
        "[deploy.default.services.auth]\ndatabse = 'x'\n",
        ["services.auth.databse", "is no setting", "database"],
    ),
    "unknown service": ("[deploy.default.services.boking]\ndatabase = 'x'\n", ["boking", "It has: auth, ticket"]),
    "unknown setting": (
        "[deploy.default.services.booking.settings]\nhold_minutes = 1\n",
        ["services.booking.settings", "hold_minutes", "reservation_ttl_minutes"],
    ),
    "setting of the wrong type": (
        "[deploy.default.services.payment.settings]\nfull_refund_days = 'a week'\n",
        ["services.payment.settings.full_refund_days", "integer"],
    ),
    "port of the wrong type": ("[deploy.default]\nport = 'http'\n", ["port", "integer", "FREEHOLD_PORT"]),
    "port out of range": ("[deploy.default]\nport = 65536\n", ["port", "65535", "FREEHOLD_PORT"]),
    "unknown layout": ("[deploy.default]\nlayout = 'sharded'\n", ["layout", "embedded", "FREEHOLD_LAYOUT"]),
    "unknown bus": ("[deploy.default]\nbus = 'redis://k:9092'\n", ["bus", "local://", "amqp://"]),
    "unreadable address": ("[deploy.default.services.auth]\ndatabase = 'auth db'\n", ["database", "postgresql://"]),
    "unknown database": (
        "[deploy.default.services.payment]\ndatabase = 'oracle://s3cret@x/y'\n",
        ["database", "oracle://", "postgresql://"],
    ),
    "services is a number": ("[deploy.default]\nservices = 3\n", ["services", "dictionary"]),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file(freehold: Freehold, folder: Path, case: str) -> None:
    text, told = FILES[case]
    (folder / "freehold.toml").write_text(text)

    done = freehold("run", "booking_rush", "--port", "0") if "port" not in case else freehold("run", "booking_rush")

    refused(done, *told)
    assert "s3cret" not in done.stderr
    assert list(made(folder)) == ["freehold.toml"]


VARIABLES = {
    "not a number": ({"FREEHOLD_PORT": "eighty"}, ["port", "integer", "FREEHOLD_PORT"]),
    "not a switch": ({"FREEHOLD_RATE_LIMITS": "perhaps"}, ["rate_limits", "boolean", "FREEHOLD_RATE_LIMITS"]),
    "misspelt": ({"FREEHOLD_PROT": "80"}, ["FREEHOLD_PROT", "is no setting", "FREEHOLD_PORT"]),
    "too deep": ({"FREEHOLD_PORT__X": "80"}, ["port"]),
    "nothing after the prefix": ({"FREEHOLD_": "80"}, ["FREEHOLD_", "is no setting"]),
    "services without one": ({"FREEHOLD_SERVICES": "x"}, ["services", "dictionary"]),
    "a service without a key": ({"FREEHOLD_SERVICES__AUTH": "x"}, ["services.auth", "dictionary"]),
    "both": (
        {"FREEHOLD_SERVICES__AUTH": "x", "FREEHOLD_SERVICES__AUTH__DATABASE": "sqlite:///x"},
        ["FREEHOLD_SERVICES__AUTH__DATABASE", "is no setting"],
    ),
    "unknown service": ({"FREEHOLD_SERVICES__BOKING__DATABASE": "x"}, ["boking", "booking"]),
    "unknown setting": ({"FREEHOLD_SERVICES__AUTH__SETTINGS__TLT": "1"}, ["services.auth.settings", "tlt"]),
    "short secret": (
        {"FREEHOLD_LAYOUT": "databases", "FREEHOLD_SECRET": "s3cret", "FREEHOLD_DATABASE_SERVER": "postgresql://x"},
        ["FREEHOLD_SECRET", "32"],
    ),
    "no server": ({"FREEHOLD_LAYOUT": "schemas"}, ["FREEHOLD_DATABASE_SERVER", "is not set", "'schemas'"]),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_a_wrong_variable(freehold: Freehold, folder: Path, case: str) -> None:
    variables, told = VARIABLES[case]

    arguments = () if case == "too deep" or "FREEHOLD_PORT" in variables else ("--port", "0")
    done = freehold("run", "booking_rush", *arguments, **variables)

    refused(done, *told)
    assert "s3cret" not in done.stderr
    assert made(folder) == {}


def made(folder: Path) -> dict[str, bytes]:
    """What it left but the lock, which goes before everything else."""
    return {name: content for name, content in files(folder).items() if not name.endswith("/lock")}


def test_an_unknown_system(freehold: Freehold, folder: Path) -> None:
    refused(freehold("run", "boking_rush"), "boking_rush", "there is none of this name", "booking_rush")
    assert files(folder) == {}


def test_an_unknown_deployment(freehold: Freehold, folder: Path) -> None:
    refused(freehold("run", "booking_rush", "--deploy", "prod"), "deploy.prod", "freehold.toml")
    assert files(folder) == {}


# --- what is there already --------------------------------------------------------------------------------------------


def test_an_occupied_port(freehold: Freehold, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused(freehold("run", "booking_rush", "--port", port), "port", f"127.0.0.1:{port}", "in use", "--port")
    assert files(folder) == {}


def test_an_address_that_is_not_ours(freehold: Freehold, folder: Path) -> None:
    refused(freehold("run", "booking_rush", "--host", "192.0.2.1", "--port", "0"), "192.0.2.1:0", "cannot be listened")
    refused(freehold("run", "booking_rush", "--host", "no-such-host.invalid", "--port", "0"), "no-such-host.invalid")
    assert files(folder) == {}


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The system, at work on the project's data folder."""
    process = subprocess.Popen(
        [COMMAND, "run", "booking_rush", "--port", "0", "--no-demo"], cwd=folder, env=environment(),
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "answers at" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with started(folder) as process:
        yield process


def test_a_second_process_on_the_same_folder(freehold: Freehold, folder: Path, running: subprocess.Popen[str]) -> None:
    for arguments in (("run", "booking_rush", "--port", "0"), ("load", "booking_rush", "demo")):
        refused(freehold(*arguments), "another process already runs this system", "FREEHOLD_DATA")
    assert running.poll() is None
    assert freehold("dead-letters", "list", "booking_rush", "booking").returncode == 0  # only looks


def test_the_folder_is_free_again_however_the_process_ended(folder: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.communicate()
    with started(folder) as next_one:
        assert next_one.poll() is None


def test_a_data_folder_that_cannot_be_written(freehold: Freehold, folder: Path) -> None:
    (folder / "file").write_text("mine")
    run, migrate = ("run", "booking_rush", "--port", "0"), ("migrate", "booking_rush")
    for path, arguments in (("file", run), ("file/below", migrate), ("/proc/freehold", run)):
        refused(freehold(*arguments, FREEHOLD_DATA=path), "data: ", path, "cannot be written to", "FREEHOLD_DATA")
    assert files(folder) == {"file": b"mine"}


def test_a_file_that_is_no_database(freehold: Freehold, folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"these are my notes, and they stay\n" * 100)
    before = files(folder)
    for arguments in (("run", "booking_rush", "--port", "0"), ("migrate", "booking_rush", "payment")):
        done = freehold(*arguments, FREEHOLD_SERVICES__PAYMENT__DATABASE="sqlite:///notes.txt")
        refused(done, "database", "notes.txt is not an SQLite database", "another file")
    assert made(folder) == before


def test_a_folder_where_the_database_should_be(freehold: Freehold, folder: Path) -> None:
    done = freehold("run", "booking_rush", "--port", "0", FREEHOLD_SERVICES__PAYMENT__DATABASE="sqlite:///systems")
    refused(done, "database", "systems", "cannot be opened")
    assert made(folder) == {}


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def databases(url: str) -> dict[str, str]:
    names = [service.name.upper() for service in system.services]
    return {f"FREEHOLD_SERVICES__{service}__DATABASE": url for service in names}


def test_a_server_that_cannot_be_reached(freehold: Freehold, folder: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but it does not listen
        port = nobody.getsockname()[1]
        url = f"postgresql://me:s3cret@127.0.0.1:{port}/auth"
        done = [
            freehold("run", "booking_rush", "--port", "0", **databases(url)),
            freehold("migrate", "booking_rush", **databases(url)),
            freehold("dead-letters", "list", "booking_rush", "auth", **databases(url)),
            freehold("run", "booking_rush", "--port", "0", FREEHOLD_LAYOUT="databases", FREEHOLD_DATABASE_SERVER=url),
        ]
    for each in done:
        refused(each, f"127.0.0.1:{port}", "Start ", "correct")
        assert "s3cret" not in each.stderr
    assert {Path(name).name for name in made(folder)} <= {"secret"}


@pytest.fixture
async def account(postgres_url: str) -> Iterator[str]:
    """The URL of a role that may log in to one database of its own."""
    name = f"surroundings_{os.getpid()}"
    urls = await provision_databases(postgres_url, [Account(role=name, password="r1ght", namespace=name)])
    yield urls[name]
    await drop_database(postgres_url, name)
    await drop_role(postgres_url, name)


async def test_a_server_that_does_not_let_us_in(freehold: Freehold, folder: Path, account: str) -> None:
    right = make_url(account)
    run, migrate = ("run", "booking_rush", "--port", "0"), ("migrate", "booking_rush", "payment")
    for told, url, arguments in (
        ("password authentication failed", right.set(password="s3cret"), run),
        ("does not exist", right.set(database="no_such_database"), migrate),
    ):
        address = url.render_as_string(hide_password=False)
        done = freehold(*arguments, **databases(account) | {"FREEHOLD_SERVICES__PAYMENT__DATABASE": address})
        refused(done, "services.payment.database", told, "FREEHOLD_SERVICES__PAYMENT__DATABASE")
        assert "s3cret" not in done.stderr
        assert "r1ght" not in done.stderr
    assert made(folder) == {}
    assert await tables(account) == []


async def tables(url: str) -> list[str]:
    """The tables of a database."""
    import asyncpg  # type: ignore[import-untyped]

    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [row["tablename"] for row in rows]
    finally:
        await connection.close()
