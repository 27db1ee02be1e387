"""The sandbox is independent of the client: what its files import."""

import ast
from pathlib import Path

from every import every

import carecloud_async.sandbox

SANDBOX = Path(carecloud_async.sandbox.__file__).parent
#: Below each folder: state knows no operation, operations no server; one file knows the client.
BELOW = {
    "state": {"state"},
    "api": {"state", "api"},
    "server": {"state", "api", "server"},
    "sandbox": {"state", "api", "server", "client"},
    "constants": set(),
    "json_text": set(),
}


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@every("path", sorted(SANDBOX.rglob("[!_]*.py")))
def test_files_import_only_downwards(path):
    """A file imports its own folder and those below; one imports the client and httpx2, when they are called for."""
    tree = ast.parse(path.read_text())
    modules = [name.removeprefix("carecloud_async.") for name in imported(ast.walk(tree)) if "carecloud_async" in name]
    folders = {name.split(".")[1] if name.startswith("sandbox.") else "client" for name in modules}
    place = path.relative_to(SANDBOX).parts[0].removesuffix(".py")
    assert folders - {"constants", "json_text"} <= BELOW[place]
    at_once = set(imported(tree.body))
    assert "httpx2" not in at_once
    assert all(name.startswith("carecloud_async.sandbox") for name in at_once if name.startswith("carecloud_async"))
