"""Fixtures of the tests of the project itself."""

from __future__ import annotations

import logging

import pytest
from project_files import module_of, python_files, tree_of


@pytest.fixture(scope="session")
def package():
    """The package's modules by name, as syntax trees."""
    return {module_of(path): tree_of(path) for path in python_files("carecloud_async")}


@pytest.fixture(autouse=True)
def levels():
    """Put back what samples do to other libraries' loggers."""
    before = {name: logging.getLogger(name).level for name in ("httpx", "httpx2", "carecloud_async")}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
