"""`carecloud compare`: which rows and records differ, and an exit code that says whether any does."""

import csv
import json


def write_bills(project, path, *, change=None):
    rows = list(project.records("purchases"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["external_purchase_id", "total_price"])
        for number, row in enumerate(rows):
            writer.writerow([row["external_purchase_id"], change if number == 3 and change else row["total_price"]])


def test_the_same_bills_end_with_0(carecloud, project, tmp_path):
    """If every row and every record is the same, the exit code is 0 and the line says so."""
    write_bills(project, tmp_path / "bills.csv")
    done = carecloud("compare", "purchases", "bills.csv", "--match", "external_purchase_id")
    assert done.code == 0, done.err
    assert "the same" in done.line
    assert "missing" not in done.line


def test_an_export_for_a_spreadsheet_is_compared(carecloud, project, tmp_path):
    """A file with decimal commas and names of its own is read with the option and the columns that made it."""
    assert carecloud("export", "stores", "-o", "stores.csv", "--excel", "--decimal", ",").code == 0
    text = (tmp_path / "stores.csv").read_text(encoding="utf-8-sig")
    (tmp_path / "stores.csv").write_text(text.replace("store_id", "Prodejna", 1), encoding="utf-8-sig")
    (tmp_path / "columns.json").write_text('{"Prodejna": "store_id"}')
    command = ("compare", "stores", "stores.csv", "--match", "store_id", "--columns", "columns.json")
    done = carecloud(*command, "--decimal", ",")
    assert done.code == 0, done.err
    wrong = carecloud("export", "stores", "-o", "s.jsonl", "--decimal", ",")
    assert (wrong.code, "--decimal is for .csv alone" in wrong.line) == (2, True)


def test_a_difference_ends_with_1(carecloud, project, tmp_path):
    """A bill with another total is named in the results, and the report has the counts."""
    write_bills(project, tmp_path / "bills.csv", change="1000000")
    options = ["--results", "diff.jsonl", "--report", "report.json"]
    done = carecloud("compare", "purchases", "bills.csv", "--match", "external_purchase_id", *options)
    assert done.code == 1
    assert "1 different" in done.line
    assert "see diff.jsonl" in done.line
    rows = [json.loads(line) for line in (tmp_path / "diff.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rows if row["outcome"] == "different"] == [5]
    assert json.loads((tmp_path / "report.json").read_text())["different"] == 1


def test_a_partial_file_whose_rows_are_the_same_ends_with_0(carecloud, project, tmp_path):
    """`--only-file` passes over the records that the file lacks, and a row that differs still ends with 1."""
    write_bills(project, tmp_path / "bills.csv")
    lines = (tmp_path / "bills.csv").read_text().splitlines()
    command = ("compare", "purchases", "bills.csv", "--match", "external_purchase_id", "--results", "diff.jsonl")
    (tmp_path / "bills.csv").write_text("\n".join(lines[:3]))
    assert carecloud(*command).code == 1
    part = carecloud(*command, "--only-file")
    assert (part.code, "missing" in part.line) == (0, False)
    assert len((tmp_path / "diff.jsonl").read_text().splitlines()) == 2
    (tmp_path / "bills.csv").write_text("\n".join([*lines[:2], "never-arrived,1"]))
    assert carecloud(*command, "--only-file").code == 1


def test_columns_that_are_not_compared_are_named(carecloud, project, tmp_path):
    """The line names the columns of what a list does not show, and the list that shows numbers of cards."""
    (tmp_path / "c.csv").write_text('email,Karta,external_id\nnobody@example.com,"7,71E+10",7\n')
    done = carecloud("compare", "customers", "c.csv", "--match", "email", "--column", "Karta=card_number")
    assert done.code == 1
    assert "not compared, since the list does not show them: Karta (card_number), external_id; " in done.line
    assert "carecloud compare cards compares the numbers of cards" in done.line


def test_a_list_that_cannot_be_compared_is_refused(carecloud, project, tmp_path):
    """A wrong key is a wrong usage: exit code 2, and the line names the keys that work."""
    (tmp_path / "rows.csv").write_text("external_id\n7\n")
    refused = carecloud("compare", "customers", "rows.csv", "--match", "external_id")
    assert refused.code == 2
    assert "email" in refused.line


def test_duplicates_are_written_to_a_file(carecloud, project, tmp_path):
    """`carecloud duplicates` writes the groups, says how many there are, and refuses an unknown field."""
    done = carecloud("duplicates", "customers", "--by", "last_name", "-o", "groups.jsonl", "--no-plan")
    assert done.code == 0, done.err
    assert "in groups.jsonl" in done.err
    assert (tmp_path / "groups.jsonl").exists()
    refused = carecloud("duplicates", "customers", "--by", "nickname", "-o", "groups.jsonl")
    assert refused.code == 2
    assert "no field 'nickname'" in refused.err
