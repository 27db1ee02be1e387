"""The README: its commands, its Python, its names."""

import ast
import asyncio
import inspect
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from project_files import PACKAGE, ROOT

import carecloud_async
from carecloud_async.sandbox import Sandbox

README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^(<!-- not run: (?P<why>.+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
BLOCKS = list(_BLOCK.finditer(README))
SHELL = [block["text"] for block in BLOCKS if block["language"] == "sh"]
DOCS = [block for path in sorted((ROOT / "docs").glob("*.md")) for block in _BLOCK.finditer(path.read_text("utf-8"))]
PYTHON = [block for block in BLOCKS if block["language"] == "python"]


@pytest.fixture
def everything_is_the_sandbox(monkeypatch, tmp_path):
    """Clients talk to a sandbox of their own, whatever address they are given; files land in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(carecloud_async, "CareCloud", _SandboxClient)


class _SandboxClient(carecloud_async.CareCloud):
    sandbox = Sandbox(customers=300)

    def __init__(self, project_url, **settings):
        settings.setdefault("transport", self.sandbox.transport())
        super().__init__(project_url, **settings)


def compiled(text):
    return compile(text, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    "block",
    PYTHON + [one for one in DOCS if one["language"] == "python"],
    ids=lambda block: block["text"].strip().splitlines()[0][:60],
)
def test_python_blocks_compile_and_name_what_exists(block):
    """Each block is Python, and whatever it imports of the package is public there."""
    text = block["text"]
    if text.strip().splitlines()[-1].startswith("@"):  # decorators shown without what they decorate
        text += "def shown(): ..."
    compiled(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("carecloud_async"):
            module = __import__(node.module, fromlist=["*"])
            for alias in node.names:
                assert alias.name in module.__all__


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_python_blocks_run_one_after_another(everything_is_the_sandbox, capsys):
    """Read from top to bottom, as one program against the sandbox, every block does what it shows."""
    pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
    pytest.importorskip("opentelemetry.instrumentation.httpx", reason="OpenTelemetry is not installed")
    names = {"__name__": "readme"}
    for block in PYTHON:
        if block["why"]:
            continue
        code = compiled(block["text"])
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(awaited(eval(code, names)))
        else:
            exec(code, names)
    printed = capsys.readouterr().out
    assert "8ea6abece4cd0a4ded0a29f093 john.smith@example.com" in printed
    assert "50 100 300" in printed
    assert "show the login page" not in printed


async def awaited(coroutine):
    return await coroutine


def test_the_first_two_commands_are_one_line_each():
    """They stand alone in their blocks, make or reuse `.venv`, and need nothing but Python."""
    for text in SHELL[:2]:
        assert text.count("\n") == 1
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install -q -e ")
    assert ".venv/bin/carecloud export customers -o customers.jsonl --sandbox 10000" in SHELL[0]
    assert SHELL[1].rstrip().endswith(".venv/bin/python -m tests")


def test_the_first_command_exports_what_it_says(tmp_path):
    """Its last part, run in an empty folder, writes ten thousand records and says so; a second time too."""
    pytest.importorskip("typer", reason="the cli extra is not installed")
    command = SHELL[0].rpartition("&&")[2].split()
    assert command[0] == ".venv/bin/carecloud"
    program = [sys.executable, "-c", "from carecloud_async.cli import main; main()", *command[1:]]
    for _ in range(2):
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "10,000 customers in customers.jsonl" in done.stderr
    assert len((tmp_path / "customers.jsonl").read_bytes().splitlines()) == 10_000


def test_ci_runs_the_second_command():
    """`.ci/run` takes the command out of the README, so that neither can change without the other."""
    if shutil.which("awk") is None:
        pytest.skip("awk is not installed")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    program = re.search(r"awk '(.*?)' README\.md", script)[1]
    found = subprocess.run(["awk", program, "README.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == SHELL[1]


def test_the_other_commands_exist(capfd, monkeypatch):
    """Each `carecloud …` of the README is a command with those options."""
    pytest.importorskip("typer", reason="the cli extra is not installed")
    from carecloud_async.cli.app import run

    lines = [line for text in SHELL[2:] for line in text.splitlines() if line.startswith("carecloud ")]
    assert len(lines) >= 4
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    for line in lines:
        assert run(line.split()[1:]) == 2
        # What is wrong is only that no project is set.
        assert "set CARECLOUD_PROJECT_URL" in capfd.readouterr().err, line


def test_names_in_the_text_exist():
    """Every file named in the text is there, and every public class is spelled as it is."""
    text = _BLOCK.sub("", README)
    for path in re.findall(r"^\| `([^|]+)` \|", text, re.MULTILINE):
        for one in path.split("`, `"):
            if one.endswith((".py", "/")):
                assert (PACKAGE / one).exists(), one
    for name in set(re.findall(r"`(?:carecloud_async\.)?([A-Z][a-z]+[A-Za-z]*[A-Z]\w+)(?:\(\))?`", text)):
        assert name in carecloud_async.__all__, name


def test_links_within_the_project_lead_somewhere():
    """Each relative link of the README is a file or folder."""
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_extras_are_those_of_the_project():
    """The table of extras has each extra of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.partition("## Extras")[2].partition("## ")[0]
    named = {name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(project["optional-dependencies"])


def test_lines_are_not_wider_than_the_code():
    """Prose and blocks keep to 120 columns; only the two commands and the rows of tables may be longer."""
    lines = [line for line in README.splitlines() if not line.startswith("|")]
    long = [line for line in lines if len(line) > 120 and line + "\n" not in SHELL[:2]]
    assert long == []
