"""Rules that every file of the project keeps."""

import ast
import re

import pytest
from project_files import PACKAGE, ROOT, python_files

LONGEST = 420
OURS = python_files("carecloud_async", "tests", "benchmarks")


def name(path):
    return str(path.relative_to(ROOT))


def each_test(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=name)
def test_every_test_says_what_it_holds(path):
    """Each test has a docstring of one line, and no two in a file say the same."""
    said = []
    for node in each_test(path):
        docstring = ast.get_docstring(node)
        assert docstring, f"{node.name} has no docstring"
        assert "\n" not in docstring, f"{node.name} says it in more than one line"
        said.append(docstring)
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("path", OURS, ids=name)
def test_no_file_is_long(path):
    """A file that grows long holds more than one idea."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", OURS, ids=name)
def test_every_file_says_what_it_is(path):
    """Each file begins with a docstring whose first line is a sentence."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", "!", "?"))


@pytest.mark.parametrize("path", OURS, ids=name)
def test_what_is_ignored_has_a_code(path):
    """`type: ignore`, `pyright: ignore` and `noqa` name what they silence."""
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"#\s*type:\s*ignore(?!\[)", text)
    assert not re.findall(r"#\s*pyright:\s*ignore(?!\[)", text)
    assert not re.findall(r"#\s*noqa(?!:)", text, re.IGNORECASE)


@pytest.mark.parametrize("path", python_files("carecloud_async"), ids=name)
def test_imports_are_absolute(path):
    """Relative imports hide which layer something is in."""
    levels = {node.level for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)}
    assert levels <= {0}


def texts():
    ours = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml", ".ci/run", "LICENSE"]
    built = ROOT / "docs/site"
    found = (path for path in (ROOT / "docs").rglob("*") if not path.is_relative_to(built))
    docs = [path for path in found if path.suffix in {".md", ".py", ".html", ".toml"}]
    return [*OURS, *docs, *(ROOT / one for one in ours)]


@pytest.mark.parametrize("path", texts(), ids=name)
def test_nothing_names_a_machine(path):
    """No folder, registry or address of one machine is in the project."""
    text = path.read_text(encoding="utf-8")
    for folder in ("work", "root", "home/", "Users", "opt/wheels"):
        assert not re.search(rf"(?<![\w.])/{folder}\b", text), f"/{folder}"
    assert (
        not re.search(r"index-url|extra-index|find-links|registry\.npmjs|pypi\.org/simple", text)
        or path.name == "test_files.py"
    )


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
