"""The README: its first commands, its names, its extras. What it shows is run by `test_samples.py`."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from doc_samples import blocks, prose
from project_files import PACKAGE, ROOT

import carecloud_async

PATH = ROOT / "README.md"
README = PATH.read_text(encoding="utf-8")
SHELL = [block["text"] for block in blocks(PATH, "sh")]


def test_the_first_two_commands_are_one_line_each():
    """The README's first two commands are one line each, make or reuse `.venv`, and need nothing but Python."""
    for text in SHELL[:2]:
        assert text.count("\n") == 1
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
        assert re.search(r"\.venv/bin/(uv )?pip install -q (--python \.venv )?-e '\.\[", text)
    assert ".venv/bin/carecloud export customers -o customers.jsonl --sandbox 10000" in SHELL[0]
    assert SHELL[1].rstrip().endswith(".venv/bin/python -m tests")


def test_the_first_command_exports_what_it_says(monkeypatch, tmp_path, capfd):
    """The README's first command, writes ten thousand records and says so, also where it has run before."""
    pytest.importorskip("typer", reason="the cli extra is not installed")
    from carecloud_async.cli.app import run

    monkeypatch.chdir(tmp_path)
    command = SHELL[0].rpartition("&&")[2].split()
    assert command[0] == ".venv/bin/carecloud"
    Path("customers.jsonl").write_text("what an earlier run has left\n")
    assert run(command[1:]) == 0
    assert "10,000 customers in customers.jsonl" in capfd.readouterr().err
    assert len(Path("customers.jsonl").read_bytes().splitlines()) == 10_000


def test_the_picture_shows_the_command_above_it():
    """The terminal in docs/export.svg runs what the README and the home page print before it, and loads nothing."""
    picture = (ROOT / "docs/export.svg").read_text(encoding="utf-8")
    shown = re.search(r">\$ (carecloud .*?)</text>", picture.replace("&#160;", " "))[1]
    assert f".venv/bin/{shown}" in SHELL[0]
    assert blocks(ROOT / "docs/index.md", "sh")[0]["text"].endswith(f"{shown}\n")
    assert "url(http" not in picture


def test_ci_runs_the_second_command():
    """`.ci/run` takes the command out of the README, so that neither can change without the other."""
    if shutil.which("awk") is None:
        pytest.skip("awk is not installed")
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    program = re.search(r"awk '(.*?)' README\.md", script)[1]
    taken = subprocess.run(["awk", program, "README.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert taken.stdout == SHELL[1]


def test_names_in_the_text_exist():
    """Every file named in the text is there, and every public class is spelled as it is."""
    text = prose(PATH)
    for path in re.findall(r"^\| `([^|]+)` \|", text, re.MULTILINE):
        for file in path.split("`, `"):
            assert not file.endswith((".py", "/")) or (PACKAGE / file).exists(), file
    for name in set(re.findall(r"`(?:carecloud_async\.)?([A-Z][a-z]+[A-Za-z]*[A-Z]\w+)(?:\(\))?`", text)):
        assert name in carecloud_async.__all__, name


def test_the_extras_are_those_of_the_project():
    """The table of extras has each extra of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = README.partition("## Extras")[2].partition("## ")[0]
    named = {
        name for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
    }
    assert named == set(project["optional-dependencies"])


def test_lines_are_not_wider_than_the_code():
    """Prose and blocks keep to 120 columns; only the two commands and the rows of tables may be longer."""
    lines = [line for line in README.splitlines() if not line.startswith("|")]
    long = [line for line in lines if len(line) > 120 and line + "\n" not in SHELL[:2]]
    assert long == []
