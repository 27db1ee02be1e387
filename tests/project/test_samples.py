"""Samples: every block of Python and every command of the README and of the site does what it shows."""

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from types import ModuleType

import pytest
from doc_samples import PAGES, TEST_PRELUDES, absent, all_blocks, blocks, compiled, outputs
from project_files import ROOT

import carecloud_async
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian")
#: Commands of Docker, which tests have not, with those of their options that pages use.
DOCKER = {"build": {"-t"}, "run": {"--rm", "-p", "--stop-timeout", "--env-file", "-v"}}
PYTHON = [(path, block) for path in PAGES for block in blocks(path, "python")]
COMMANDS = [
    (path, line.partition("  #")[0].strip())
    for path in PAGES
    for block in blocks(path, "sh")
    for line in block["text"].splitlines()
    if not line.startswith("python3 -m venv .venv && ")  # the README's first two have tests of their own
]
#: What the samples of a page print, among other things.
PRINTED = {path: outputs(path) for path in PAGES}


class _SandboxClient(carecloud_async.CareCloud):
    def __init__(self, project_url, **settings):
        settings.setdefault("transport", self.sandbox.transport())
        super().__init__(project_url, **settings)


@pytest.fixture
def everything_is_the_sandbox(monkeypatch, tmp_path, path):
    """Clients talk to a sandbox of their own, whatever address they are given; files land in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    number = 1000 if PRINTED[path] else 100  # as many as the output of a page says
    sandbox = Sandbox(customers=1000, records=number, users=number)
    monkeypatch.setattr(_SandboxClient, "sandbox", sandbox, raising=False)
    monkeypatch.setattr(carecloud_async, "CareCloud", _SandboxClient)
    monkeypatch.setitem(sys.modules, "sample", ModuleType("sample"))  # dataclasses look their module up
    settings = {"EXTERNAL_APPLICATION_ID": USER_APPLICATION_ID, "LOGIN": USER_LOGIN, "PASSWORD": USER_PASSWORD}
    for name, value in {"PROJECT_URL": "sandbox.crmcarecloud.com", **settings}.items():
        monkeypatch.setenv(f"CARECLOUD_{name}", value)


def page_id(value):
    return value.name if hasattr(value, "name") else None


def is_test(block):
    return "def test_" in block["text"]


@pytest.mark.parametrize(
    ("path", "block"),
    PYTHON,
    ids=[f"{path.stem}: {block['text'].strip().splitlines()[0][:60]}" for path, block in PYTHON],
)
def test_python_blocks_compile_and_name_what_exists(path, block):
    """Each block is Python, and whatever it imports of the package is public there."""
    compiled(block["text"], path.name)
    tree = ast.parse(block["text"] + ("def shown(): ..." if block["text"].strip().split("\n")[-1][0] == "@" else ""))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("carecloud_async"):
            for engine, library in (("spark", "pyspark"), ("dlt", "dlt")):
                if node.module.startswith(f"carecloud_async.{engine}"):
                    pytest.importorskip(library, reason=f"{library} is not installed")
            module = __import__(node.module, fromlist=["*"])
            for alias in node.names:
                assert alias.name in module.__all__


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path, "python")], ids=page_id)
def test_python_blocks_run_one_after_another(path, everything_is_the_sandbox, capsys):
    """Read from top to bottom, as one program against the sandbox, each page imports all and does what it shows."""
    pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
    pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    pytest.importorskip("opentelemetry.instrumentation.httpx", reason="OpenTelemetry is not installed")
    asyncio.run(run_page(path))
    printed = capsys.readouterr().out
    assert [output for output in PRINTED[path] if output not in printed] == []
    assert "show the login page" not in printed
    assert "nothing was sent" not in printed
    if missing := {name for block in blocks(path, "python") if not block["why"] for name in absent(block)}:
        pytest.skip(f"what some samples need is not installed: {', '.join(sorted(missing))}")


async def run_page(path):
    names = vars(sys.modules["sample"])
    async with _SandboxClient.from_env() as client:
        names["client"] = client
        for block in blocks(path, "python"):
            if block["why"] or is_test(block) or absent(block):
                continue
            code = compiled(block["text"], path.name)
            if code.co_flags & inspect.CO_COROUTINE:
                await eval(code, names)
            elif "asyncio.run" in block["text"]:
                await asyncio.to_thread(exec, code, names)
            else:
                exec(code, names)


def test_tests_that_are_shown_pass(tmp_path):
    """The tests on the pages, collected by pytest as a reader's own, pass."""
    pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
    number = 0
    for path in PAGES:
        shown = [block["text"] for block in blocks(path, "python") if is_test(block) and not block["why"]]
        if shown:
            text = TEST_PRELUDES.get(path.name, "") + "\n\n".join(shown)
            (tmp_path / f"test_of_{path.stem}.py").write_text(text, encoding="utf-8")
            number += len(re.findall("def test_", "".join(shown)))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{number} passed" in done.stdout


def test_the_file_of_bills_is_imported(tmp_path):
    """The command on the page about bills creates all bills of the file that the page shows."""
    page = (ROOT / "docs/loyalty_imports.md").read_text(encoding="utf-8")
    rows, command = (
        next(block["text"] for block in all_blocks(page) if block["language"] == language and start in block["text"])
        for language, start in (("text", "external_purchase_id,"), ("sh", "carecloud import purchases"))
    )
    (tmp_path / "bills.csv").write_text(rows, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "carecloud_async.cli", *shlex.split(command)[1:], "--sandbox", "10"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "2 rows of purchases: 2 created" in done.stderr) == (0, True), done.stderr


def test_blocks_have_a_language():
    """No page holds code that is neither run nor left out with a reason."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?<=\n\n)    \S.*", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
        assert text.count("\n```") % 2 == 0, path.name
        assert not re.findall(r"\n\n```\n", text), path.name


def test_every_block_is_found():
    """No block is hidden in another one, or in the reason why another one is not run."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert [one["why"] for one in all_blocks(text) if "\n" in (one["why"] or "")] == []
        assert 2 * len(all_blocks(text)) == len(re.findall("^```", text, re.MULTILINE)), path.name


@pytest.mark.parametrize(("path", "line"), COMMANDS, ids=[f"{path.stem}: {line}" for path, line in COMMANDS])
def test_commands_exist(path, line, capfd, monkeypatch, tmp_path):
    """Each line of a shell block is a command that exists, with those options; one with `--sandbox` is run."""
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    program = (words or ["export"])[0].removeprefix(".venv/bin/")
    checks = {"carecloud": _carecloud, "pip": _pip} | dict.fromkeys(SERVERS, _server)
    checks |= {"python": _module, "python3": _module, "docker": _docker}
    if program == "export":
        assert re.fullmatch(r"export [A-Z_]+=\S+", line)
    elif program == ".":
        assert words == [".", ".venv/bin/activate"]
    elif "--sandbox" in words:
        monkeypatch.chdir(tmp_path)
        _in_the_sandbox(words[1:])
    elif program == "pre-commit":
        assert (ROOT / ".pre-commit-config.yaml").is_file()
    else:
        if "columns.toml" in words:  # a file of columns is read before the settings
            (tmp_path / "columns.toml").touch()
        checks[program](words[1:], program, capfd, monkeypatch, tmp_path)


def _carecloud(arguments, _program, capfd, monkeypatch, tmp_path):
    pytest.importorskip("typer", reason="the cli extra is not installed")
    from carecloud_async.cli.app import run

    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    if arguments[0] == "sandbox":
        assert run([*arguments, "--help"]) == 0
        text = capfd.readouterr().out
        assert [word for word in arguments if word.startswith("-") and word not in text] == []
        return
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "outbox" and "serve" not in arguments:  # its file comes before the settings
        assert run(arguments) == 1
        assert "there is no such file" in capfd.readouterr().err
        return
    assert run(arguments) == 2
    # What is wrong is only that no project is set.
    assert "set CARECLOUD_PROJECT_URL" in capfd.readouterr().err


def _in_the_sandbox(arguments):
    pytest.importorskip("typer", reason="the cli extra is not installed")
    from carecloud_async.cli.app import run

    assert run(arguments) == 0


def _pip(arguments, *_):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert arguments[0] == "install"
    for named in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
        assert set(named.split(",")) <= set(project["project"]["optional-dependencies"])
    for group in re.findall(r"--group (\w+)", " ".join(arguments)):
        assert group in project["dependency-groups"]


def _module(arguments, *_):
    assert arguments[0] == "-m"
    found = find_spec(arguments[1])
    if found is None and arguments[1] == "benchmarks":
        pytest.skip(f"{arguments[1]} is not installed")
    assert found is not None
    for one in arguments[2:]:
        assert not one.startswith(("docs/", "tests/")) or (ROOT / one).exists()


def _docker(arguments, *_):
    assert arguments[0] in DOCKER
    assert {word for word in arguments if word.startswith("-")} <= DOCKER[arguments[0]]


def _server(arguments, program, *_):
    if find_spec(program) is None:
        pytest.skip(f"{program} is not installed")
    shown = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True)
    assert [word for word in arguments if word.startswith("--") and word not in shown.stdout] == []
