"""What the tests of changes share."""

import os
import tempfile
import time
from pathlib import Path

import pytest
from kit import connect
from lists import numbered

from carecloud_async.sandbox import Sandbox


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    """A folder of its own for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another file system, where this machine has a second one."""
    here = tmp_path.stat().st_dev
    disks = [disk for disk in ("/dev/shm", "/var/tmp") if os.path.isdir(disk) and os.stat(disk).st_dev != here]
    with tempfile.TemporaryDirectory(dir=next(iter(disks), None)) as folder:
        yield Path(folder)


@pytest.fixture
def waits(monkeypatch):
    """Counts seconds instead of waiting for them."""
    waits = Waits()
    monkeypatch.setattr(time, "sleep", waits)
    return waits


class Waits:
    """See `waits`."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self, seconds):
        self.seconds += seconds


@pytest.fixture
def rename(sandbox):
    """Update a record; return its id."""

    def rename(number):
        updated = sandbox.customers.id_at(number)
        sandbox.customers.update(updated, {"personal_information": {"first_name": f"New {number}"}})
        return updated

    return rename


@pytest.fixture
def night(sandbox, tmp_path):
    """Write the changes since the last night, by its state, to a file of a name; return the report."""

    async def night(name, state, *, overwrite=False, **options):
        async with connect(sandbox) as client:
            changes = client.customers.list().changes(state=state, **options)
            return await changes.to_file(tmp_path / name, overwrite=overwrite)

    return night


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1, records=40)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "list.state"


@pytest.fixture
def machine():
    return numbered([f"{index:04}" for index in range(300)])
