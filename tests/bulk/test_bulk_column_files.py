"""`columns=`: the field of each column and what its words mean, as a mapping or a file."""

import json
import tomllib

import pytest
from bulk_tools import SOURCE, counts, write_csv

from carecloud_async.bulk import BadSourceError
from carecloud_async.bulk.options import column_map

pytestmark = pytest.mark.anyio


TOML = """
"E-mail" = "email"
"Poznámka" = ""
"Jméno" = "first_name"
language_id = { words = { "česky" = "cs", "-" = "" } }

["Pohlaví"]
field = "gender"
words = { "Muž" = "MALE", "žena" = "FEMALE" }
"""


@pytest.mark.parametrize("suffix", [".toml", ".json", ""])
async def test_a_file_says_where_columns_lead(client, tmp_path, suffix):
    """`columns=` takes a TOML or JSON file, or a mapping: fields, columns to pass over, and what words stand for."""
    given = tomllib.loads(TOML)
    if suffix:
        given = tmp_path / f"columns{suffix}"
        given.write_text(TOML if suffix == ".toml" else json.dumps(tomllib.loads(TOML)), encoding="utf-8")
    rows = [
        {
            "E-mail": f"shop{number}@example.com", "Poznámka": "stálá", "Jméno": "Eva", "Pohlaví": gender,
            "language_id": language, "agreement_gtc": agreement,
        }
        for number, (gender, language, agreement) in enumerate(
            [("žena", "česky", "ANO"), (" MUŽ ", "Česky", "ne"), ("FEMALE", "-", "0"), ("jiné", "cs", "asi")]
        )
    ]  # fmt: skip
    path = write_csv(tmp_path / "c.csv", rows, encoding="cp1250")
    defaults = {**SOURCE, "language_id": "en"}
    report = await client.customers.bulk_write(path, match="email", columns=given, encoding="cp1250", defaults=defaults)
    assert counts(report) == {"created": 3, "refused": 1}
    made = [await client.customers.list(email=f"shop{value}@example.com").first() for value in range(3)]
    found = [(item.personal_information.gender, item.personal_information.language_id) for item in made]
    assert found == [(2, "cs"), (1, "cs"), (2, "en")]
    assert [item.personal_information.agreement.agreement_gtc for item in made] == [1, 0, 0]
    agreement, gender = sorted(report.reasons)
    assert agreement.endswith("agreement_gtc: neither a whole number nor one of NO, YES, NOT_SET")
    assert gender.startswith("personal_information.gender: neither a whole number nor one of MALE")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("c.yaml", "", "ends with .toml or .json"),
        ("c.toml", "E-mail: email", "cannot be read: .*line 1"),
        ("c.json", "{}", None),
        ("c.json", "[1]", "no mapping of columns to fields"),
        ("c.json", '{"a": 1}', "'a' takes the name of a field"),
        ("c.json", '{"a": {"filed": "x"}}', "'a' takes the name of a field"),
        ("c.json", '{"a": {"words": []}}', "'a' takes the name of a field"),
    ],
)
def test_a_file_of_columns_that_is_wrong(tmp_path, name, text, problem):
    """A file that cannot be read, or says something else, is refused with its name."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    if problem is None:
        assert column_map(path) == {}
        return
    with pytest.raises(BadSourceError, match=problem) as caught:
        column_map(path)
    assert str(path) in str(caught.value)
    with pytest.raises(BadSourceError, match="No such file"):
        column_map(tmp_path / "missing.toml")


def test_a_file_of_columns_in_another_encoding(tmp_path):
    """A file that an editor saved in another encoding is refused with the probable one, and what to do."""
    path = tmp_path / "columns.toml"
    path.write_bytes('"Příjmení" = "last_name"\n"Žena" = "gender"\n'.encode("cp1250"))
    with pytest.raises(BadSourceError, match="is not UTF-8, but probably cp1250: save it as UTF-8"):
        column_map(path)
