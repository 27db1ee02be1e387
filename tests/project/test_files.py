"""Rules that every file of the project keeps."""

import ast
import re

from project_files import PACKAGE, ROOT, nodes_of, python_files, text_of, tree_of

#: Most lines of a file.
LONGEST = 600
OURS = python_files("carecloud_async", "tests", "benchmarks", "docs")


def name(path):
    return str(path.relative_to(ROOT))


def problems_of_tests(path):
    said = set()
    body = tree_of(path).body
    for node in [*body, *(inner for outer in body if isinstance(outer, ast.ClassDef) for inner in outer.body)]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            docstring = ast.get_docstring(node)
            if not docstring or "\n" in docstring or docstring in said:
                yield f"{name(path)}: {node.name}"
            said.add(docstring)


def test_every_test_says_what_it_holds():
    """Each test has a docstring of one line, and no two in a file say the same."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert [problem for path in files for problem in problems_of_tests(path)] == []


def test_no_file_is_long():
    """A file is as long as its story; one that grows beyond this holds more than one."""
    assert [name(path) for path in OURS if len(text_of(path).splitlines()) > LONGEST] == []


def test_every_file_says_what_it_is():
    """Each file begins with a docstring whose first line is a sentence."""
    first = {name(path): (ast.get_docstring(tree_of(path)) or "").partition("\n")[0] for path in OURS}
    assert [path for path, line in first.items() if not line.endswith((".", ":", "!", "?"))] == []


#: Folders of the package in which variables are still called `one` or `found`.
VAGUE = {"outbox"}


def test_variables_say_what_they_hold():
    """No variable is called `one` or `found`, except in folders that wait for it."""
    vague = {
        path.relative_to(PACKAGE).parts[0]
        for path in python_files("carecloud_async")
        for node in nodes_of(path)
        if isinstance(node, ast.Name) and node.id in {"one", "found"}
    }
    assert vague - VAGUE == set()


def test_there_are_two_styles_of_class():
    """No class of the package is an attrs class that can be changed: a state has an `__init__`."""
    third = [
        f"{name(path)}: {node.name}"
        for path in python_files("carecloud_async")
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef)
        and any(
            re.match(r"(attrs\.)?(define|mutable|attrs)\b(?!\.)", ast.unparse(decorator))
            for decorator in node.decorator_list
        )
    ]
    assert third == []


def texts():
    names = ("README.md", "AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "pyproject.toml")
    docs = [path for path in (ROOT / "docs").rglob("*") if path.suffix in {".md", ".html", ".toml"}]
    own = [path for path in docs if not path.is_relative_to(ROOT / "docs/site")]
    return [*OURS, *own, ROOT / ".ci/run", *(ROOT / file for file in names)]


def test_nothing_names_a_machine():
    """No folder, registry or address of one machine is in the project."""
    folder = re.compile(r"(?<![\w.])/(?:work|root|home/|Users|opt/wheels)\b")
    registry = re.compile(r"index-url|extra-index|find-links|registry\.npmjs|pypi\.org/simple")
    assert [name(path) for path in texts() if folder.search(text_of(path))] == []
    assert [name(path) for path in texts() if registry.search(text_of(path)) and path.name != "test_files.py"] == []


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
