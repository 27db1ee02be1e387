"""`client.customers`: what is written arrives, and nothing else changes."""

import pytest

from carecloud_async import (
    AgreementInput,
    BadRequestError,
    ConfigurationError,
    CustomerInput,
    CustomerSourceInput,
    CustomerSourceRecord,
    NotFoundError,
    PersonalInformationInput,
    PropertyRecord,
)
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID

pytestmark = pytest.mark.anyio

CONSENT = {"consent_id": "c", "consent_value": 1}
READ_ONLY = {"customer_id", "doi_email", "doi_phone", "last_change", "state"}


def new_customer(**more):
    return CustomerInput(personal_information=PersonalInformationInput(language_id="en", **more))


def source():
    return CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0])


async def test_the_quickstarts_customer_arrives(client):
    """John Smith with his unreadable birthdate is a Customer like any other."""
    john = await client.customers.get(FIRST_CUSTOMER_ID)
    assert john.personal_information.last_name == "Smith"
    assert john.personal_information.birthdate is None
    assert john.personal_information.agreement.custom_agreements[0].agreement_value == 2
    assert FIRST_CUSTOMER_EMAIL not in repr(john)


async def test_phones_are_text_whatever_the_server_sent(client):
    """Every phone that is there is a str."""
    phones = [c.personal_information.phone async for c in client.customers.list()]
    assert phones
    assert all(phone is None or isinstance(phone, str) for phone in phones)


async def test_create_then_get(client, sandbox):
    """A created customer can be read back; its source went with it."""
    customer_id = await client.customers.create(new_customer(first_name="Ada", phone=""), customer_source=source())
    assert (await client.customers.get(customer_id)).personal_information.first_name == "Ada"
    body = next(r.json() for r in sandbox.requests if r.name == "POST /customers")
    assert body["customer"]["personal_information"] == {"language_id": "en", "first_name": "Ada", "phone": ""}
    assert body["autologin"] is False
    assert not sandbox.violations


async def test_a_duplicate_is_recognized_by_its_reason(client):
    """`has_reason("already_exists")` is how to tell a duplicate, and the e-mail is not shown."""
    with pytest.raises(BadRequestError) as caught:
        await client.customers.create(new_customer(email=FIRST_CUSTOMER_EMAIL), customer_source=source())
    assert caught.value.has_reason("already_exists")
    assert FIRST_CUSTOMER_EMAIL not in f"{caught.value} {caught.value!r}"


async def test_a_read_model_is_no_input_at_any_depth(client, sandbox):
    """What was read holds nulls for what is missing or unreadable: sent whole, it would delete that."""
    john = await client.customers.get(FIRST_CUSTOMER_ID)
    read = john.personal_information
    inputs = [
        john,
        CustomerInput(personal_information=read),
        new_customer(address=read.address),
        new_customer(agreement=AgreementInput(custom_agreements=read.agreement.custom_agreements)),
    ]
    before = sandbox.count()
    for wrong in inputs:
        with pytest.raises(ConfigurationError, match=r"update\(\)"):
            await client.customers.replace(FIRST_CUSTOMER_ID, wrong)
        with pytest.raises(ConfigurationError, match=r"update\(\)"):
            await client.customers.create(wrong, customer_source=source())
    with pytest.raises(ConfigurationError, match="property_records"):
        await client.customers.create(
            new_customer(), customer_source=source(), property_records=[PropertyRecord(property_record_id="")]
        )
    with pytest.raises(ConfigurationError, match="CustomerSourceInput"):
        await client.customers.create(
            new_customer(), customer_source=CustomerSourceRecord(customer_source_record_id="")
        )
    assert sandbox.count() == before


async def test_text_that_is_no_unicode_is_refused_unseen(client):
    """A lone surrogate cannot be sent; the error does not hold the text."""
    with pytest.raises(ConfigurationError, match="surrogate") as caught:
        await client.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "p3rs0nal\ud800"}})
    assert "p3rs0nal" not in repr(caught.value)
    assert caught.value.__context__ is None


async def test_replace_deletes_what_is_absent(client, sandbox):
    """`replace` sends the whole record: a field that is absent is deleted."""
    await client.customers.replace(FIRST_CUSTOMER_ID, new_customer(last_name="Only"))
    information = sandbox.customers.get(FIRST_CUSTOMER_ID)["personal_information"]
    assert information["last_name"] == "Only"
    assert not information.get("email")


@pytest.mark.parametrize(("value", "kind"), [("text", "str"), (7, "int"), (None, "None")])
async def test_object_that_is_no_input_is_named_by_its_own_type(client, value, kind):
    """An argument that is no input is refused with the name of its type, not of the one that conceals it."""
    with pytest.raises(ConfigurationError, match=f"expected CustomerInput, got {kind}$"):
        await client.customers.replace(FIRST_CUSTOMER_ID, value)


@pytest.mark.parametrize("customer_id", ["", " ", ".", "..", None, 3.5])
async def test_empty_or_odd_path_id_is_refused(client, customer_id):
    """An empty or odd id is refused: it would address another path."""
    with pytest.raises(ConfigurationError, match="customer_id"):
        await client.customers.get(customer_id)


async def test_an_id_stays_one_segment(client, sandbox):
    """Slashes in an id are quoted: it cannot reach another operation."""
    with pytest.raises(NotFoundError):
        await client.customers.get("../users/actions")
    assert sandbox.requests[-1].path.endswith("/customers/../users/actions") or "%2F" in sandbox.requests[-1].path
