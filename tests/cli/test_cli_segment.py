"""`carecloud segment`: a file of customers becomes the members of a segment."""

import os
import signal

import pytest
from child_processes import wait_until

ADD = "POST /segments/{segment_id}/actions/add-customer"


def test_a_segment_mirrors_a_file(carecloud, project, tmp_path):
    """The line has the counts; a mirror that would empty the segment is refused, with the option that allows it."""
    segment = project.records("segments").ids()[0]
    table = project.records("segments/segment-records", of=segment)
    table.refill([])
    wanted = [project.customers.id_at(number) for number in range(3)]
    (tmp_path / "members.csv").write_text("\n".join(["customer_id", *wanted, ""]))
    done = carecloud("segment", segment, "members.csv", "--mode", "mirror")
    assert done.code == 0, done.err
    assert done.line == "3 rows: 3 added; 3 members now"
    (tmp_path / "members.csv").write_text("customer_id\n")
    refused = carecloud("segment", segment, "members.csv", "--mode", "mirror")
    assert refused.code == 1
    assert "3 of 3 members would be removed" in refused.line
    assert refused.line.endswith("accept it with --allow-shrink")
    assert len(table) == 3
    assert carecloud("segment", segment, "members.csv", "--mode", "mirror", "--allow-shrink").code == 0
    assert len(table) == 0


def test_rows_without_a_customer_are_named(carecloud, project, tmp_path):
    """The line says why rows are unknown, and where they are."""
    segment = project.records("segments").ids()[0]
    (tmp_path / "members.csv").write_text(f"customer_id\n{project.customers.id_at(0)}\nnobody\n")
    done = carecloud("segment", segment, "members.csv", "--mode", "add")
    assert done.code == 1
    assert "1 unknown" in done.line
    assert done.line.endswith("; no customer has this key (line 3)")


def test_a_member_who_cannot_be_removed(carecloud, project, tmp_path):
    """The line of a mirror says why, also where no row of the file names the member."""
    segment = project.records("segments").ids()[0]
    wanted = [project.customers.id_at(number) for number in range(3)]
    (tmp_path / "members.csv").write_text("\n".join(["customer_id", *wanted, ""]))
    assert carecloud("segment", segment, "members.csv", "--mode", "mirror", "--allow-shrink").code == 0
    (tmp_path / "members.csv").write_text("\n".join(["customer_id", *wanted[:2], ""]))
    body = '{"error": {"error_data": {"invalid_params": [{"name": "customer_id", "reason": "is_locked"}]}}}'
    project.faults.add("POST /segments/{segment_id}/actions/remove-customer", status=400, body=body, times=None)
    done = carecloud("segment", segment, "members.csv", "--mode", "mirror")
    assert (done.code, done.line.endswith("; is_locked (members without a row)")) == (1, True), done.line


def test_a_file_without_the_column_of_the_key_is_wrong_usage(carecloud, project, tmp_path):
    """The line names the options of this command that say where the key is."""
    segment = project.records("segments").ids()[0]
    (tmp_path / "members.csv").write_text("e-mail\na@example.com\n")
    refused = carecloud("segment", segment, "members.csv", "--mode", "add")
    assert refused.code == 2
    assert refused.line.endswith("which is missing: name the key of the rows in --match, or the column in --column")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_an_interrupted_segment_says_what_was_written(start, carecloud, project, tmp_path):
    """Ctrl-C says how many were added, and that the same command goes on; it does."""
    segment = project.records("segments").ids()[0]
    table = project.records("segments/segment-records", of=segment)
    table.refill([])
    wanted = [project.customers.id_at(number) for number in range(12)]
    (tmp_path / "members.csv").write_text("\n".join(["customer_id", *wanted, ""]))
    command = ("segment", segment, "members.csv", "--mode", "add")
    project.faults.add(ADD, after=3, delay=60, times=None)
    process = start(*command)
    wait_until(lambda: project.count(ADD) == 11)  # three are answered, eight under way
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "carecloud: interrupted: 3 added so far, calls under way aside; the same command goes on\n"
    project.faults.clear()
    assert carecloud(*command).line == "12 rows: 9 added, 3 unchanged; 12 members now"
