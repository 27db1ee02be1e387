"""The docstrings of models and resources: what they name exists, and every field and argument has its line."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import carecloud_async
from carecloud_async import models

PACKAGE = Path(carecloud_async.__file__).parent
FILES = sorted(path for name in ("models", "resources") for path in (PACKAGE / name).rglob("*.py"))
#: What declarations themselves refer to.
DECLARING = {"Merging", "Options", "Paging", "Signature", "UnsortedPaging"}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def name(path):
    return str(path.relative_to(PACKAGE))


def literals(tree):
    """All docstrings: those of classes and methods, and the literals below fields."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    return [node.value.value for node in nodes if isinstance(node.value.value, str)]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_a_docstring_refers_to_exists(path):
    """`See X` and classes in backticks are names of the models, or dotted fields of them."""
    for text in literals(TREES[path]):
        for found in re.findall(r"[Ss]ee `([A-Z]\w+)`", text) + re.findall(r"fields are those of `(\w+)`", text):
            assert hasattr(models, found) or found in DECLARING, found


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_left_to_be_said(path):
    """No docstring is a placeholder."""
    assert not [text for text in literals(TREES[path]) if "TODO" in text or text.strip(" .\n") in {"", "Value"}]


@pytest.mark.parametrize("path", [one for one in FILES if "models" in one.parts], ids=name)
def test_every_field_of_a_read_model_has_its_line(path):
    """Below each field of a read model stands a literal that says what it is."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Model" for base in node.bases):
            body = [*node.body, None]
            bare = [
                ast.unparse(field.target)
                for field, below in pairwise(body)
                if isinstance(field, ast.AnnAssign)
                and "ClassVar" not in ast.unparse(field.annotation)
                and not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant))
            ]
            assert not bare, node.name
