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
