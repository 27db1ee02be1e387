"""Lines: each outcome and message names the line of the file, and files of results can be given again."""

import pytest
from bulk_tools import SOURCE, counts, people, read

from carecloud_async import ConfigurationError

pytestmark = pytest.mark.anyio

HEADER = "email,first_name,language_id\n"


async def test_results_and_rejects_name_lines_and_reasons(client, tmp_path):
    """`line` is the line of the file in which a row begins, blank lines and cells of several lines included."""
    source, results, rejects = tmp_path / "c.csv", tmp_path / "r.csv", tmp_path / "bad.csv"
    source.write_text(f'{HEADER}\na@example.com,"A\nA",en\na@example.com,B,en\n,C,en\nb@exam\0ple.com,D,en\n"e')
    await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, rejects=rejects)
    assert [row["line"] for row in read(results)] == ["3", "5", "6", "7", "8"]
    assert [(row["line"], row["reasons"]) for row in read(rejects)] == [
        ("5", "email: repeats line 3"),
        ("6", "personal_information.email: the row has no key"),
        ("7", "line 7: it has a NUL byte"),
        ("8", "a quotation mark opened in line 8 is not closed"),
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
async def test_results_and_rejects_are_sources(client, tmp_path, suffix):
    """The columns of results and rejects are ignored in a source, and stand once in the next results."""
    files = [tmp_path / f"{name}.{suffix}" for name in ("results", "rejects", "again")]
    rows = [*people(2), {**people(1)[0], "email": "c@example.com", "birthdate": "never"}]
    arguments = {"match": "email", "defaults": SOURCE}
    await client.customers.bulk_write(rows, results=files[0], rejects=files[1], **arguments)
    report = await client.customers.bulk_write(files[0], results=files[2], **arguments)
    assert counts(report) == {"unchanged": 2, "refused": 1}
    assert list(read(files[2])[0]) == list(read(files[0])[0])
    assert counts(await client.customers.bulk_write(files[1], **arguments)) == {"refused": 1}


@pytest.mark.parametrize(
    ("header", "count", "named", "left"),
    [
        ("Jmeno;E-mail;Ulice 1;frst_name", 4, ["'E-mail'", "'frst_name'", "'Jmeno'", "'Ulice 1'"], ""),
        ("Emil;603123456;emil@example.com", 1, ["'Emil'"], "; 2 more have no field"),
        (
            "E-mail;" + ";".join(f"q{'q' * number}" for number in range(11)),
            10,
            ["'E-mail'", "'q'"],
            "; 2 more have no field",
        ),
    ],
)
async def test_unknown_columns_of_a_file(client, tmp_path, header, count, named, left):
    """One error has ten of them at most, those with a near name first; what may be a row of data is not shown."""
    source = tmp_path / "c.csv"
    source.write_text(f"{header}\n{';' * header.count(';')}\n")
    with pytest.raises(ConfigurationError) as caught:
        await client.customers.bulk_write(source, match="email")
    text = str(caught.value)
    assert [text.index(item) for item in named] == sorted(text.index(item) for item in named)
    assert text.count("has no field") == count
    assert f"{left}: name its field in columns=" in text
    assert "603" not in text


BROKEN = {
    "csv": (
        f'{HEADER}a@example.com,A,en\nb@example.com,B\nc@example.com,"C\n1",en,\n"d',
        ["b@example.com,B", 'c@example.com,"C\n1",en,', '"d'],
    ),
    "jsonl": ('{"email": "a@example.com", "language_id": "en"}\n{"email": \n["b"]\n', ['{"email": ', '["b"]']),
}


@pytest.mark.parametrize("suffix", BROKEN)
async def test_rejects_have_the_text_of_rows_that_cannot_be_read(client, tmp_path, suffix):
    """A row that cannot be read stands in the rejects as it does in the file; corrected there, it is imported."""
    source, rejects = tmp_path / f"c.{suffix}", tmp_path / f"bad.{suffix}"
    text, unreadable = BROKEN[suffix]
    source.write_text(text)
    arguments = {"match": "email", "defaults": SOURCE}
    report = await client.customers.bulk_write(source, rejects=rejects, **arguments)
    assert counts(report) == {"created": 1, "refused": len(unreadable)}
    rows = read(rejects)
    assert [row["unreadable"] for row in rows] == unreadable
    corrected = [{**row, "email": f"new{number}@example.com", "language_id": "en"} for number, row in enumerate(rows)]
    assert counts(await client.customers.bulk_write(corrected, **arguments)) == {"created": len(unreadable)}


async def test_all_faults_of_a_row_at_once(client, results):
    """A row without a key, and a new one that lacks a required field, name their other faults too."""
    rows = [
        {"email": "", "birthdate": "never"},
        {"email": "x@example.com", "birthdate": "31.02.1990", "gender": "neither"},
    ]
    await client.customers.bulk_write(rows, match="email", results=results)
    assert [row["reasons"] for row in read(results)] == [
        [
            "personal_information.email: the row has no key",
            "personal_information.birthdate: not a date: write YYYY-MM-DD or DD.MM.YYYY",
        ],
        [
            "personal_information.birthdate: not a day of the calendar",
            "personal_information.gender: neither a whole number nor one of MALE, FEMALE, MISS, PRIVATE, OTHER",
            "personal_information.language_id: required",
            "customer_source_id: required",
        ],
    ]
