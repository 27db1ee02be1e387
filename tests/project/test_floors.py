"""The layers: which package may import which."""

import ast
import functools
import re

from project_files import PACKAGE, ROOT

#: From the lowest layer up. A package is a module or a folder at the top of `carecloud_async` or in a storey.
DIAGRAM = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
LAYERS = [
    [name.strip() for name in layer.split(",")]
    for layer in reversed(re.search(r"```layers\n(.*?)```", DIAGRAM, re.DOTALL)[1].splitlines())
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

#: Folders of private packages.
STOREYS = {name.partition("/")[0] for name in LAYER if "/" in name}

#: What extras need, and the packages that may import it at their top.
HEAVY = {
    "typer",
    "rich",
    "starlette",
    "fastapi",
    "redis",
    "mcp",
    "pyarrow",
    "pytest",
    "httpx2",
    "dlt",
    "pyspark",
    "opentelemetry",
}
INTEGRATIONS = {"", "_version", "agents", "cli", "dlt", "fastapi", "otel", "pytest_plugin", "sandbox", "spark"}


def package_of(module):
    """The package of a module: `client`, or in a storey `_base/runtime`."""
    first, *rest = module.split(".")
    return "/".join([first, *rest[:1]]) if first in STOREYS else first


@functools.cache
def all_nodes(tree):
    """All nodes of a file, found once."""
    return list(ast.walk(tree))


@functools.cache
def run_nodes(tree):
    """All nodes of a file but those for type checkers, found once."""
    run, left = [], [tree]
    while left:
        node = left.pop()
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            run.append(node)
            left.extend(ast.iter_child_nodes(node))
    return run


def imports(nodes):
    """The modules of `carecloud_async` that a file imports at any time."""
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


def modules(package):
    """All modules except `carecloud_async/__init__.py` and the sandbox, which is separate."""
    tops = {"", *STOREYS}
    return {name: tree for name, tree in package.items() if name not in tops and package_of(name) != "sandbox"}


def test_every_package_has_its_layer(package):
    """A new package is named in docs/architecture.md."""
    assert {package_of(name) for name in modules(package)} == set(LAYER)


def test_the_table_describes_every_package():
    """The table in docs/architecture.md has a row for each package of the layers."""
    table = DIAGRAM.partition("| package |")[2].partition("\n## ")[0]
    described = {
        name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`([\w/]+)`", row)
    }
    assert described - {"sandbox"} == set(LAYER) - {"_version"}


def test_the_top_of_the_package_is_read_in_a_minute():
    """At most twelve modules lie at the top of the package beside its folders."""
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_imports_run_only_downwards(package):
    """No module imports one of a higher layer: not in a function, not for type checkers, not by its name."""
    upward = [
        f"{name} (layer {LAYER[package_of(name)]}) imports {other} (layer {LAYER[package_of(other)]})"
        for name, tree in modules(package).items()
        for other in imports(all_nodes(tree)) | loaded_by_name(name, all_nodes(tree))
        if package_of(other) in LAYER and LAYER[package_of(other)] > LAYER[package_of(name)]
    ]
    assert upward == []


def test_modules_import_from_modules_and_not_from_the_package(package):
    """A name that the package exports may be of any layer: inside, it is imported from its module."""
    taken = [
        f"{name}: {alias.name}"
        for name, tree in package.items()
        for node in all_nodes(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "carecloud_async"
        for alias in node.names
        if alias.name not in package
    ]
    assert taken == []


def loaded_by_name(name, nodes):
    """How the names begin that a module gives to `import_module`: `auth.stores.`, `resources.`."""
    if not any(isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) for node in nodes):
        return set()
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if any(isinstance(node, ast.JoinedStr) and "{__name__}." in ast.unparse(node) for node in nodes):
        texts.add(f"carecloud_async.{name}.")
    return {text.removeprefix("carecloud_async.") for text in texts if re.fullmatch(r"carecloud_async\.[\w.]*", text)}


def ended_by_name(start, nodes, known):
    """The modules whose names begin so: those that the file names as texts, or all of them if it names none."""
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    begun = {name for name in known if name.startswith(start)}
    return {name for name in begun if name.removeprefix(start) in texts} or begun


def submodules(name, nodes, known):
    """The modules that a file loads at any time; `from a import b` is `a.b` where that is a module."""
    loaded = {module for start in loaded_by_name(name, nodes) for module in ended_by_name(start, nodes, known)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "carecloud_async":
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}".removeprefix("carecloud_async.")
                loaded.add(deeper if deeper in known else node.module.removeprefix("carecloud_async."))
        elif isinstance(node, ast.Import):
            ours = (alias.name for alias in node.names if alias.name.startswith("carecloud_async."))
            loaded |= {name.removeprefix("carecloud_async.") for name in ours}
    return loaded & set(known)


#: Packages whose modules may import each other for type checkers.
WITH_CIRCLES = {"bulk"}


def test_there_are_no_circles(package):
    """Modules that import each other cannot be understood one at a time: not in a function, not for type checkers."""
    trees = modules(package)
    nodes = {
        name: run_nodes(tree) if package_of(name) in WITH_CIRCLES else all_nodes(tree) for name, tree in trees.items()
    }
    needs = {name: submodules(name, nodes[name], trees) - {name} for name in trees}
    while needs:
        wanted = set().union(*needs.values())
        ends = {name for name, others in needs.items() if not others & needs.keys() or name not in wanted}
        assert ends, f"these import each other: {sorted(needs)}"
        needs = {name: others for name, others in needs.items() if name not in ends}


#: The folders of the sandbox, lowest first: state knows no operation, and operations know no server.
SANDBOX = ["constants", "json_text", "state", "api", "server"]


def test_the_sandbox_is_separate(package):
    """The sandbox knows the client in one file, and only tools of the client know the sandbox; it has layers too."""
    for name, tree in package.items():
        others = {package_of(other) for other in imports(run_nodes(tree))}
        if package_of(name) == "sandbox":
            assert others <= {"sandbox"} or name == "sandbox.sandbox", name
            place = name.split(".")[1] if "." in name else ""
            above = SANDBOX[SANDBOX.index(place) + 1 :] if place in SANDBOX else []
            assert not [other for other in imports(run_nodes(tree)) if f"{other}.".split(".")[1] in above], name
        elif package_of(name) not in {"cli", "pytest_plugin"}:
            assert "sandbox" not in others, name


#: Packages around the core, which could as well be distributions of their own.
SATELLITES = {"check", "cli", "dlt", "fastapi", "otel", "pytest_plugin", "sandbox", "spark"}
#: The private modules that they may import from.
GIVEN = {
    "": "_base _version",
    "_base.codec": "answers fields",
    "_base": "project runs runtime",
    "_base.runtime": "clock durable_files secret_text suggestions task_groups threads validators",
    "_calls.auth": "customer enterprise file_store provider redis_store secret stores token",
    "_calls.call": "caller context events failure filters operation request retry",
    "_calls.http": "destinations timeout",
    "_calls.rate_limits": "rate_limit shared_pace",
    "_lists.changes": "file run state_file values",
    "_lists.export": "batches job reasons report",
    "_lists.export.formats": "arrow jsonl registry schema",
    "_lists.export.reading": "changed pages ranges since times",
    "_lists.export.storage": "export_file target",
    "_lists.listings": "arrow_stream compare_report listing",
    "_lists.paging": "auto list_source",
}


def test_satellites_take_from_the_storeys_what_they_are_given(package):
    """A satellite imports from listed private modules alone, so that a change of these shows what it may break."""
    taken = {
        node.module.removeprefix("carecloud_async.")
        for name, tree in package.items()
        if package_of(name) in SATELLITES
        for node in all_nodes(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("carecloud_async._")
    }
    given = {f"{folder}.{name}".lstrip(".") for folder, names in GIVEN.items() for name in names.split()}
    assert sorted(taken - given) == [], "add the module to GIVEN, or do without it"


def test_importing_the_package_imports_nothing_heavy(package):
    """The packages of extras and default transports are imported when they are used, and not before."""
    for name, tree in package.items():
        if package_of(name) in INTEGRATIONS or name == "_calls.auth.redis_store":
            continue
        for node in at_import(tree.body):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert HEAVY.isdisjoint(module.partition(".")[0] for module in names), name
