"""The public names, and the table of operations against the client that reads it."""

import ast
import importlib
import importlib.util
import os
import subprocess
import sys

import pytest
from every import every
from project_files import PACKAGE, module_of, python_files

import carecloud_async
from carecloud_async.resources import OPERATIONS

WITH_ALL = [path for path in python_files("carecloud_async") if "\n__all__ = [" in path.read_text(encoding="utf-8")]
for engine, library in (("spark", "pyspark"), ("dlt", "dlt")):
    if importlib.util.find_spec(library) is None:
        WITH_ALL = [path for path in WITH_ALL if not module_of(path).startswith(engine)]


@every("path", WITH_ALL)
def test_all_is_sorted_and_true(path):
    """`__all__` is sorted as ruff sorts, holds each name once, and every name is there."""
    module = importlib.import_module(f"carecloud_async.{module_of(path)}".rstrip("."))
    names = list(module.__all__)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for name in names:
        assert hasattr(module, name), name


def test_all_is_complete():
    """Type checkers see in the package's `__init__` what it exports, and `dir` shows it."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("carecloud_async"):
            names = {alias.asname for alias in node.names}
            seen |= names - {None} or set(importlib.import_module(node.module).__all__)
    assert seen == set(carecloud_async.__all__)
    assert set(carecloud_async.__all__) <= set(dir(carecloud_async))
    with pytest.raises(AttributeError, match="nonsense"):
        carecloud_async.nonsense  # noqa: B018


def test_a_model_that_is_imported_from_the_package_is_found():
    """An import of a model that is not on the package names the module that has it."""
    with pytest.raises(ImportError, match=r"from carecloud_async\.models import PointsOverview"):
        from carecloud_async import PointsOverview  # noqa: F401  (the import is what is tested)


@pytest.mark.parametrize(("library", "name"), [("httpx", "CareCloud"), ("msgspec", "models.CardInput")])
def test_an_import_that_fails_names_its_cause(library, name, tmp_path):
    """If a library is another than expected, as httpx 1.0 is, the import says what it lacks."""
    (tmp_path / f"{library}.py").touch()
    module, _, name = f"carecloud_async.{name}".rpartition(".")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", f"from {module} import {name}"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {name} cannot be loaded: module '{library}' has no attribute")


def test_help_names_no_file_of_the_repository(package):
    """A docstring names no page by its path, which is not installed with the package."""
    naming = {
        name
        for name, tree in package.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and "docs/" in (ast.get_docstring(node) or "")
    }
    assert naming == set()


def test_every_error_is_public():
    """Whatever can be raised can be caught by its name on the package."""
    from carecloud_async import errors

    assert set(errors.__all__) <= set(carecloud_async.__all__)
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert {cls.__name__ for cls in classes} <= set(errors.__all__)


def test_operations_are_known_by_their_own_names():
    """The key of a row is its operation id, and no two rows share a call or a verb and path."""
    assert all(key == operation.operation_id for key, operation in OPERATIONS.items())
    assert [*OPERATIONS] == sorted(OPERATIONS)  # so that all workers of a run have the same tests
    assert len({operation.call for operation in OPERATIONS.values()}) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS.values()}) == len(OPERATIONS)
