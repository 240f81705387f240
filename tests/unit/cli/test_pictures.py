from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

Freehold = Callable[..., CompletedProcess[str]]


def test_one_diagram_is_printed_as_it_is(freehold: Freehold) -> None:
    done = freehold("diagram", "shop", "--kind", "events")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("flowchart LR\n")


def test_several_are_printed_as_markdown(freehold: Freehold) -> None:
    done = freehold("diagram", "shop")

    assert done.stdout.count("```mermaid\n") == 3
    assert done.stdout.startswith("## shop: tables of all services\n")


def test_svg_is_printed_or_written(freehold: Freehold, folder: Path) -> None:
    assert freehold("diagram", "shop", "--kind", "calls", "--format", "svg").stdout.startswith("<svg ")

    done = freehold("diagram", "shop", "--format", "svg", "--out", "drawn")

    assert done.stdout == "drawn: 3 diagrams\n"
    assert sorted(path.name for path in (folder / "drawn").iterdir()) == ["calls.svg", "er.svg", "events.svg"]


def test_several_svgs_need_a_folder(freehold: Freehold) -> None:
    done = freehold("diagram", "shop", "--format", "svg")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--out: is needed for 3 diagrams as SVG" in done.stderr


def test_a_service_that_is_not_there_is_named(freehold: Freehold) -> None:
    done = freehold("diagram", "shop", "--service", "payments")

    assert done.returncode == 2
    assert "shop has no 'payments'. It has: orders, auth" in done.stderr


def test_the_site_is_written(freehold: Freehold, folder: Path) -> None:
    done = freehold("docs", "shop", "--out", "site")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("pages: ")
    assert (folder / "site" / "index.html").is_file()
    assert (folder / "site" / "asyncapi.json").is_file()
    assert freehold("docs", "shop", "--out", "site").returncode == 0


def test_the_site_goes_into_no_folder_with_something_else(freehold: Freehold, folder: Path) -> None:
    done = freehold("docs", "shop", "--out", "systems")

    assert done.returncode == 2
    assert "systems holds something else" in done.stderr
    assert not (folder / "systems" / "index.html").exists()
