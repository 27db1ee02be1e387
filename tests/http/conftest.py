"""By which ways requests go; see `exchange_server`."""

import pytest
from exchange_server import Ways


@pytest.fixture
def ways(monkeypatch):
    return Ways(monkeypatch)
