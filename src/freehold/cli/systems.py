"""Finds the system that a command is about."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.model.errors import ConfigurationError

if TYPE_CHECKING:
    from freehold.model.system import System

CONFIGURATION = "freehold.toml"

SystemName = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="A name, or package.module:attribute.", show_default=False)
]

DeployName = Annotated[
    str,
    typer.Option(
        "--deploy",
        metavar="NAME",
        help="A [deploy.NAME] of freehold.toml; without it [deploy.default], or else embedded SQLite files.",
        show_default=False,
    ),
]


def find_system(name: str) -> System:
    """The system of this name, seen from the working directory.

    Raises:
        ConfigurationError: there is none, or what is there is not a system.
    """
    from freehold.model.system import System

    _look_here()
    module, _, attribute = _address(name).partition(":")
    found = getattr(_import(module), attribute, None)
    if not isinstance(found, System):
        what = f"has no {attribute!r}" if found is None else f"has a {type(found).__name__} there"
        raise ConfigurationError(f"system {name!r}", f"{module} {what}", "Assign it a freehold.System")
    return found


def find_module(name: str, module: str) -> ModuleType:
    """A module beside the system's own, such as the one of its flash sale.

    Raises:
        ConfigurationError: the system has no such module.
    """
    _look_here()
    package = _address(name).partition(":")[0].rpartition(".")[0]
    return _import(f"{package}.{module}")


def find_folder(name: str) -> Path:
    """The folder of the module that declares the system, where what is kept of it under version control lies.

    Raises:
        ConfigurationError: there is no such system.
    """
    _look_here()
    module = _address(name).partition(":")[0]
    return Path(str(_import(module).__file__)).parent


def _look_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _address(name: str) -> str:
    if ":" in name:
        return name
    named = _configured()
    if name in named:
        return named[name]
    for module in (f"systems.{name}", name):
        if name.isidentifier() and Path(*module.split("."), "system.py").is_file():
            return f"{module}.system:system"
    found = sorted({*named, *_here()})
    raise ConfigurationError(
        f"system {name!r}",
        "there is none of this name here",
        f"Here are: {', '.join(found)}"
        if found
        else f"Run it where systems/{name}/system.py is, "
        f"name it under [systems] in {CONFIGURATION}, or give package.module:attribute",
    )


def _here() -> list[str]:
    return [path.parent.name for pattern in ("systems/*/system.py", "*/system.py") for path in Path().glob(pattern)]


def _configured() -> dict[str, str]:
    """The `[systems]` of freehold.toml."""
    path = Path(CONFIGURATION)
    if not path.is_file():
        return {}
    try:
        systems: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("systems", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(CONFIGURATION, f"is not valid TOML: {error}", "Correct that line") from error
    if not isinstance(systems, dict):
        raise ConfigurationError(f"{CONFIGURATION}: systems", "is not a section", "Write [systems], then its names")
    for name, address in systems.items():
        if not isinstance(address, str) or ":" not in address:
            raise ConfigurationError(
                f"{CONFIGURATION}: systems.{name}", f"is {address!r}", 'Write it like "package.module:attribute"'
            )
    return systems


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigurationError(
                f"module {name}", f"there is no {missing}", "Correct the name, or run it in the folder that holds it"
            ) from error
        raise ConfigurationError(f"module {name}", f"needs {missing}, which is not there", "Install it") from error
