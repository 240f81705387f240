"""Makes the site: pages from templates, the documents beside them, and what the search looks through."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from freehold.inspect.diagrams.svg import DARK, LIGHT, STYLE
from freehold.inspect.site.api import operations
from freehold.inspect.site.facts import Facts, gather
from freehold.inspect.site.pages import GATEWAY, Page, pages
from freehold.model.errors import ConfigurationError
from freehold.model.system import System

Report = Callable[[str, int, int], None]
MANIFEST = "files.txt"
"""Lists every other file of the site, so that the next one takes away what it no longer has."""


def build_site(system: System, report: Report = lambda what, done, total: None) -> dict[str, str]:
    """The text of every file of the site, by its path; the same declarations give the same texts.

    Args:
        system: the declarations.
        report: is told what has been done, how much of it, and how much there is.

    Raises:
        ConfigurationError: Jinja2 is not installed.
        DeclarationError: a route that cannot be served as it is declared.
    """
    environment = _environment()
    facts = gather(system)
    listed = list(pages(facts))
    files = {
        "site.css": _asset("site.css") + _drawing_style(),
        "site.js": _asset("site.js"),
        "search.js": f"window.searchIndex = {_json(list(_searched(facts, listed)))};\n",
        "asyncapi.json": _json(facts.asyncapi),
        **{f"api/{name}.openapi.json": _json(said) for name, said in {GATEWAY: facts.gateway, **facts.openapi}.items()},
    }
    for number, page in enumerate(listed, 1):
        files[page.path] = environment.get_template(page.template).render(facts=facts, page=page, **page.shown)
        report("pages", number, len(listed))
    return dict(sorted(files.items()))


def write_site(files: dict[str, str], folder: Path) -> None:
    """Write the files into a folder: a new one, an empty one, or that of an earlier site, which is replaced.

    Raises:
        ConfigurationError: the folder holds something else, or cannot be written; nothing is written then.
    """
    manifest = folder / MANIFEST
    try:
        if folder.exists() and not manifest.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError("--out", f"{folder} holds something else", "Name a new folder, or an empty one")
        before = manifest.read_text(encoding="utf-8").splitlines() if manifest.exists() else []
        for name in before:
            if name not in files and (folder / name).resolve().is_relative_to(folder.resolve()):
                (folder / name).unlink(missing_ok=True)
        for name, text in {**files, MANIFEST: "".join(f"{name}\n" for name in files)}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError("--out", f"{folder} cannot be written ({error.strerror})", "Name another") from error


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise ConfigurationError("docs", "Jinja2 is missing", "pip install 'freehold[docs]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("freehold.inspect.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["json"] = _json
    environment.globals["gateway"] = GATEWAY
    return environment


def _asset(name: str) -> str:
    return (resources.files("freehold.inspect.site") / "assets" / name).read_text(encoding="utf-8")


def _drawing_style() -> str:
    """Colours follow the reader's system, unless the page's own switch says otherwise."""
    dark = "@media (prefers-color-scheme:dark){:root:not([data-theme=light]) .fd{" + DARK + "}}"
    return f".fd{{{LIGHT}}}\n{dark}\n:root[data-theme=dark] .fd{{{DARK}}}\n{STYLE}\n"


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _searched(facts: Facts, listed: list[Page]) -> Iterator[dict[str, str]]:
    """What can be found: every page, every table and every operation of a service."""
    for page in listed:
        yield _found(page.title, page.kind, page.path, page.words)
    for service, declared in facts.description["services"].items():
        for table, said in declared["tables"].items():
            words = " ".join([service, *said["columns"]])
            yield _found(f"{service}.{table}", "table", f"services/{service}.html#table-{table}", words)
        for operation in operations(facts.openapi[service]):
            title = f"{operation.method} {operation.path}"
            yield _found(title, "route", f"api/{service}.html#{operation.id}", f"{service} {operation.summary}")


def _found(title: str, kind: str, url: str, words: str) -> dict[str, str]:
    return {"title": title, "kind": kind, "url": url, "words": " ".join(words.lower().split())}
