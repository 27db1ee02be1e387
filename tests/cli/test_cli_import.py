"""`carecloud import`: outcomes, files and exit codes."""

import csv
import io
import json
import os
import re
import signal
import tomllib

import pytest
from every import every
from thorough import variants

from carecloud_async.bulk import BulkProgress
from carecloud_async.cli.reports import show_progress

SOURCE = ("--default", "customer_source_id=86e05affc7a7abefcd513ab400")


def test_rows_are_written(carecloud, project, tmp_path):
    """New rows are created, and unchanged the second time; the last line and the report count the outcomes."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\nb@example.com,cs\n")
    done = carecloud(
        "import", "customers", "c.csv", "--match", "email", *SOURCE, "--results", "r.csv", "--report", "r.json"
    )
    assert (done.code, done.out) == (0, ""), done.err
    assert "2 rows of customers: 2 created" in done.err
    assert json.loads((tmp_path / "r.json").read_text())["created"] == 2
    rows = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    assert [row["outcome"] for row in rows] == ["created", "created"]
    again = carecloud("import", "customers", "c.csv", "--match", "email", *SOURCE)
    assert again.code == 0
    assert "2 unchanged" in again.err


def test_refused_rows_are_exit_code_1(carecloud, project, tmp_path):
    """Rows that were refused make exit code 1, and the last line names the file with the reasons."""
    (tmp_path / "c.csv").write_text("email,language_id\n,en\nb@example.com,cs\n")
    done = carecloud(
        "import", "customers", "c.csv", "--match", "email", *SOURCE, "--results", "r.csv", "--rejects", "bad.csv"
    )
    assert done.code == 1
    assert "1 created, 1 refused" in done.err
    assert "see r.csv; bad.csv holds the refused rows" in done.err
    assert (tmp_path / "bad.csv").read_text() == (
        "email,language_id,line,reasons\n,en,2,personal_information.email: the row has no key\n"
    )


def test_the_most_common_reasons_are_printed(carecloud, project, tmp_path):
    """The command ends with the three most common reasons and their rows, also where --max-refused stops it."""
    rows = [
        *(f"a{number}@example.com;cs;0603 123 456;;" for number in range(5)),
        *(f"b{number}@example.com;cs;;{number}/13/99;" for number in range(4)),
        *(f"c{number}@example.com;cs;;;Žena" for number in range(3)),
        ";cs;;;",
        "d@example.com;cs;+420 603 123 456;31.12.1999;FEMALE",
    ]
    header = "email;language_id;phone;birthdate;gender"
    (tmp_path / "c.csv").write_bytes("\n".join([header, *rows]).encode("cp1250"))
    command = ("import", "customers", "c.csv", "--match", "email", *SOURCE, "--encoding", "cp1250", "--yes")
    stopped = carecloud(*command, "--max-refused", "0")
    done = carecloud(*command, "--report", "r.json")
    assert stopped.code == done.code == 1
    assert "1 row (line 14): personal_information.email: the row has no key" in stopped.err
    phones, days, genders = [
        line.removeprefix("carecloud: ") for line in done.err.splitlines() if ": personal_information." in line
    ]
    assert phones.startswith("5 rows (lines 2, 3, 4, 5, 6): personal_information.phone: a phone number without its")
    assert days.startswith("4 rows (lines 7, 8, 9, 10): personal_information.birthdate: not a date")
    assert genders.startswith("3 rows (lines 11, 12, 13): personal_information.gender: neither a whole")
    assert [*json.loads((tmp_path / "r.json").read_text())["reasons"].values()] == [5, 4, 3, 1]


SHOP = """
"E-mail" = "email"
"Karta" = "card_number"
"Obrat" = ""
"Souhlas" = "agreement_marketing_communication"
"Telefon" = "phone"
"Narozen" = "birthdate"

["Pohlaví"]
field = "gender"
words = { "muž" = "MALE", "žena" = "FEMALE" }
"""


def test_the_file_of_a_shop_is_imported(carecloud, project, tmp_path):
    """The options of a shop's file: encoding, words, phones, dates, cards; what is missing is said with its option."""
    rows = [
        "E-mail;Karta;Souhlas;Telefon;Narozen;Pohlaví;Obrat",
        *(
            f"a{number}@example.com;77001234567800{number}1;ANO;603 123 45{number};1/2/9{number};Žena;1 250,5"
            for number in range(4)
        ),
        "a0@example.com;;NE;603 123 459;;muž;0,5",
    ]
    (tmp_path / "shop.csv").write_bytes("\n".join(rows).encode("cp1250"))
    (tmp_path / "columns.toml").write_text(SHOP, encoding="utf-8")
    command = ("import", "customers", "shop.csv", "--match", "email", "--encoding", "cp1250", "--yes")
    refused = carecloud(*command, "--columns", "columns.toml", "--dry-run")
    assert "warning: 5 phone numbers have no international prefix: set --phone-prefix, such as +420" in refused.err
    assert "not a date: write YYYY-MM-DD or DD.MM.YYYY; or set date_format= (--date-format), such as" in refused.err
    given = (*command, "--columns", "columns.toml", "--phone-prefix", "+420")
    given += ("--date-format", "dd/mm/yy")
    lacking = carecloud(*given, "--dry-run")
    assert "personal_information.language_id: required; --default personal_information.language_id=… gives it" in (
        lacking.err
    )
    card_type = json.loads(carecloud("list", "card_types", "--count", "1").out)["card_type_id"]
    defaults = (*SOURCE, "--default", "language_id=cs", "--default", f"card_type_id={card_type}")
    done = carecloud(*given, *defaults)
    assert done.code == 1, done.err
    assert "5 rows of customers: 4 created, 1 refused" in done.err
    assert "1 row (line 6): email: repeats a line\n" in done.err
    person = json.loads(carecloud("list", "customers", "--filter", "email=a0@example.com").out)["personal_information"]
    assert (person["phone"], person["gender"], person["birthdate"]) == ("420603123450", 2, "1990-02-01")
    assert person["agreement"]["agreement_marketing_communication"] == 1


def test_a_scaffold_of_the_columns(carecloud, project, tmp_path):
    """`--scaffold` writes the columns with the fields that they are like, imports nothing, and replaces no file."""
    header = "E-mail;First Name;lastname;Gender;last_change;Note;Mail"
    (tmp_path / "shop.csv").write_text(f"{header}\na@example.com;Ada;Dvořák;F;;x;\n", encoding="cp1250")
    command = ("import", "customers", "shop.csv", "--match", "email", "--encoding", "cp1250")
    made = carecloud(*command, "--scaffold", "columns.toml")
    assert (made.code, made.line) == (
        0,
        "columns.toml: 7 columns, 2 without a field; correct it, then import with --columns columns.toml",
    )
    text = (tmp_path / "columns.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {
        "E-mail": "email",
        "First Name": "first_name",
        "lastname": "last_name",
        "last_change": "last_change",
        "Gender": {"field": "gender"},
    }
    assert '# "Note" = ""\n# "Mail" = ""\n' in text
    assert "# MALE, FEMALE" in text
    assert project.count("POST /customers") == 0
    refused = carecloud(*command, "--scaffold", "columns.toml")
    assert (refused.code, "the file exists" in refused.line) == (2, True)
    refused = carecloud(*command, "--scaffold", "columns.json")
    assert (refused.code, "ends with .toml" in refused.line) == (2, True)
    corrected = text.replace('# "', '"').replace('# words = { "…" = "…" }', 'words = { "F" = "FEMALE" }')
    (tmp_path / "columns.toml").write_text(corrected, encoding="utf-8")
    done = carecloud(*command, "--columns", "columns.toml", *SOURCE, "--default", "language_id=cs", "--yes")
    assert (done.code, "1 created" in done.err) == (0, True)


def test_a_scaffold_knows_common_czech_and_slovak_columns(carecloud, project, tmp_path):
    """`--scaffold` names the fields of the words that Czech and Slovak shops use, with accents or without."""
    fields = {
        "Jméno": "first_name",
        "Prijmeni": "last_name",
        "Priezvisko ": None,  # a second column of the field
        "TELEFON": "phone",
        "Datum narození": "birthdate",
        "Ulica": "address1",
        "Mesto": "city",
        "PSČ": "zip",
        "číslo_karty": "card_number",
        "E-mail": "email",
        "Poznámka": None,
    }
    (tmp_path / "shop.csv").write_text(f"{';'.join((*fields, 'Pohlaví'))}\n{';' * len(fields)}\n", encoding="utf-8")
    made = carecloud("import", "customers", "shop.csv", "--match", "email", "--scaffold", "columns.toml")
    assert (made.code, "12 columns, 2 without a field" in made.line) == (0, True)
    named = tomllib.loads((tmp_path / "columns.toml").read_text(encoding="utf-8"))
    assert named == {column.strip(): field for column, field in fields.items() if field} | {
        "Pohlaví": {"field": "gender"}
    }
    made = carecloud("import", "stores", "shop.csv", "--match", "system_id", "--scaffold", "stores.toml")
    named = tomllib.loads((tmp_path / "stores.toml").read_text(encoding="utf-8"))
    assert (made.code, "Jméno" in named) == (0, False)


WRONG = [
    (("customers", "c.csv", "--match", "email", "--columns", "no.toml"), "no.toml: No such file or directory"),
    (
        ("customers", "c.csv", "--match", "email", "--phone-prefix", "CZ"),
        "phone numbers: write --phone-prefix as in +420",
    ),
    (
        ("customers", "c.csv", "--match", "email", "--date-format", "%d"),
        "format of dates: write --date-format with dd, mm and yy or yyyy",
    ),
    (
        ("customers", "c.csv", "--match", "email", "--as-written", "nr"),
        "no column 'nr': name columns of it in --as-written",
    ),
    (("messages", "c.csv", "--match", "x"), "send each with send_message"),
    (("customers", "c.csv", "--match", "mail"), "is no key of customers"),
    (("customers", "c.csv"), "Missing option '--match'"),
    (("customers", "c.csv", "--match", "email", "--rate", "0"), "--rate must be greater than 0, not 0\n"),
    (("point_history", "c.csv", "--match", "x"), "point_history cannot be written in bulk: it is what operations"),
    (("customers", "missing.csv", "--match", "email"), "No such file"),
    (
        ("customers", "c.csv", "--match", "email", "--column", "x"),
        "--column 'x' is not name=value, such as",
    ),
    (
        ("customers", "c.csv", "--match", "email", "--mode", "both"),
        "'both' is not one of 'upsert', 'create', 'update'",
    ),
    (("customers.addresses", "c.csv", "--match", "none"), "belong to a parent: give its id with --of CUSTOMER_ID"),
    (("customers", "bad.csv", "--match", "email"), "the column 'nickname' has no field"),
    (("customers", "c.csv", "--match", "email", "--default", "nosuch=1"), "name a field in --default and --value"),
    (("customers", "c.csv", "--match", "email", "--value", "nosuch=1"), "the default or value 'nosuch' is no field"),
    (("customers", "c.csv", "--match", "email", "--results", "c.csv"), "are the same file"),
    (("customers", "c.csv", "--match", "external_id"), "give all rows one value, --default customer_source_id=…"),
    (("customers", "shop.csv", "--match", "email"), "name its encoding with --encoding, here probably cp1250"),
    (("customers", "c.csv", "--match", "email", "--decimal", ";"), "';' is not one of '.', ','"),
]


@every("arguments, message", WRONG)
def test_wrong_usage_is_exit_code_2(carecloud, project, tmp_path, arguments, message):
    """What cannot work is refused with its fix before anything is written."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    (tmp_path / "bad.csv").write_text("email,nickname\na@example.com,x\n")
    (tmp_path / "shop.csv").write_bytes("email,last_name\na@example.com,Řehoř\n".encode("cp1250"))
    done = carecloud("import", *arguments)
    assert done.code == 2, done.err
    assert message in done.err
    assert project.count("POST /customers") == 0


def test_a_run_that_fails_goes_on_with_resume(carecloud, project, tmp_path):
    """A run that the server ends says how to go on; with --resume it does, and rows created before stay created."""
    (tmp_path / "c.jsonl").write_text(
        "".join(f'{{"email":"k{number}@example.com","language_id":"en"}}\n' for number in range(9))
    )
    fault = project.faults.add("POST /customers", status=403, times=None, after=4)
    arguments = ("import", "customers", "c.jsonl", "--match", "email", *SOURCE, "--concurrency", 1)
    done = carecloud(*arguments)
    assert done.code == 1
    assert "--resume goes on" in done.err
    project.faults.remove(fault)
    done = carecloud(*arguments)
    assert done.code == 1
    assert "was not finished: go on with --resume, or remove" in done.err
    assert "resume=True" not in done.err
    assert done.err.count("--resume") == 1
    done = carecloud(*arguments, "--resume")
    assert done.code == 0, done.err
    assert "9 created" in done.err


@pytest.mark.parametrize(
    ("option", "fix"), [("--results", "choose another place"), ("--journal", "name another place in --journal")]
)
def test_a_folder_without_the_right_to_write(carecloud, project, tmp_path, option, fix):
    """A file of the run that cannot be written is refused before anything is sent, with what to do."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    (tmp_path / "folder").mkdir(mode=0o500)
    if os.access(tmp_path / "folder", os.W_OK):
        pytest.skip("this user may write everywhere")
    refused = carecloud("import", "customers", "c.csv", "--match", "email", option, "folder/r.csv")
    assert refused.code in {1, 2}
    assert refused.line == f"folder/r.csv: no permission to write there: {fix}, or make this one writable"
    assert project.count("POST /customers") == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, *variants(signal.SIGINT)])
def test_an_interrupted_import_says_how_far_it_came(interrupted, project, tmp_path, number):
    """Ctrl-C and SIGTERM end an import with 130 and a line that says how far it came, and how it goes on."""
    rows = [f'{{"email":"k{number}@example.com","language_id":"en"}}\n' for number in range(9)]
    (tmp_path / "c.jsonl").write_text("".join(rows))
    project.faults.add("POST /customers", delay=60, times=None, after=4)
    command = ("import", "customers", "c.jsonl", "--match", "email", *SOURCE, "--concurrency", 1)
    done = interrupted(*command, at="POST /customers", times=5, number=number)
    said = r"carecloud: interrupted: \d of 9 rows, .*; nothing is lost: the same command with --resume goes on\n"
    assert done.out == ""
    assert re.fullmatch(said, done.err.splitlines(keepends=True)[-1]), done.err


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("terminal_type", ["xterm", "dumb"])
def test_the_preview_of_new_records(carecloud, project, tmp_path, monkeypatch, answer, terminal_type):
    """On any terminal the question counts new records, names the fields that change in known ones, and is heeded."""
    (tmp_path / "known.csv").write_text("email,last_name,language_id\nknown@example.com,First,en\n")
    assert carecloud("import", "customers", "known.csv", "--match", "email", *SOURCE, "--yes").code == 0
    rows = ("known@example.com,Other,", "a@example.com,A,en", "b@example.com,B,en")
    (tmp_path / "c.csv").write_text("\n".join(("email,last_name,language_id", *rows)))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    monkeypatch.setenv("TERM", terminal_type)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    done = carecloud("import", "customers", "c.csv", "--match", "email", *SOURCE, stdin=terminal)
    assert "new records: 2\n" in done.err
    assert "fields that change: personal_information.last_name (1)\n" in done.err
    assert (done.code, project.count("POST /customers")) == ((0, 3) if answer else (1, 1))


def test_a_dry_run(carecloud, project, tmp_path):
    """`--dry-run` writes nothing and says so."""
    (tmp_path / "c.csv").write_text("email,language_id\na@example.com,en\n")
    done = carecloud("import", "customers", "c.csv", "--match", "email", *SOURCE, "--dry-run")
    assert done.code == 0
    assert "1 created (dry run: nothing was written)" in done.err
    assert project.count("POST /customers") == 0


def test_a_log_says_at_once_what_a_run_waits_for(capfd):
    """Without a terminal, a line that says why nothing happens is not put off, and is not repeated for each row."""
    now = [0.0]
    with show_progress("customers", clock=lambda: now[0]) as on_progress:
        for second, waits_for in ((5, ""), (5, "lost answers (2 rows)"), (6, "lost answers (1 rows)"), (40, "")):
            now[0] = float(second)
            on_progress(BulkProgress(rows=3, created=1, stage="writing", done=1, waits_for=waits_for))
    assert capfd.readouterr().err.splitlines() == [
        "carecloud: customers: 1 of 3 rows, 1 created",
        "carecloud: customers: 1 of 3 rows, 1 created; waiting for lost answers (2 rows)",
        "carecloud: customers: 1 of 3 rows, 1 created",
    ]
