"""The package of the stores itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from carecloud_async.auth import stores


def test_lazy():
    """Importing the package imports neither redis nor filelock."""
    code = (
        "import sys, carecloud_async.auth.stores as stores\n"
        "assert not {'redis', 'filelock'} & set(sys.modules)\n"
        "stores.MemoryTokenStore\n"
        "assert not {'redis', 'filelock'} & set(sys.modules)\n"
        "stores.RedisTokenStore\n"
        "assert 'redis' not in sys.modules, 'only making one needs it'\n"
        "stores.FileTokenStore\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names():
    """Every name offered is there, and an unknown one is an AttributeError."""
    for name in stores.__all__:
        assert getattr(stores, name).__name__ == name
        assert name in dir(stores)
    with pytest.raises(AttributeError, match="Nothing"):
        stores.Nothing  # noqa: B018
