"""`carecloud segment`: a file of customers becomes the members of a segment."""

import os

import pytest

ADD = "POST /segments/{segment_id}/actions/add-customer"


@pytest.fixture
def segment(project):
    """A segment without members."""
    (name, *_) = project.records("segments").ids()
    members(project, name).refill([])
    return name


@pytest.fixture
def sync(carecloud, segment, tmp_path):
    """Bring the segment in line with a file of these rows."""

    def call(rows, mode, *options, column="customer_id", run=carecloud, **more):
        (tmp_path / "members.csv").write_text("\n".join([column, *rows, ""]))
        return run("segment", segment, "members.csv", "--mode", mode, *options, **more)

    return call


def members(project, segment):
    return project.records("segments/segment-records", of=segment)


def customers(project, number):
    return [project.customers.id_at(index) for index in range(number)]


def test_a_segment_mirrors_a_file(project, segment, sync):
    """The line has the counts; a mirror that would empty the segment is refused, with the option that allows it."""
    done = sync(customers(project, 3), "mirror")
    assert (done.code, done.line) == (0, "3 rows: 3 added; 3 members now")
    refused = sync([], "mirror")
    assert refused.code == 1
    assert "3 of 3 members would be removed" in refused.line
    assert refused.line.endswith("accept it with --allow-shrink")
    assert len(members(project, segment)) == 3
    assert sync([], "mirror", "--allow-shrink").code == 0
    assert len(members(project, segment)) == 0


def test_rows_without_a_customer_are_named(project, sync):
    """The line says why rows are unknown, and where they are."""
    done = sync([*customers(project, 1), "nobody"], "add")
    assert (done.code, "1 unknown" in done.line) == (1, True)
    assert done.line.endswith("; no customer has this key (line 3)")


def test_a_member_who_cannot_be_removed(project, sync):
    """The line of a mirror says why, also where no row of the file names the member."""
    assert sync(customers(project, 3), "mirror").code == 0
    body = '{"error": {"error_data": {"invalid_params": [{"name": "customer_id", "reason": "is_locked"}]}}}'
    project.faults.add("POST /segments/{segment_id}/actions/remove-customer", status=400, body=body, times=None)
    done = sync(customers(project, 2), "mirror")
    assert (done.code, done.line.endswith("; is_locked (members without a row)")) == (1, True), done.line


def test_a_file_without_the_column_of_the_key_is_wrong_usage(sync):
    """The line names the options of this command that say where the key is."""
    refused = sync(["a@example.com"], "add", column="e-mail")
    assert refused.code == 2
    assert refused.line.endswith("which is missing: name the key of the rows in --match, or the column in --column")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_an_interrupted_segment_says_what_was_written(interrupted, project, sync):
    """Ctrl-C says how many were added, and that the same command goes on; it does."""
    wanted = customers(project, 12)
    project.faults.add(ADD, after=3, delay=60, times=None)
    done = sync(wanted, "add", run=interrupted, at=ADD, times=11)  # three are answered, eight under way
    assert done.line == "interrupted: 3 added so far, calls under way aside; the same command goes on"
    project.faults.clear()
    assert sync(wanted, "add").line == "12 rows: 9 added, 3 unchanged; 12 members now"
