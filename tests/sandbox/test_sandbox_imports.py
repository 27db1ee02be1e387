"""The sandbox is independent of the client: what its files import."""

import ast
from pathlib import Path

from every import every

import carecloud_async.sandbox

NAME = "carecloud_async.sandbox"
SANDBOX = Path(carecloud_async.sandbox.__file__).parent
FILES = sorted(SANDBOX.rglob("*.py"))


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def at_import(path):
    """Modules that importing a file imports, with or without a name in them at the end."""
    return set(imported(ast.parse(path.read_text()).body))


def module(path):
    return ".".join(path.relative_to(SANDBOX).with_suffix("").parts)


def neighbours(path):
    known = {module(one) for one in FILES}
    names = {one.removeprefix(f"{NAME}.") for one in imported(ast.walk(ast.parse(path.read_text())))}
    return names & known


@every("path", FILES)
def test_nothing_of_the_client_is_imported(path):
    """Importing a file imports no other package of the SDK, and not httpx2; `sandbox.py` does when called."""
    own = {one for one in at_import(path) if one.startswith("carecloud_async")}
    assert all(one.startswith(NAME) for one in own)
    assert "httpx2" not in at_import(path)


def test_one_file_knows_the_client():
    """No other file imports another package, not even for type checkers."""
    knowing = {
        module(path)
        for path in FILES
        if any(one.startswith("carecloud_async._calls.auth") for one in imported(ast.walk(ast.parse(path.read_text()))))
    }
    assert knowing == {"sandbox"}


def test_there_are_no_circles():
    """Each file imports only files below it."""
    needed = {module(one): neighbours(one) for one in FILES if one.stem != "__init__"}
    assert needed["server.serving"] >= {"server.pipeline", "api.operations"}
    while needed:
        ground = {name for name, needs in needed.items() if not needs & needed.keys()}
        assert ground, f"these import each other: {sorted(needed)}"
        needed = {name: needs for name, needs in needed.items() if name not in ground}


LAYERS = {"constants": 0, "json_text": 0, "state": 1, "api": 2, "server": 3, "sandbox": 4}


def test_folders_import_only_downwards():
    """State knows no operation, operations no server: `state`, `api`, `server` stand on each other in this order."""
    upward = {
        (module(path), other)
        for path in FILES
        if path.stem != "__init__"
        for other in neighbours(path)
        if LAYERS[other.split(".")[0]] > LAYERS[module(path).split(".")[0]]
    }
    assert upward == set()
