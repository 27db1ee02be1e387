"""The house: who may import whom."""

import ast
import re

import pytest
from project_files import PACKAGE, ROOT

#: From the ground up, as the picture has them. A room is a module or a package at the top.
PICTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
FLOORS = [
    [room.strip() for room in floor.split(",")]
    for floor in reversed(re.search(r"```floors\n(.*?)```", PICTURE, re.DOTALL)[1].splitlines())
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: Upward imports inside a function: what a listing hands over to, and loads only when it is asked for.
HANDED_OVER = {("paging", "export")}


def room_of(module):
    return module.partition(".")[0]


def imports(tree, *, deep):
    """The package's modules that a file imports: when it is imported itself, or (deep) at any time."""
    nodes = list(ast.walk(tree)) if deep else list(at_import(tree.body))
    names = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "carecloud_async":
            inner = node.module.removeprefix("carecloud_async").lstrip(".")
            names |= {inner} if inner else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {
                a.name.removeprefix("carecloud_async.") for a in node.names if a.name.startswith("carecloud_async.")
            }
    return names


def at_import(body):
    """Statements that run when a module is imported: not those in functions, not those for type checkers."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            for name in ("body", "orelse", "finalbody", "handlers"):
                yield from at_import(getattr(node, name, []))


def rooms(package):
    """All modules but the package's own face and the sandbox, which stands apart."""
    return {name: tree for name, tree in package.items() if name and room_of(name) != "sandbox"}


def test_every_room_has_its_floor(package):
    """A new room is drawn in docs/architecture.md before it is built."""
    assert {room_of(name) for name in rooms(package)} == set(FLOOR)


def test_the_picture_tells_every_room():
    """The table of rooms in docs/architecture.md has a row for each room of the floors."""
    table = PICTURE.partition("| room |")[2].partition("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told - {"sandbox"} == set(FLOOR) - {"_version"}


def test_the_top_of_the_package_is_read_in_a_minute():
    """At most twelve modules lie at the top of the package beside its folders."""
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_imports_run_only_downwards(package):
    """No module imports one on a higher floor when it is imported."""
    upward = [
        f"{name} (floor {FLOOR[room_of(name)]}) imports {other} (floor {FLOOR[room_of(other)]})"
        for name, tree in rooms(package).items()
        for other in imports(tree, deep=False)
        if room_of(other) in FLOOR and FLOOR[room_of(other)] > FLOOR[room_of(name)]
    ]
    assert upward == []


def test_functions_import_downwards_too(package):
    """What is loaded inside functions, or by its name, is below as well, but for what is handed over."""
    upward = {
        (room_of(name), room_of(other))
        for name, tree in rooms(package).items()
        for other in imports(without_type_checking(tree), deep=True) | loaded_by_name(name, tree)
        if room_of(other) in FLOOR and FLOOR[room_of(other)] > FLOOR[room_of(name)]
    }
    assert upward <= HANDED_OVER


def test_nothing_inside_comes_through_the_front_door(package):
    """A name from the package's own face is loaded from any floor: inside it is taken from its module."""
    taken = [
        f"{name}: {alias.name}"
        for name, tree in package.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "carecloud_async"
        for alias in node.names
        if alias.name not in package
    ]
    assert taken == []


def without_type_checking(tree):
    class Cut(ast.NodeTransformer):
        def visit_If(self, node):
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    return Cut().visit(ast.parse(ast.unparse(tree)))


def loaded_by_name(name, tree):
    """How the names begin that a module gives to `import_module`: `auth.stores.`, `resources.`."""
    nodes = list(ast.walk(tree))
    if not any(isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) for node in nodes):
        return set()
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if any(isinstance(node, ast.JoinedStr) and "{__name__}." in ast.unparse(node) for node in nodes):
        texts.add(f"carecloud_async.{name}.")
    return {text.removeprefix("carecloud_async.") for text in texts if re.fullmatch(r"carecloud_async\.[\w.]*", text)}


def submodules(name, tree, modules):
    """The modules that a file loads at any time; `from a import b` is `a.b` where that is a module."""
    begun = tuple(loaded_by_name(name, tree))
    found = {one for one in modules if one.startswith(begun)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "carecloud_async":
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}".removeprefix("carecloud_async.")
                found.add(deeper if deeper in modules else node.module.removeprefix("carecloud_async."))
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("carecloud_async.") for alias in node.names}
    return found & set(modules)


def test_there_are_no_circles(package):
    """Modules that import each other cannot be understood one at a time, whenever they do it."""
    modules = rooms(package)
    needs = {name: submodules(name, without_type_checking(tree), modules) - {name} for name, tree in modules.items()}
    while needs:
        ground = {name for name, wanted in needs.items() if not wanted & needs.keys()}
        assert ground, f"these import each other: {sorted(needs)}"
        needs = {name: wanted for name, wanted in needs.items() if name not in ground}


def test_the_sandbox_stands_apart(package):
    """The sandbox knows the client in one file, and only tools of the client know the sandbox."""
    for name, tree in package.items():
        others = {room_of(other) for other in imports(without_type_checking(tree), deep=True)}
        if room_of(name) == "sandbox":
            assert others <= {"sandbox"} or name == "sandbox.client_side", name
        elif room_of(name) not in {"cli", "pytest_plugin"}:
            assert "sandbox" not in others, name


@pytest.mark.parametrize(
    "heavy",
    [
        "aiohttp",
        "typer",
        "rich",
        "starlette",
        "fastapi",
        "redis",
        "pyarrow",
        "pytest",
        "httpx2",
        "dlt",
        "pyspark",
        "opentelemetry",
    ],
)
def test_importing_the_package_imports_nothing_heavy(package, heavy):
    """What an extra or a default transport needs is imported when it is used."""
    for name, tree in package.items():
        if (
            room_of(name) in {"", "_version", "cli", "dlt", "fastapi", "otel", "pytest_plugin", "sandbox", "spark"}
            or name == "auth.stores.redis"
        ):
            continue
        for node in at_import(tree.body):
            if isinstance(node, ast.Import):
                assert heavy not in {alias.name.partition(".")[0] for alias in node.names}, name
            elif isinstance(node, ast.ImportFrom):
                assert heavy != (node.module or "").partition(".")[0], name
