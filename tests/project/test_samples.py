"""Samples: every block of Python and every command of the README and of the site does what it shows."""

import ast
import asyncio
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from doc_samples import PAGES, TEST_PRELUDES, absent, all_blocks, blocks, compiled, outputs
from every import every
from project_files import ROOT

import carecloud_async
from carecloud_async.sandbox import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD, Sandbox

pytest_plugins = ["pytester"]

SERVERS = ("uvicorn", "gunicorn", "hypercorn", "granian")
#: Commands of Docker, which tests have not, with those of their options that pages use.
DOCKER = {"build": {"-t"}, "run": {"--rm", "-p", "--stop-timeout", "--env-file", "-v"}}
PYTHON = [(path, block) for path in PAGES for block in blocks(path, "python")]
#: Each command once. The README's first two have tests of their own.
COMMANDS = sorted(
    {
        line.partition("  #")[0].strip()
        for path in PAGES
        for block in blocks(path, "sh")
        for line in block["text"].splitlines()
        if not line.startswith("python3 -m venv .venv && ")
    }
)
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
    number = 1000 if path.name in {"calls.md", "changes.md"} else 100  # their output counts cards and others
    sandbox = Sandbox(customers=1000, records=number)
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


@every("path, block", PYTHON)
def test_python_blocks_name_what_exists(path, block):
    """Each block is Python, and whatever it imports of the package is public there."""
    compiled(block["text"], path.name)
    shown = "def shown(): ..." if block["text"].strip().split("\n")[-1][0] == "@" else ""
    for node in ast.walk(ast.parse(block["text"] + shown, path.name)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("carecloud_async"):
            library = {"spark": "pyspark", "dlt": "dlt"}.get(node.module.split(".")[-1])
            if library is None or find_spec(library) is not None:
                assert {alias.name for alias in node.names} <= set(import_module(node.module).__all__)


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


def test_tests_that_are_shown_pass(pytester):
    """The tests on the pages, collected by pytest as a reader's own, pass."""
    pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
    number = 0
    for path in PAGES:
        shown = [block["text"] for block in blocks(path, "python") if is_test(block) and not block["why"]]
        if shown:
            pytester.makepyfile(**{f"test_of_{path.stem}": TEST_PRELUDES.get(path.name, "") + "\n\n".join(shown)})
            number += len(re.findall("def test_", "".join(shown)))
    options = ("asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *(f"-o{option}" for option in options))
    result.assert_outcomes(passed=number)


def test_the_file_of_bills_is_imported(monkeypatch, tmp_path, capfd):
    """The command on the page about bills creates all bills of the file that the page shows."""
    page = (ROOT / "docs/loyalty_imports.md").read_text(encoding="utf-8")
    rows, command = (
        next(block["text"] for block in all_blocks(page) if block["language"] == language and start in block["text"])
        for language, start in (("text", "external_purchase_id,"), ("sh", "carecloud import purchases"))
    )
    monkeypatch.chdir(tmp_path)
    Path("bills.csv").write_text(rows, encoding="utf-8")
    _carecloud([*shlex.split(command)[1:], "--sandbox", "10"], capfd)
    assert "2 rows of purchases: 2 created" in capfd.readouterr().err


def test_every_block_is_found():
    """Each block has a language; none is hidden in another one, or in the reason why another one is not run."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?<=\n\n)    \S.*", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
        assert not re.findall(r"\n\n```\n", text), path.name
        assert [block["why"] for block in all_blocks(text) if "\n" in (block["why"] or "")] == []
        assert 2 * len(all_blocks(text)) == len(re.findall("^```", text, re.MULTILINE)), path.name


@every("line", COMMANDS)
def test_commands_exist(line, capfd, monkeypatch, tmp_path_factory):
    """Each line of a shell block is a command that exists, with those options; one with `--sandbox` is run."""
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    program = (words or ["export"])[0].removeprefix(".venv/bin/")
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("command"))
        for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD"):
            patch.delenv(f"CARECLOUD_{name}", raising=False)
        if program == "export":
            assert re.fullmatch(r"export [A-Z_]+=\S+", line)
        elif program == ".":
            assert words == [".", ".venv/bin/activate"]
        elif program == "pre-commit":
            assert (ROOT / ".pre-commit-config.yaml").is_file()
        elif program == "docker":
            assert words[1] in DOCKER
            assert {word for word in words if word.startswith("-")} <= DOCKER[words[1]]
        elif program not in SERVERS:
            CHECKS[program](words[1:], capfd)


def _carecloud(arguments, capfd):
    pytest.importorskip("typer", reason="the cli extra is not installed")
    from carecloud_async.cli.app import run

    if "--sandbox" in arguments:
        size = arguments.index("--sandbox") + 1
        arguments[size] = str(min(int(arguments[size]), 100))
        assert run(arguments) == 0
        return
    if arguments[0] == "sandbox":
        assert run([*arguments, "--help"]) == 0
        text = capfd.readouterr().out
        assert [word for word in arguments if word.startswith("-") and word not in text] == []
        return
    if arguments[0] == "outbox" and "serve" not in arguments:  # its file comes before the settings
        assert run(arguments) == 1
        assert "there is no such file" in capfd.readouterr().err
        return
    if "columns.toml" in arguments:  # a file of columns is read before the settings
        Path("columns.toml").touch()
    assert run(arguments) == 2
    # What is wrong is only that no project is set.
    assert "set CARECLOUD_PROJECT_URL" in capfd.readouterr().err


def _pip(arguments, _):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert arguments[0] == "install"
    for named in re.findall(r"\[([\w,]+)\]", " ".join(arguments)):
        assert set(named.split(",")) <= set(project["project"]["optional-dependencies"])
    for group in re.findall(r"--group (\w+)", " ".join(arguments)):
        assert group in project["dependency-groups"]


def _module(arguments, _):
    assert arguments[0] == "-m"
    assert find_spec(arguments[1]) is not None
    for word in arguments[2:]:
        assert not word.startswith(("docs/", "tests/")) or (ROOT / word).exists()


CHECKS = {"carecloud": _carecloud, "pip": _pip, "python": _module, "python3": _module}


@pytest.mark.parametrize("server", SERVERS)
def test_servers_have_the_options_of_the_pages(server):
    """Each option that the pages give to a web server exists."""
    if find_spec(server) is None:
        pytest.skip(f"{server} is not installed")
    given = {word for line in COMMANDS if line.startswith(server) for word in line.split() if word.startswith("--")}
    done = subprocess.run([sys.executable, "-m", server, "--help"], capture_output=True, text=True, check=True)
    assert [option for option in given if option not in done.stdout] == []
