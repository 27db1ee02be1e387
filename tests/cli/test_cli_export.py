"""`carecloud export`."""

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest
from every import every
from lying import lie

from benchmarks.api_rules import broken_rules
from carecloud_async import fixes
from carecloud_async.cli.failures import explain
from carecloud_async.cli.reports import show_progress
from carecloud_async.errors import ExportError
from carecloud_async.export import Progress


def test_a_project_from_the_environment(carecloud, project, tmp_path):
    """With the four variables set, everything comes from there, with one login."""
    done = carecloud("export", "customers", "-o", tmp_path / "c.jsonl", "--count", 100, "--concurrency", 2)
    assert done.code == 0, done.err
    assert len((tmp_path / "c.jsonl").read_bytes().splitlines()) == 250
    assert project.logins == 1
    assert broken_rules(project) == []


def test_an_export_that_is_not_exact_says_why_and_fails(carecloud, project, tmp_path):
    """The file is there, standard error has the reason and what helps, the report has both, and the exit code is 1."""
    lie(project, total_items=300)
    done = carecloud("export", "customers", "-o", tmp_path / "c.jsonl", "--report", tmp_path / "r.json")
    assert (done.code, len((tmp_path / "c.jsonl").read_bytes().splitlines())) == (1, 250)
    assert "not exact, because the server counts more records than it showed: run it again" in done.line
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["exact"], report["reasons"]) == (False, ["short_of_total"])
    assert "next time" not in done.line  # the records that are missing may have changed long before


def test_a_list_that_is_emptied_is_said_once_in_the_words_of_the_command(carecloud, project):
    """One line says why the reading is not exact and what helps, and names no option that the command does not have."""

    def empty(_):
        for customer_id in [*project.customers.ids()]:
            project.customers.delete(customer_id)

    Path("c.csv").write_text("email\nnobody@example.com\n")
    emptied = "the list is empty, although it had records: check the filters and the rights of this user"
    for command, hint in {
        ("export", "customers", "-o", "c.jsonl"): "pass --allow-shrink",
        ("compare", "customers", "c.csv", "--match", "email"): "then run it again",
        ("duplicates", "customers", "--by", "email", "-o", "d.csv", "--no-plan"): "then run it again",
    }.items():
        for _ in range(5):
            project.customers.insert()
        project.on_page = empty
        done = carecloud(*command)
        project.on_page = None
        assert (done.code, emptied in done.line, hint in done.line) == (1, True, True), done.err
        assert ("allow" in done.line) is (command[0] == "export")


def test_a_list_without_a_total_is_not_the_fault_of_the_address(carecloud, project):
    """`carecloud total` of a list that the server does not count says how to count it."""
    lie(project, total_items=None)
    done = carecloud("total", "customers")
    assert (done.code, "export it, and count the records" in done.line) == (1, True), done.err
    assert "project URL" not in done.line


def test_options_win_over_the_environment(carecloud, project, monkeypatch):
    """`--project-url`, `--login` and `--external-application-id` are taken before the variables."""
    url = os.environ["CARECLOUD_PROJECT_URL"]
    monkeypatch.setenv("CARECLOUD_PROJECT_URL", "wrong.example")
    assert carecloud("total", "customers", "--project-url", url).out == "250\n"


def test_an_existing_file_is_not_touched(carecloud, tmp_path):
    """Without `--overwrite` what is there stays, and the line names the option."""
    (tmp_path / "c.jsonl").write_text("precious")
    refused = carecloud("export", "customers", "-o", "c.jsonl", "--sandbox", 3)
    assert refused.code == 1
    assert "--overwrite" in refused.line
    assert (tmp_path / "c.jsonl").read_text() == "precious"
    assert carecloud("export", "customers", "-o", "c.jsonl", "--sandbox", 3, "--overwrite").code == 0
    assert len((tmp_path / "c.jsonl").read_bytes().splitlines()) == 3


WRONG_USAGE = {
    "no records a page": (["--count", "0"], "--count"),
    "a negative count": (["--count", "-5"], "--count"),
    "a count in words": (["--count", "many"], "--count must be auto or a whole number from 1 up"),
    "no requests": (["--concurrency", "0"], "--concurrency"),
    "a negative rate": (["--rate", "-1"], "--rate"),
    "an unreadable time": (["--changed-since", "yesterday"], "2026-11-01T00:00"),
    "an empty field": (["--fields", "customer_id,,email"], "--fields"),
    "an unknown option": (["--cuont", "3"], "--count"),
    "an unknown suffix": (["-o", "c.xml"], ".parquet"),
    "a workbook": (["-o", "c.xlsx"], "for a spreadsheet with decimal commas, write .csv with --excel --decimal ,"),
    "an unknown zone": (["--timezone", "Mars/Base"], "Europe/Prague"),
    "no output": (["export", "customers"], "'--output' / '-o'"),
    "no folder for the report": (["--report", "no/r.json"], "name a file in a folder that exists"),
    "records and report on stdout": (["-o", "-", "--report", "-"], "mix on stdout"),
    "stdout cannot be resumed": (["-o", "-", "--resume"], "cannot be resumed"),
    "excel": (["-o", "c.jsonl", "--excel"], "--excel is for .csv alone: leave it out"),
    "delimiter": (["-o", "-", "--delimiter", ";"], "--delimiter is for .csv alone"),
    "formulas": (["-o", "c.ndjson.gz", "--escape-formulas"], "--escape-formulas is for .csv alone"),
    "columns": (["-o", "c.csv.gz", "--columns", "found"], "--columns is for .parquet alone"),
    "timestamps": (["-o", "-", "--format", "csv", "--timestamps", "utc"], "--timestamps is for .parquet alone"),
    "no delimiter": (["-o", "c.csv", "--delimiter", "::"], "--delimiter '::' must be one character"),
    "no format": (["-o", "c", "--format", "xlsx"], "--format"),
    "no columns": (["-o", "c.parquet", "--columns", "all"], "--columns"),
    "no suffix": (["-o", "c"], "or say it with --format"),
    "state and since": (["-o", "c.csv", "--state", "s", "--changed-since", "2026-01-01"], "either --state or"),
}


@every("arguments, hint", [*WRONG_USAGE.values()])
def test_wrong_usage_is_one_line_and_code_2(carecloud, tmp_path, arguments, hint):
    """Each mistake on the command line is refused with a line that names the fix, and leaves no file."""
    if arguments[0] != "export":
        arguments = ["export", "customers", "-o", "c.jsonl", *arguments]
    refused = carecloud(*arguments, "--sandbox", 3)
    assert (refused.code, refused.out, hint in refused.line) == (2, "", True), refused.err
    assert list(tmp_path.iterdir()) == []


def test_places_where_nothing_can_be_written(carecloud, tmp_path):
    """A missing folder, a folder as target and a device that is full are each one line."""
    for target, hint in ((tmp_path / "no/c.jsonl", "make it first"), (tmp_path / "d.jsonl", "is a folder")):
        (tmp_path / "d.jsonl").mkdir(exist_ok=True)
        refused = carecloud("export", "customers", "-o", target, "--sandbox", 3)
        assert refused.code == 1
        assert hint in refused.line


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may write everywhere")
def test_a_folder_without_the_right_to_write(carecloud, tmp_path):
    """The line says that one may not write there."""
    tmp_path.chmod(0o500)
    refused = carecloud("export", "customers", "-o", tmp_path / "c.jsonl", "--sandbox", 3)
    assert (refused.code, "may not write" in refused.line) == (1, True)


def test_a_partial_that_is_discarded(carecloud, project, tmp_path):
    """Without `--resume` what an earlier run has fetched is lost, and that is said."""
    project.latency = 0
    project.faults.add("GET /customers", status=400, times=None, after=5)
    stopped = carecloud("export", "customers", "-o", "c.jsonl", "--count", 10, "--concurrency", 1)
    assert stopped.code == 1
    assert stopped.line.endswith("; the same command with --resume goes on")
    project.faults.clear()
    done = carecloud("export", "customers", "-o", "c.jsonl", "--count", 10)
    assert done.code == 0
    discarding, *_, last = done.err.splitlines()
    assert discarding == (
        "carecloud: warning: discarding what an earlier run fetched for c.jsonl; --resume goes on with it"
    )
    assert last.startswith("carecloud: 250 customers in c.jsonl")


def test_nothing_fetched_promises_nothing(carecloud, project, tmp_path):
    """A failure before the first page does not speak of `--resume`."""
    project.faults.add("GET /customers", status=400, times=None)
    assert "--resume" not in carecloud("export", "customers", "-o", "c.jsonl").line


def test_a_report_for_schedulers(carecloud, tmp_path):
    """`--report FILE` has the outcome as JSON, whole; `-` prints it on stdout."""
    done = carecloud("export", "customers", "-o", "c.jsonl", "--sandbox", 7, "--report", "r.json")
    assert (done.code, done.out) == (0, "")
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["resource"] == "customers"
    assert (report["records"], report["target"], report["exact"], report["nulls"]) == (7, "c.jsonl", True, {})
    assert datetime.fromisoformat(report["next_changed_since"]).tzinfo is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.jsonl", "r.json"]
    shown = carecloud("export", "customers", "-o", "c.jsonl", "--sandbox", 7, "--report", "-", "--overwrite")
    assert json.loads(shown.out)["records"] == 7


def test_values_that_became_null_are_counted(carecloud):
    """The last line says how many values of which field a Parquet file could not hold."""
    pytest.importorskip("pyarrow", reason="the parquet extra is not installed")
    done = carecloud("export", "customers", "-o", "c.parquet", "--sandbox", 300)
    assert done.code == 0
    last = done.err.splitlines()[-1]
    assert "values that could not be read were written as null: 24 personal_information.birthdate, " in last


def _count(name, text):
    """How often a name stands in a text as a word, and not as an option."""
    return len(re.findall(rf"(?<![\w-]){name}(?![\w-])", text))


def test_every_fix_has_words_in_the_command():
    """No fix of the SDK shows the name of an argument of Python on the command line."""
    known = [fix for fix in vars(fixes).values() if isinstance(fix, fixes.Fix)]
    assert len(known) > 15
    for fix in known:
        line, words = explain(ExportError("x", fix=fix))[0], re.sub(r"\{\w+\}", "", fix.step)
        shown = [name for name in fix.settings if _count(name, line) > _count(name, words)]
        assert not shown, line


def test_progress_lines_come_every_few_seconds(capfd):
    """Without a terminal a plain line is printed every few seconds, not for each page."""
    now = [0.0]
    with show_progress("customers", clock=lambda: now[0]) as on_progress:
        for second in range(12):
            now[0] = float(second)
            on_progress(progress(records=1000 * second))
    assert capfd.readouterr().err.splitlines() == [
        "carecloud: customers: 5,000 of 20,000, 1,000 a second, 0:00:15 left",
        "carecloud: customers: 10,000 of 20,000, 1,000 a second, 0:00:15 left",
    ]


def progress(**given):
    values = {
        "records": 0,
        "total": 20_000,
        "requests": 1,
        "pages": 1,
        "seconds": 1.0,
        "rate": 1000.0,
        "remaining": 15.0,
        **given,
    }
    return Progress(**values)
