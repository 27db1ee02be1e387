"""No file of the package uses a private name of another library."""

import ast
import functools

from project_files import PACKAGE, nodes_of, python_files

#: Private names of the package's own objects that other files than their own read.
OWN = {
    "_acting", "_as_family", "_bound", "_bulk", "_caller", "_calling", "_call", "_family", "_merge_rules",
    "_merging", "_operations", "_source",
}  # fmt: skip
#: Python itself documents these in spite of their underscore.
DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields", "_missing_", "_value_", "_name_"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def is_own(node):
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def bound_names(nodes):
    """The private names that some code gives to something of its own."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
            yield node.attr


def read_names(nodes):
    """The private names that some code reads off an object, also by a string, or imports."""
    for node in nodes:
        names = []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr", "setattr", "delattr"}:
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [f"{getattr(node, 'module', None) or ''}.{alias.name}" for alias in node.names]
            names = [
                part for name in names if not name.strip(".").startswith("carecloud_async") for part in name.split(".")
            ]
        yield from (name for name in map(str, names) if is_private(name))


def bases_of(nodes):
    """The bases of the classes in some code, by name."""
    bases = [base for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases]
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in bases]


@functools.cache
def classes():
    """The package's classes by name, each as the nodes in it."""
    files = python_files("carecloud_async")
    nodes = [node for path in files for node in nodes_of(path) if isinstance(node, ast.ClassDef)]
    return {node.name: list(ast.walk(node)) for node in nodes}


def private_reads(nodes):
    """The private names in some code that neither it nor a base of the package's own binds."""
    bound, bases, seen = set(bound_names(nodes)), bases_of(nodes), set()
    while bases:
        base = bases.pop()
        if base in classes() and base not in seen:
            seen.add(base)
            bound |= set(bound_names(classes()[base]))
            bases += bases_of(classes()[base])
    return set(read_names(nodes)) - bound - OWN - DOCUMENTED


def test_no_private_name_of_another_library_is_used():
    """No file reads or imports a name with an underscore that the package itself did not define."""
    reads = {str(path.relative_to(PACKAGE)): private_reads(nodes_of(path)) for path in python_files("carecloud_async")}
    assert {file: names for file, names in reads.items() if names} == {}


def test_a_private_name_of_another_library_is_noticed():
    """The rule sees imports, reads off an object, strings given to `getattr`, and what is taken from a base."""
    code = """
from httpx._models import Response
class Sub(httpx.AsyncClient):
    def __init__(self):
        self._own = 1
    def a(self):
        return self._own, self._transport, scope._deadline, getattr(session, '_retry')
"""
    assert private_reads(list(ast.walk(ast.parse(code)))) == {"_models", "_transport", "_deadline", "_retry"}
