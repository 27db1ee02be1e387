"""`carecloud segment`: a file of customers becomes the members of a segment."""


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
    assert "--allow-shrink" in refused.line
    assert len(table) == 3


def test_a_file_without_the_column_of_the_key_is_wrong_usage(carecloud, project, tmp_path):
    """The line names the options of this command that say where the key is."""
    segment = project.records("segments").ids()[0]
    (tmp_path / "members.csv").write_text("e-mail\na@example.com\n")
    refused = carecloud("segment", segment, "members.csv", "--mode", "add")
    assert refused.code == 2
    assert refused.line.endswith("which is missing: name the key of the rows in --match, or the column in --column")
