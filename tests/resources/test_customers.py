"""`client.customers`: what is written arrives, and nothing else changes."""

import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    AgreementInput,
    ConfigurationError,
    CustomerInput,
    CustomerSourceInput,
    CustomerSourceRecord,
    PersonalInformationInput,
    PropertyRecord,
)
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, FIRST_CUSTOMER_ID

pytestmark = pytest.mark.anyio


def new_customer(**more):
    return CustomerInput(personal_information=PersonalInformationInput(language_id="en", **more))


def source():
    return CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0])


async def test_create_then_get(client, sandbox):
    """A created customer can be read back; its source went with it."""
    customer_id = await client.customers.create(new_customer(first_name="Ada", phone=""), customer_source=source())
    assert (await client.customers.get(customer_id)).personal_information.first_name == "Ada"
    body = next(r.json() for r in sandbox.requests if r.name == "POST /customers")
    assert body["customer"]["personal_information"] == {"language_id": "en", "first_name": "Ada", "phone": ""}
    assert body["autologin"] is False
    assert not broken_rules(sandbox)


async def test_a_read_model_is_no_input_at_any_depth(client, sandbox):
    """What was read holds nulls for what is missing or unreadable: sent whole, it would delete that."""
    john = await client.customers.get(FIRST_CUSTOMER_ID)
    read = john.personal_information
    before = sandbox.count()
    for wrong in (
        john,
        CustomerInput(personal_information=read),
        new_customer(address=read.address),
        new_customer(agreement=AgreementInput(custom_agreements=read.agreement.custom_agreements)),
    ):
        for write in (
            client.customers.replace(FIRST_CUSTOMER_ID, wrong),
            client.customers.create(wrong, customer_source=source()),
        ):
            with pytest.raises(ConfigurationError, match=r"update\(\)"):
                await write
    records = [PropertyRecord(property_record_id="")]
    with pytest.raises(ConfigurationError, match="property_records"):
        await client.customers.create(new_customer(), customer_source=source(), property_records=records)
    with pytest.raises(ConfigurationError, match="CustomerSourceInput"):
        await client.customers.create(
            new_customer(), customer_source=CustomerSourceRecord(customer_source_record_id="")
        )
    assert sandbox.count() == before


async def test_an_input_counts_as_the_dict_of_its_fields(client):
    """`update` takes a `CustomerInput` too: what it sets changes, and nothing else."""
    before = await client.customers.get(FIRST_CUSTOMER_ID)
    await client.customers.update(FIRST_CUSTOMER_ID, new_customer(first_name="Ada"))
    after = (await client.customers.get(FIRST_CUSTOMER_ID)).personal_information
    assert (after.first_name, after.email) == ("Ada", before.personal_information.email)


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
