"""The project's own files, for the tests that hold rules over them."""

from __future__ import annotations

import ast
import functools
import gc
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "carecloud_async"


def python_files(*folders):
    """All Python files below some folders of the project, in a fixed order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_of(path):
    """The dotted name of a file of the package, without the package's own: `auth.token`, `codec`."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


@functools.cache
def text_of(path):
    """The text of a file, read once."""
    return path.read_text(encoding="utf-8")


@functools.cache
def tree_of(path):
    """The syntax tree of a Python file, made once; tests do not change it.

    The garbage collector does not look at it: again and again it would look at all trees.
    """
    gc.disable()
    try:
        return ast.parse(text_of(path))
    finally:
        gc.freeze()
        gc.enable()


@functools.cache
def nodes_of(path):
    """All nodes of a file's syntax tree, found once."""
    return list(ast.walk(tree_of(path)))
