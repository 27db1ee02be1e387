"""The wheel and the source distribution: what is in them, and that the wheel works without extras."""

import os
import subprocess
import sys
import tarfile
import zipfile

import pytest
from project_files import PACKAGE, ROOT, python_files

CALL = """
import asyncio, httpx
from carecloud_async import CareCloud, EnterpriseCredentials

def answer(request):
    if request.url.path.endswith("/login"):
        return httpx.Response(200, json={"data": {"bearer_token": "t", "valid_to": "2099-01-01 00:00:00"}})
    return httpx.Response(200, json={"data": {"customers": [{"customer_id": "c1"}], "total_items": 1}})

async def main():
    auth = EnterpriseCredentials(external_application_id="a", login="b", password="c")
    async with CareCloud("acme.crmcarecloud.com", auth=auth, transport=httpx.MockTransport(answer)) as client:
        print([customer.customer_id async for customer in client.customers.list()])

asyncio.run(main())
"""
EXTRAS = [
    "typer",
    "rich",
    "starlette",
    "uvicorn",
    "fastapi",
    "redis",
    "pyarrow",
    "backports.zstd",
    "fsspec",
    "phonenumbers",
    "httpx2",
    "orjson",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", tmp_path_factory.mktemp("wheel"))


def built(kind, folder, *, root=ROOT, **options):
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    build = f"from hatchling.build import build_{kind}; import sys; print(build_{kind}(sys.argv[1]))"
    command = [sys.executable, "-c", build, folder]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    """Every file of the package is in it, `py.typed` and the facts of the sandbox too; no test is."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in inside} == {"carecloud_async"}
    assert {"carecloud_async/py.typed", "carecloud_async/sandbox/state/facts.json"} <= inside
    assert {str(path.relative_to(PACKAGE.parent).as_posix()) for path in python_files("carecloud_async")} <= inside
    assert "carecloud_async/.agents/skills/carecloud-async/SKILL.md" in inside
    assert any(name.endswith("licenses/LICENSE") for name in names)
    with zipfile.ZipFile(wheel) as archive:
        scripts = next(name for name in names if name.endswith("entry_points.txt"))
        assert b"carecloud = carecloud_async.cli:main" in archive.read(scripts)


def test_a_call_works_without_any_extra(wheel):
    """With the wheel alone, and everything of the extras out of reach, a call is made."""
    hide = f"import sys\nfor name in {EXTRAS}: sys.modules[name] = None\nsys.path.insert(0, sys.argv[1])\n"
    done = subprocess.run(
        [sys.executable, "-c", hide + CALL, wheel], cwd=wheel.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['c1']\n"


def test_the_tests_of_the_source_distribution_find_their_files(tmp_path):
    """The archive holds the files beside the package that tests read: docs, workflows, benchmarks, commit checks."""
    with tarfile.open(built("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("carecloud_async", "tests", "benchmarks", "docs", ".github"):
        for suffix in (".py", ".md", ".svg", ".yml"):
            files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob(f"*{suffix}")}
            assert {file for file in files if not file.startswith(("docs/site/", "docs/.cache/"))} <= names
    assert {".pre-commit-config.yaml", ".ci/run", "pyproject.toml", "CHANGELOG.md"} <= names


@pytest.mark.thorough
def test_two_builds_are_the_same_bytes(tmp_path):
    """What is built from the unpacked source distribution, by another user in another folder, is the same."""
    first, second = tmp_path / "first", tmp_path / "second"
    when = os.environ | {"SOURCE_DATE_EPOCH": "1800000000"}
    with tarfile.open(built("sdist", first, env=when)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    for path in unpacked.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    built("wheel", first, env=when)
    for kind in ("wheel", "sdist"):
        again = built(kind, second, root=unpacked, env=when, umask=0o077)
        assert again.read_bytes() == (first / again.name).read_bytes()
