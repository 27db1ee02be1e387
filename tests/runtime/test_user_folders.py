"""Folders of the user, where one has no home."""

import os
from pathlib import Path

import pytest

from carecloud_async._base.runtime.durable_files import cache_folder, config_folder, state_folder


@pytest.mark.parametrize("folder", [cache_folder, config_folder, state_folder])
def test_a_user_without_a_home(folder, monkeypatch):
    """A user number that the system does not know has the root as home, as in a container."""

    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    assert folder({}).is_relative_to(os.path.abspath(os.sep))
    assert folder({}).name == "carecloud-async"
