"""Columns by the names that people know: properties by their names, enumerations by their members."""

import json
import re
import tomllib
from enum import Enum

import attrs
import pytest
from bulk_tools import CARD_TYPE, SOURCE, counts, people, properties_of_texts, read, write_csv
from every import every

from carecloud_async import CareCloudError, ConfigurationError, models
from carecloud_async.bulk import BadSourceError
from carecloud_async.bulk.options import column_map
from carecloud_async.bulk.spellings import ENUMERATIONS
from carecloud_async.models.base import Input
from carecloud_async.models.field_docs import documented_fields

pytestmark = pytest.mark.anyio


@pytest.fixture
def properties(sandbox):
    """Three properties of texts of customers, two with one name."""
    table = sandbox.records("customer-properties")
    ids = properties_of_texts(sandbox)[:3]
    for item, name in zip(ids, ("Shoe size", "Twice", "twice"), strict=True):
        table.update(item, {"name": name})
    return ids


async def values_of(client, email, property_id):
    """The values of a property of the customer with an e-mail."""
    found = await client.customers.list(email=email).first()
    values = client.customers.property_records(found.customer_id).list()
    return [value.property_value async for value in values if value.property_id == property_id]


async def test_a_property_by_its_name(client, properties, tmp_path):
    """`property.NAME` is the property with that name, in files, mappings, `columns=`, writers and their defaults."""
    source = tmp_path / "c.csv"
    source.write_text("email,language_id,property.Shoe size,Second\na@example.com,en,42,\n")
    columns = {"Second": f"property.{properties[1]}"}
    report = await client.customers.bulk_write(source, match="email", defaults=SOURCE, columns=columns)
    assert counts(report) == {"created": 1}
    row = {**people(1)[0], "size": "43"}
    columns = {"size": "property.SHOE SIZE"}
    assert counts(await client.customers.bulk_write([row], match="email", defaults=SOURCE, columns=columns))
    async with client.customers.bulk_writer(match="email", defaults=SOURCE) as writer:
        await writer.write({**people(2)[1], "property.Shoe size": "44"})
    defaults = {**SOURCE, "property.Shoe size": "45"}
    async with client.customers.bulk_writer(match="email", defaults=defaults) as writer:
        await writer.write(people(3)[2])
    sizes = [await values_of(client, f"{value}@example.com", properties[0]) for value in ("a", "new0", "new1", "new2")]
    assert sizes == [["42"], ["43"], ["44"], ["45"]]


@pytest.mark.parametrize(
    ("name", "message"),
    [("Twice", "2 of them have that name: write property.ID"), ("Shoe sise", "did you mean Shoe size")],
)
@pytest.mark.usefixtures("properties")
async def test_a_property_that_no_name_or_two_lead_to(client, name, message):
    """A property that does not exist, or shares its name, is an error before anything is written."""
    with client.record_calls() as calls, pytest.raises(ConfigurationError, match=message):
        await client.customers.bulk_write([{**people(1)[0], f"property.{name}": "x"}], match="email")
    assert {call.method for call in calls if "login" not in call.path} == {"GET"}


async def test_properties_that_may_not_be_read(sandbox, client, properties):
    """Without the right to list the properties, columns name them by id."""
    sandbox.faults.add("GET /customer-properties", status=403, times=None)
    row = {**people(1)[0], f"property.{properties[0]}": "45"}
    assert counts(await client.customers.bulk_write([row], match="email", defaults=SOURCE)) == {"created": 1}
    assert await values_of(client, "new0@example.com", properties[0]) == ["45"]


async def test_enumerations_by_name(client, results):
    """A number of an enumeration may stand as the name of its member, whatever the field is called."""
    rows = [{"card_number": f"3330{value}", "card_type_id": CARD_TYPE, "state": value} for value in ("active", "sold")]
    report = await client.cards.bulk_write(rows, match="card_number", results=results)
    assert counts(report) == {"created": 1, "refused": 1}
    assert read(results)[1]["reasons"][0].startswith("state: neither a whole number nor one of ")
    row = {
        **people(1)[0],
        "gender": "Female",
        "consents": [{"consent_id": "8fd73167342d06899c4c015320", "consent_value": "Not set"}],
    }
    assert counts(await client.customers.bulk_write([row], match="email", defaults=SOURCE)) == {"created": 1}
    found = await client.customers.list(email="new0@example.com").first()
    assert (found.personal_information.gender, found.personal_information.consents[0].consent_value) == (2, 2)


def test_every_enumeration_is_known():
    """The table of enumerations holds each field that an input takes and whose docstring names one."""
    kinds = [kind for name in models.__all__ if attrs.has(kind := getattr(models, name))]
    found = {(kind.__name__, name): item for kind in kinds for name, item in named_in(kind).items()}
    wanted = {}
    for kind in kinds:
        for item in attrs.fields(kind) if issubclass(kind, Input) else ():
            names = [getattr(getattr(kind, "reads", None), "__name__", ""), kind.__name__]
            enumeration = next((found[name, item.name] for name in names if (name, item.name) in found), None)
            if enumeration is not None and issubclass(getattr(models, enumeration), Enum):
                wanted[kind.__name__, item.name] = enumeration
    assert wanted == dict(ENUMERATIONS)


def named_in(kind):
    """The enumerations that the meanings of a class's fields name."""
    names = {
        name: re.search(r"(?:, a |\(|; see |^[Ss]ee )`(\w+)`\)?\.$", text)
        for name, text in documented_fields(kind).items()
    }
    return {name: named[1] for name, named in names.items() if named}


@pytest.mark.parametrize("header", ["email,personal_information.email", "email,E-mail", "email,"])
async def test_two_columns_that_lead_to_one_field(client, tmp_path, header):
    """Two columns of a file for one field are an error that names both, and so is a column without a name."""
    source = tmp_path / "c.csv"
    source.write_text(f"{header}\na@example.com,b@example.com\n")
    with pytest.raises(CareCloudError, match=r"both lead to|has no field"):
        await client.customers.bulk_write(source, match="email", columns={"E-mail": "email"})


async def test_a_row_that_names_a_field_twice(client, results):
    """A mapping that gives one field two values is refused; the same value twice is one."""
    rows = [
        {**row, "personal_information": {"email": f"{item}@example.com"}}
        for item, row in zip("ab", people(2), strict=True)
    ]
    rows[1]["personal_information"]["email"] = rows[1]["email"]
    report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, results=results)
    assert counts(report) == {"created": 1, "refused": 1}
    assert read(results)[0]["reasons"] == ["personal_information.email: two columns of the row lead to it"]


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


@every(
    "name, text, problem",
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
