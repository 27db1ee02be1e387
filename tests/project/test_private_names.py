"""Private names of other libraries: no file uses one."""

import ast

import pytest
from project_files import PACKAGE, nodes_of, python_files

#: Private names of the package's own objects that other files than their own read.
OWN = {
    "_acting", "_as_family", "_bound", "_bulk", "_caller", "_calling", "_call", "_family", "_fetcher", "_merge_rules",
    "_merging", "_operations", "_source",
}  # fmt: skip
#: Python itself documents these in spite of their underscore.
DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields", "_missing_", "_value_", "_name_"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def is_own(node):
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def bound_names(nodes):
    """The private names that some code gives to something of its own."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node):
            yield node.attr


def read_names(nodes):
    """The private names that some code reads off an object, also by a string."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr", "setattr", "delattr"}:
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and is_private(str(a.value)))


def module_names(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [ast.unparse(node)] if isinstance(node, ast.Attribute) else []


def own_names():
    """For each class of the package, the private names that it gives to its own; by the class's name."""
    classes = {}
    for path in python_files("carecloud_async"):
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
                names, all_bases = classes.setdefault(node.name, (set(), set()))
                names |= set(bound_names(ast.walk(node)))
                all_bases |= bases
    return classes


def names_of_class(name, classes, seen):
    if name in seen or name not in classes:
        return set()
    seen.add(name)
    own, bases = classes[name]
    return own.union(*(names_of_class(base, classes, seen) for base in bases))


def private_reads(path, classes):
    """The private names in a file that nothing of the package's own has."""
    bound = set(bound_names(nodes_of(path))) | OWN | DOCUMENTED
    found = {name for name in read_names(nodes_of(path)) if name not in bound}
    inherited = set()
    for node in nodes_of(path):
        if isinstance(node, ast.ClassDef):
            known = names_of_class(node.name, classes, set()) | OWN | DOCUMENTED
            inherited |= known
            read = {
                inner.attr
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute) and is_private(inner.attr) and is_own(inner)
            }
            found |= read - known
    return found - (inherited - bound) if found else found


@pytest.fixture(scope="module")
def classes():
    return own_names()


def test_no_private_name_of_another_library_is_used(classes):
    """No file reads an attribute with an underscore that the package itself did not define."""
    found = {str(path.relative_to(PACKAGE)): private_reads(path, classes) for path in python_files("carecloud_async")}
    assert {file: names for file, names in found.items() if names} == {}


def test_no_private_module_of_another_library_is_imported():
    """Modules that begin with an underscore are imported nowhere."""
    for path in python_files("carecloud_async"):
        imported = [
            name
            for node in nodes_of(path)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in module_names(node)
            if not name.startswith(("carecloud_async", "__future__"))
        ]
        assert not [name for name in imported if any(is_private(part) for part in name.split("."))], path


def test_a_private_name_of_another_library_is_found(classes, tmp_path):
    """The rule sees a read off an object, a string given to `getattr`, and what a subclass takes from its base."""
    path = tmp_path / "sample.py"
    path.write_text(
        "class Sub(httpx.AsyncClient):\n"
        "    def __init__(self):\n"
        "        self._own = 1\n"
        "    def a(self):\n"
        "        return self._own, self._transport, scope._deadline, getattr(session, '_retry')\n"
    )
    assert private_reads(path, {**classes, "Sub": ({"_own"}, {"AsyncClient"})}) == {"_transport", "_deadline", "_retry"}
