"""The README's shop and the how-to's application run exactly as they are printed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
FREEHOLD = str(Path(sys.executable).parent / "freehold")
BLOCK = re.compile(r"```python\n# (?P<path>\S+\.py)\n(?P<code>.*?)```", re.DOTALL)


def write_files(document: Path, folder: Path) -> list[Path]:
    """Every python block whose first line is a path becomes that file."""
    files = []
    for block in BLOCK.finditer(document.read_text()):
        file = folder / block["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block["code"])
        files.append(file)
    return files


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readmes_shop_passes_its_own_test_and_the_checks(tmp_path: Path) -> None:
    files = write_files(ROOT / "README.md", tmp_path)
    assert [file.name for file in files].count("contract.py") == 2
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    assert "1 passed" in run(tmp_path, sys.executable, "-m", "pytest", "-q", "test_shop.py")
    run(tmp_path, FREEHOLD, "check", "shop")


async def test_the_readmes_shop_is_served_as_a_process(tmp_path: Path) -> None:
    write_files(ROOT / "README.md", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [FREEHOLD, "run", "shop", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            base = ""
            while not base:
                line = (await process.stdout.readline()).decode()
                assert line, "the shop ended before it was ready"
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    base = found[0]
            async with httpx.AsyncClient(base_url=base) as client:
                placed = await client.post("/api/v1/orders", json={"price": "3.10", "quantity": 3})
                assert placed.status_code == 201, placed.text
                while (await client.get(f"/api/v1/orders/{placed.json()['id']}")).json()["status"] != "paid":
                    await asyncio.sleep(0.01)
            process.terminate()
            rest = (await process.stdout.read()).decode()
            assert await process.wait() == 0, rest
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize("engine_kind", ["postgres-databases"], indirect=True)
async def test_the_existing_application_delivers(tmp_path: Path, databases: object) -> None:
    url = await databases.url("app")  # type: ignore[attr-defined]
    (file,) = write_files(ROOT / "docs/how-to/existing-application.md", tmp_path)
    program = """
import asyncio, app, httpx
from sqlalchemy import select

async def main():
    engine = app.sessions.kw["bind"]
    async with engine.begin() as connection:
        await connection.run_sync(app.Base.metadata.create_all)
    async with app.lifespan(app.app), httpx.AsyncClient(transport=httpx.ASGITransport(app.app), base_url="http://app") as client:
        ids = [(await client.post("/orders")).json() for _ in range(3)]
        async with asyncio.timeout(20):
            while True:
                async with app.sessions() as session:
                    done = (await session.scalars(select(app.Order.id).where(app.Order.invoiced))).all()
                if sorted(map(str, done)) == sorted(ids):
                    break
                await asyncio.sleep(0.01)
    await engine.dispose()
    print("delivered", len(ids))

asyncio.run(main())
"""
    (tmp_path / "drive.py").write_text(program)
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "drive.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "delivered 3" in done.stdout, done.stdout + done.stderr
    assert file.name == "app.py"
