"""Columns by the names that people know: properties by their names, enumerations by their members."""

import re
from enum import Enum

import attrs
import pytest
from bulk_tools import CARD_TYPE, SOURCE, counts, people, properties_of_texts, read

from carecloud_async import CareCloudError, ConfigurationError, models
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


@pytest.mark.parametrize(
    ("header", "outcome"),
    [("email,personal_information.email", "error"), ("email,E-mail", "error"), ("email,", "error")],
)
async def test_two_columns_that_lead_to_one_field(client, tmp_path, header, outcome):
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
