"""`--report`: checked before the work, and never in the place of another file."""

import json
import os

import pytest

IMPORT = ("import", "customers", "c.csv", "--match", "email", "--yes", "--default", "customer_source_id=1")


@pytest.fixture
def rows(tmp_path):
    """A file to import."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    return tmp_path / "c.csv"


@pytest.mark.parametrize("command", [IMPORT, ("check",)])
def test_a_report_is_checked_first(carecloud, project, rows, command):
    """A report that cannot be written is refused before anything is sent."""
    refused = carecloud(*command, "--report", "no/r.json")
    assert (refused.code, refused.out, "name a file in a folder that exists" in refused.line) == (2, "", True)
    assert project.count() == 0


def test_a_report_replaces_no_file_of_the_command(carecloud, project, rows):
    """The rows of an import, or its results, are not the report."""
    before = rows.read_bytes()
    refused = carecloud(*IMPORT, "--report", "./c.csv")
    assert (refused.code, "FILE and --report are the same file" in refused.line) == (2, True)
    refused = carecloud(*IMPORT, "--results", "r.jsonl", "--report", "r.jsonl")
    assert (refused.code, "--results and --report are the same file" in refused.line) == (2, True)
    assert (rows.read_bytes(), project.count("POST /customers")) == (before, 0)


EXPORT = ("export", "customers", "-o", "c.jsonl")


@pytest.mark.parametrize(("command", "refused"), [(IMPORT, "POST /users/actions/login"), (EXPORT, "GET /customers")])
def test_a_run_that_fails_leaves_no_report(carecloud, project, rows, tmp_path, command, refused):
    """A report is of a run that came to its end: that of last night does not stay."""
    (tmp_path / "r.json").write_text("{}")
    project.faults.add(refused, status=403, times=None)
    assert carecloud(*command, "--report", "r.json").code == 1
    assert not (tmp_path / "r.json").exists()


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
    if refused is not None:
        project.faults.add(refused, status=400, times=None)
    segment = project.records("segments").ids()[0]
    command = [segment if word == "SEGMENT" else word for word in command]
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patch, open(writer, "w") as gone:
        patch.setattr("sys.stdout", gone)
        assert carecloud(*command, "--report", "-").code == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such links and pipes")
def test_a_link_of_a_report_stays(carecloud, tmp_path):
    """A link is followed: to the file, which is replaced, or to an open descriptor, which is written to."""
    export = ("export", "customers", "-o", "c.jsonl", "--overwrite", "--sandbox", 3, "--report")
    (tmp_path / "reports").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to("reports/r.json")
    for _ in range(2):
        assert carecloud(*export, link).code == 0
        assert (link.is_symlink(), json.loads((tmp_path / "reports/r.json").read_text())["records"]) == (True, 3)
    link.unlink()
    reader, writer = os.pipe()
    link.symlink_to(f"/dev/fd/{writer}")
    assert carecloud(*export, link).code == 0
    assert (link.is_symlink(), json.loads(os.read(reader, 10_000))["records"]) == (True, 3)
    os.close(reader)
    os.close(writer)
    with (tmp_path / "log").open("a+b", buffering=0) as log:
        log.write(b"before\n")
        assert carecloud(*export, f"/dev/fd/{log.fileno()}").code == 0
    assert (tmp_path / "log").read_text().startswith("before\n{")  # a log keeps what it holds


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_not_utf_8(carecloud, project, rows, tmp_path):
    """A file's name in a report may hold any bytes."""
    carecloud("compare", "customers", "c.csv", "--match", "email", "--results", "\udcff.csv", "--report", "r.json")
    assert json.loads((tmp_path / "r.json").read_bytes())["results"] == "\udcff.csv"
