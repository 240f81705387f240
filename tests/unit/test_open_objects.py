"""From an address to objects: what is unknown or missing is told, and nothing is opened before it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from freehold import ConfigurationError
from freehold.deploy.config import read
from freehold.model.system import System
from freehold.stores.objects import open_objects
from freehold.stores.objects.bucket import BucketObjects
from freehold.stores.objects.folder import FolderObjects
from freehold.stores.objects.store import obstore


def opened(url: str) -> object:
    return open_objects(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "Use file:// or s3://"),
        ("ftp://h", "Use file:// or s3://"),
        ("file://host/x", "names no folder"),
        ("file:x", "names no folder"),
        ("s3://", "names no bucket"),
        ("s3://key:hunter2@bucket", "Set AWS_ACCESS_KEY_ID"),
        ("s3://bucket?secret=hunter2", "There are: endpoint, region"),
        ("s3://bucket?endpoint=minio:9000", "Begin it with http"),
        ("file:///x?endpoint=http://h", "There are: largest_upload"),
        ("file:///x?largest_upload=1GB", "Write a whole one"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secret(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as refused:
        opened(url)
    assert "hunter2" not in str(refused.value)


def test_an_address_says_where_they_are(tmp_path: Path) -> None:
    folder, bucket = opened(f"{tmp_path.as_uri()}/a%20b?largest_upload=10"), opened("s3://bucket/x/y/?region=r")
    assert isinstance(folder, FolderObjects)
    assert (folder.url, folder.largest_upload) == (f"file://{tmp_path}/a b", 10)
    assert isinstance(bucket, BucketObjects)
    assert bucket.url == "s3://bucket/x/y"
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_package_is_told_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    obstore.cache_clear()
    with pytest.raises(ConfigurationError, match=r"pip install 'freehold\[objects\]'"):
        await open_objects(tmp_path.as_uri()).head("x")
    obstore.cache_clear()


def test_a_deployment_names_them_and_a_wrong_scheme_is_refused() -> None:
    system = System("shop", services=[])
    assert read(system, environment={"FREEHOLD_OBJECTS": "s3://bucket"}).objects == "s3://bucket"
    with pytest.raises(ConfigurationError, match="FREEHOLD_OBJECTS"):
        read(system, environment={"FREEHOLD_OBJECTS": "ftp://x"})


@pytest.mark.parametrize("uses", [False, True])
def test_only_a_system_that_takes_objects_opens_them(tmp_path: Path, uses: bool) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from freehold import Objects, Service, System, public
from freehold.deploy.config import Deployment
from freehold.deploy.process import Process

orders = Service("orders")

@orders.get("/x", access=public)
async def x({"objects: Objects" if uses else ""}) -> int: ...

async def main():
    async with Process(System("shop", services=[orders]), Deployment(data=Path("data"))):
        pass

asyncio.run(main())
print("obstore" in sys.modules, Path("data/shop/objects").exists())
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(uses), str(uses)], done.stderr
