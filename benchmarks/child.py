"""One side of a comparison in a process of its own: arguments in, figures out, as JSON over its standard streams."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


async def run(target: str, **arguments: Any) -> dict[str, float]:
    """The figures of `module:function(**arguments)`, an async function, from a fresh process under uvloop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.child", target,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    output, _ = await process.communicate(json.dumps(arguments).encode())
    if process.returncode:
        raise RuntimeError(f"{target} failed with exit code {process.returncode}")
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def main() -> None:
    """Be the child."""
    import uvloop

    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(uvloop.run(function(**json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
