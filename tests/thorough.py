"""How many cases, examples, seeds and interleavings a test tries."""

from __future__ import annotations

import ast
import functools
import inspect
from types import ModuleType

import pytest
from hypothesis import settings


def is_thorough() -> bool:
    """Return whether the tests run with `--thorough`."""
    return settings.get_current_profile_name() == "thorough"


def variants(*cases):
    """Return cases for `parametrize` that are variants of others, and are tried with `--thorough` only.

    A case that is a tuple has a value for each of the test's arguments.
    """
    return [pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.thorough) for case in cases]


def examples(most: int) -> int:
    """Return `most` with `--thorough`, and a tenth of it otherwise, but at least two.

    For properties with expensive examples, and for loops over seeds; other properties take the number of the profile.
    """
    return most if is_thorough() else max(2, most // 10)


@functools.cache
def depending(module: ModuleType) -> set[str]:
    """Return the names of a module's tests, functions and constants that `is_thorough` or `examples` changes."""
    uses = {}
    for statement in ast.parse(inspect.getsource(module)).body:
        nodes = [*ast.walk(statement)]
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        used |= {node.arg for node in nodes if isinstance(node, ast.arg)}  # fixtures
        assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for name in {statement.name} if hasattr(statement, "name") else assigned:
            uses.setdefault(name, set()).update(used)
    names = {"is_thorough", "examples"}
    while more := {name for name, used in uses.items() if used & names} - names:
        names |= more
    return names
