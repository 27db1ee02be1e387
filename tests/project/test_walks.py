"""The walks through the code in docs/architecture.md: each names functions that exist, in at most ten steps."""

import re
from importlib import import_module

import pytest
from project_files import PACKAGE, ROOT, text_of

TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
WALKS = dict(re.findall(r"^## (The way of [^\n]+)\n(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE))


def named(name):
    """Find an object by its dotted name, without the package's own."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            thing = import_module(f"carecloud_async.{'.'.join(parts[:length])}")
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise LookupError(name)


def test_there_is_a_walk_for_each_main_road():
    """docs/architecture.md has a walk for a call, a token, an export and a bulk write."""
    assert set(WALKS) == {
        "The way of one call",
        "The way of a token",
        "The way of an export",
        "The way of a bulk write",
    }


@pytest.mark.parametrize("walk", sorted(WALKS))
def test_a_walk_names_functions_that_exist(walk):
    """Each step begins with the function that it is about, and there are at most ten."""
    steps = re.findall(r"^(\d+)\. `([\w.]+)`", WALKS[walk], re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert 5 <= len(steps) <= 10
    for _, name in steps:
        thing = named(name)
        assert callable(thing) or callable(getattr(thing, "func", None)), name


def test_no_name_of_a_walk_is_gone():
    """Each name in code quotes, and each part of it, is a word of the package's code."""
    files = list(PACKAGE.rglob("*"))
    known = {path.name for path in files}
    known |= {word for path in files if path.suffix == ".py" for word in re.findall(r"\w+", text_of(path))}
    quoted = re.findall(r"`([A-Za-z_][\w.]*)(?:\(\))?`", "".join(WALKS.values()))
    assert [name for name in quoted if not {*name.split(".")} <= known] == []


def test_no_file_that_is_named_is_gone():
    """Each file of code that pages for contributors name exists."""
    for page in ("docs/architecture.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md"):
        named = re.findall(r"`((?:\w+/)+\w+\.py)`", text_of(ROOT / page))
        assert [file for file in named if not (ROOT / file).exists() and not (PACKAGE / file).exists()] == [], page
