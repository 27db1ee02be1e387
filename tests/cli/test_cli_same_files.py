"""Two options of an export that name one file are refused before anything is sent or removed."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from cli_process import PROGRAM


def name_by_link(folder):
    (folder / "link.jsonl").symlink_to(folder / "a.jsonl")
    return "link.jsonl"


def name_by_second_name(folder):
    os.link(folder / "a.jsonl", folder / "second.jsonl")
    return "second.jsonl"


@pytest.mark.parametrize("option", ["--report", "--state"])
@pytest.mark.parametrize(
    "other",
    [lambda _: "a.jsonl", lambda _: "./sub/../a.jsonl", name_by_link, name_by_second_name],
    ids=["same", "path", "link", "inode"],
)
def test_the_target_and_another_file(carecloud, project, tmp_path, option, other):
    """A report or a state that is the target, by any name, is refused, and the file is unchanged."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.jsonl").write_text("mine")
    refused = carecloud("export", "customers", "-o", "a.jsonl", "--overwrite", option, other(tmp_path))
    assert refused.code == 2
    assert refused.line.startswith(f"-o and {option} are the same file")
    assert (tmp_path / "a.jsonl").read_text() == "mine"
    assert project.count() == 0


def test_a_file_that_is_not_there_yet(carecloud, project, tmp_path):
    """Two options with one new name are refused; nothing appears."""
    refused = carecloud("export", "customers", "-o", "a.jsonl", "--report", tmp_path / "a.jsonl")
    assert (refused.code, list(tmp_path.iterdir())) == (2, [])
    refused = carecloud("export", "customers", "-o", "a.jsonl", "--report", "s.json", "--state", "s.json")
    assert refused.line.startswith("--report and --state are the same file")
    assert project.count() == 0


def test_a_report_where_stdout_goes(project, tmp_path):
    """`-o - > a.jsonl` with the same file as report is refused."""
    with (tmp_path / "a.jsonl").open("wb") as file:
        done = subprocess.run(
            [*PROGRAM, "export", "customers", "-o", "-", "--report", "a.jsonl"],
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert b"-o and --report are the same file, a.jsonl" in done.stderr
    assert (tmp_path / "a.jsonl").read_bytes() == b""
    assert project.count() == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names")
def test_a_report_into_a_pipe(carecloud, tmp_path):
    """A pipe that takes the report is not replaced by a file; a device, likewise, may be named twice."""
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit((tmp_path / "pipe").read_text)
        done = carecloud("export", "customers", "-o", "a.jsonl", "--report", "pipe", "--sandbox", 3)
        assert done.code == 0
        assert json.loads(read.result(60))["records"] == 3
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    nowhere = ("-o", os.devnull, "--format", "jsonl", "--report", os.devnull)
    assert carecloud("export", "customers", *nowhere, "--sandbox", 3).code == 0


def test_a_state_in_no_folder(carecloud, project, tmp_path):
    """A state file whose folder does not exist is refused before the first request of the export."""
    refused = carecloud("export", "customers", "-o", "a.jsonl", "--state", "none/s.json")
    assert refused.code == 2
    assert "there is no folder none: make it first" in refused.line
    assert project.count("GET /customers") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems make no such names")
def test_a_name_that_is_not_utf_8(carecloud, project, tmp_path):
    """A target whose name is not UTF-8 is refused with what to do, before the first request of the export."""
    refused = carecloud("export", "customers", "-o", os.fsdecode(b"caf\xe9.jsonl"))
    assert refused.code in {1, 2}
    assert refused.line.endswith("its name is not valid UTF-8: name it otherwise")
    assert project.count("GET /customers") == 0
    assert list(tmp_path.iterdir()) == []
