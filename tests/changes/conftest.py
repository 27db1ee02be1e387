"""What the tests of changes share."""

import tempfile

import pytest
from lists import numbered

from carecloud_async._base.runs import Database
from carecloud_async.sandbox import Sandbox


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    """A folder of its own for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def database(tmp_path):
    """A state to store."""
    found = Database(tmp_path / "local", explain=lambda error: error)
    found.execute("CREATE TABLE one (value)")
    yield found
    found.close()


@pytest.fixture
def waits():
    """Counts seconds instead of waiting for them."""
    return Waits()


class Waits:
    """See `waits`."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self, seconds):
        self.seconds += seconds


@pytest.fixture
def sandbox():
    return Sandbox(customers=60, seed=1, records=40)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "list.state"


@pytest.fixture
def machine():
    return numbered([f"{index:04}" for index in range(300)])
