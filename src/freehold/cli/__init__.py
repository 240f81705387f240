"""The `freehold` command. Each command parses, calls one function of the rooms below, and prints."""

from __future__ import annotations

import gc
import sys

from freehold.model.errors import ConfigurationError, DeclarationError, Unavailable
from freehold.model.problem import Problem

WRONG = 2


def main() -> None:
    """Run the command line, and end with 0 (well), 1 (something was found or failed) or 2 (wrongly asked)."""
    from freehold.cli.app import app

    gc.set_threshold(50_000, 10, 10)  # what a start makes stays: the collector need not walk it again and again
    try:
        app()
    except (DeclarationError, ConfigurationError) as error:
        _fail(error, WRONG)
    except (Unavailable, Problem) as error:
        _fail(error, 1)


def _fail(error: Exception, code: int) -> None:
    told = error.detail if isinstance(error, Problem) else error
    print(f"freehold: {told}", file=sys.stderr)
    sys.exit(code)
