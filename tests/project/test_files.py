"""Rules that every file of the project keeps."""

import ast
import re

from project_files import PACKAGE, ROOT, nodes_of, python_files, text_of, tree_of

#: Most lines of a file of the package, and of others.
LONGEST, LONGEST_OTHER = 600, 600
OURS = python_files("carecloud_async", "tests", "benchmarks", "docs")


def name(path):
    return str(path.relative_to(ROOT))


def each_test(path):
    """The tests of a file, as pytest finds them: functions at its top and in classes there."""
    body = tree_of(path).body
    for node in [*body, *(one for outer in body if isinstance(outer, ast.ClassDef) for one in outer.body)]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def problem_of_tests(path):
    said = set()
    for node in each_test(path):
        docstring = ast.get_docstring(node)
        if not docstring or "\n" in docstring or docstring in said:
            yield f"{name(path)}: {node.name}"
        said.add(docstring)


def test_every_test_says_what_it_holds():
    """Each test has a docstring of one line, and no two in a file say the same."""
    files = (ROOT / "tests").rglob("test_*.py")
    assert [problem for path in sorted(files) for problem in problem_of_tests(path)] == []


def test_no_file_is_long():
    """A file is as long as its story; one that grows beyond this holds more than one."""
    most = {path: LONGEST if path.is_relative_to(PACKAGE) else LONGEST_OTHER for path in OURS}
    assert [name(path) for path in OURS if len(text_of(path).splitlines()) > most[path]] == []


def test_every_file_says_what_it_is():
    """Each file begins with a docstring whose first line is a sentence."""
    first = {name(path): (ast.get_docstring(tree_of(path)) or "").partition("\n")[0] for path in OURS}
    assert [path for path, line in first.items() if not line.endswith((".", ":", "!", "?"))] == []


def test_what_is_ignored_has_a_code():
    """`type: ignore`, `pyright: ignore` and `noqa` name what they silence."""
    bare = re.compile(r"#\s*(?:type:\s*ignore(?!\[)|pyright:\s*ignore(?!\[)|(?i:noqa)(?!:))")
    assert [name(path) for path in OURS if bare.search(text_of(path))] == []


def test_imports_are_absolute():
    """Relative imports hide which layer something is in."""
    relative = [
        name(path)
        for path in python_files("carecloud_async")
        for node in nodes_of(path)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_there_are_two_styles_of_class():
    """No class of the package is an attrs class that can be changed: a state has an `__init__`."""
    third = [
        f"{name(path)}: {node.name}"
        for path in python_files("carecloud_async")
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef)
        and any(re.match(r"(attrs\.)?(define|mutable|attrs)\b(?!\.)", ast.unparse(one)) for one in node.decorator_list)
    ]
    assert third == []


def texts():
    ours = [
        "README.md",
        "AGENTS.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "pyproject.toml",
        ".ci/run",
        "LICENSE",
    ]
    built = ROOT / "docs/site"
    found = (path for path in (ROOT / "docs").rglob("*") if not path.is_relative_to(built))
    docs = [path for path in found if path.suffix in {".md", ".py", ".html", ".toml"}]
    return [*OURS, *docs, *(ROOT / one for one in ours)]


def test_nothing_names_a_machine():
    """No folder, registry or address of one machine is in the project."""
    folder = re.compile(r"(?<![\w.])/(?:work|root|home/|Users|opt/wheels)\b")
    registry = re.compile(r"index-url|extra-index|find-links|registry\.npmjs|pypi\.org/simple")
    assert [name(path) for path in texts() if folder.search(text_of(path))] == []
    assert [name(path) for path in texts() if registry.search(text_of(path)) and path.name != "test_files.py"] == []


def test_the_marker_of_types_is_there():
    """`py.typed` tells type checkers to read this package."""
    assert (PACKAGE / "py.typed").is_file()


def test_files_for_type_checkers_are_never_run():
    """Nothing below `tests/typing` is collected by pytest or imported by a test."""
    files = list((ROOT / "tests/typing").glob("*.py"))
    assert files
    assert not [path for path in files if path.name.startswith("test_") or path.name == "conftest.py"]


def test_every_ignored_rule_has_its_reason():
    """Each rule that ruff ignores has a comment on its line."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignores = re.search(r"^ignore = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    for line in ignores[1].splitlines():
        assert re.search(r'^\s*"[A-Z]+\d+",\s+# \S', line), line
