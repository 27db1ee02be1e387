"""`--report`: checked before the work, and never in the place of another file."""

import json
import os

import pytest

from carecloud_async.cli.console import ReaderGoneError
from carecloud_async.cli.report_file import prepare_report, write_report

IMPORT = ("import", "customers", "c.csv", "--match", "email", "--yes", "--default", "customer_source_id=1")


@pytest.fixture
def rows(tmp_path):
    """A file to import."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    return tmp_path / "c.csv"


def test_an_import_checks_its_report_first(carecloud, project, rows):
    """A report that cannot be written is refused before anything is sent."""
    refused = carecloud(*IMPORT, "--report", "no/r.json")
    assert (refused.code, "name a file in a folder that exists" in refused.line) == (2, True)
    assert project.count("POST /customers") == 0


def test_a_report_replaces_no_file_of_the_command(carecloud, project, rows):
    """The rows of an import, or its results, are not the report."""
    before = rows.read_bytes()
    refused = carecloud(*IMPORT, "--report", "./c.csv")
    assert (refused.code, "FILE and --report are the same file" in refused.line) == (2, True)
    refused = carecloud(*IMPORT, "--results", "r.jsonl", "--report", "r.jsonl")
    assert (refused.code, "--results and --report are the same file" in refused.line) == (2, True)
    assert (rows.read_bytes(), project.count("POST /customers")) == (before, 0)


def test_an_import_that_fails_leaves_no_report(carecloud, project, rows, tmp_path):
    """A report is of a run that came to its end, for imports as for exports."""
    (tmp_path / "r.json").write_text("{}")
    project.faults.add("POST /users/actions/login", status=403, times=None)
    assert carecloud(*IMPORT, "--report", "r.json").code == 1
    assert not (tmp_path / "r.json").exists()


def test_a_check_refuses_its_report_first(carecloud):
    """Findings are not lost because the report cannot be written."""
    refused = carecloud("check", "--sandbox", 1, "--report", "no/r.json")
    assert (refused.code, refused.out) == (2, "")


def test_a_check_reports_to_stdout(carecloud):
    """`--report -` prints the report of a check as JSON, alone."""
    assert "findings" in json.loads(carecloud("check", "--sandbox", 1, "--report", "-").out)


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        (("check",), "POST /users/actions/login"),
        (IMPORT, "POST /customers"),
        (("compare", "customers", "c.csv", "--match", "email"), None),
        (("segment", "SEGMENT", "c.csv", "--mode", "add", "--match", "email"), None),
    ],
)
def test_a_reader_that_is_gone_makes_no_success(carecloud, project, rows, monkeypatch, command, refused):
    """Problems, refused rows and differences are exit code 1, also where no one reads the report on stdout."""
    discarded = []

    def gone(_):
        raise ReaderGoneError

    if refused is not None:
        project.faults.add(refused, status=400, times=None)
    monkeypatch.setattr("carecloud_async.cli.report_file.put", gone)
    monkeypatch.setattr("carecloud_async.cli.report_file.discard_output", lambda: discarded.append(1))
    segment = project.records("segments").ids()[0]
    command = [segment if word == "SEGMENT" else word for word in command]
    assert (carecloud(*command, "--report", "-").code, discarded) == (1, [1])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links and pipes")
def test_a_link_of_a_report_stays(tmp_path):
    """A link is followed: to the file, which is replaced, or to an open descriptor, which is written to."""
    (tmp_path / "reports").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to("reports/r.json")
    for text in ("{}", "[]"):
        prepare_report(str(link))
        assert not (tmp_path / "reports/r.json").exists()
        write_report(str(link), text)
        assert (link.is_symlink(), (tmp_path / "reports/r.json").read_text()) == (True, text)
    reader, writer = os.pipe()
    link.unlink()
    link.symlink_to(f"/dev/fd/{writer}")
    for name in (str(link), f"/dev/fd/{writer}"):
        prepare_report(name)
        write_report(name, "{}")
        assert (link.is_symlink(), os.read(reader, 10)) == (True, b"{}")
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_report_in_a_log_is_added(tmp_path):
    """`--report /dev/stderr` keeps what a log holds that stderr is written to."""
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        log.write(b"before\n")
        prepare_report(f"/dev/fd/{log.fileno()}")
        write_report(f"/dev/fd/{log.fileno()}", "{}\n")
    assert (tmp_path / "log").read_text() == "before\n{}\n"


def test_a_name_that_is_not_utf_8(tmp_path):
    """A file's name in a report may hold any bytes."""
    write_report(str(tmp_path / "r.json"), json.dumps({"target": "\udcff.csv"}, ensure_ascii=False))
    assert json.loads((tmp_path / "r.json").read_bytes()) == {"target": "\udcff.csv"}
