"""Customers by external id, sign-up and newsletter."""

import pytest
from every import every
from kit import DEVICE, RefusedError, listed

from carecloud_async import (
    UNSET,
    AgreementValue,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConsentInput,
    CustomerInput,
    CustomerSourceInput,
    OutcomeUnknownError,
    PersonalInformationInput,
)
from carecloud_async.workflows import (
    SyncedCustomer,
    check_sign_up,
    find_customer,
    link_customer,
    sign_up,
    sign_up_for_newsletter,
    sync_customer,
)

pytestmark = pytest.mark.anyio

JANE = CustomerInput(
    personal_information=PersonalInformationInput(language_id="en", first_name="Jane", email="jane@example.com")
)
SOURCE = CustomerSourceInput(customer_source_id="shop")
IDS = {"customer_source_id": "shop", "external_id": "7"}


def record(customer_id, *, external_id="7", source="shop"):
    return {
        "customer_source_record_id": f"record of {customer_id}",
        "customer_source_id": source,
        "external_id": external_id,
        "customer_id": customer_id,
    }


@pytest.fixture
def records(server):
    """The customer source records; a test appends to them."""
    records = []
    server.on("GET /customer-source-records", lambda sent: listed("customer_source_records", *records))
    return records


@pytest.fixture
def creating(server, records):
    """A server that creates a customer with a source record."""

    def create(sent):
        records.append(record("new"))
        return {"customer_id": "new"}

    server.on("POST /customers", create)


async def test_an_external_id_finds_its_customer(client, server, records):
    """Both ids are asked for, and the customer of the record is the answer."""
    records.append(record("jane"))
    assert await find_customer(client, **IDS) == "jane"
    sent = server.sent("GET /customer-source-records")[0]
    assert (sent["customer_source_id"], sent["external_ids[]"], sent["external_id"]) == ("shop", "7", "7")


async def test_a_second_id_is_trusted_where_the_filter_is(client, server, records):
    """A record that shows another id is the customer's only if the server finds nothing by a made-up id."""
    records.append(record("jane", external_id="8"))
    assert await find_customer(client, **IDS) is None
    server.on(
        "GET /customer-source-records",
        lambda sent: listed("customer_source_records", *(records if sent["external_ids[]"] == "7" else ())),
    )
    assert await find_customer(client, **IDS) == "jane"
    records.append(record("john"))
    with pytest.raises(ConflictError, match="2 customers"):
        await find_customer(client, **IDS)


#: What the server shows for an external id, and whose it is: ids of the server have no case, external ids have one.
OWNERS = [
    ("7", [record("JANE", source="SHOP")], "JANE"),
    ("7", [record("john", external_id="8"), record("jim", source="elsewhere")], None),
    ("A", [record("x", external_id="a")], None),
    ("7\u0161", [record("jane", external_id=" 7\u0161 ")], "jane"),
    *(("7\u0161", [record("jane", external_id=other)], None) for other in ("7S", "7\u0160", "7s")),
]


@every("external_id, shown, owner", OWNERS)
@pytest.mark.parametrize("filters", [True, False])
async def test_an_external_id_is_its_customers_alone(client, server, filters, external_id, shown, owner):
    """Outer spaces are cut; an id that differs in case or accents is of another customer, whatever the server shows."""
    server.on(
        "GET /customer-source-records",
        lambda sent: listed(
            "customer_source_records", *(shown if sent["external_ids[]"] == external_id or not filters else ())
        ),
    )
    is_second_id = filters and shown[0]["external_id"] == "8"
    expected = "john" if is_second_id else owner
    assert await find_customer(client, customer_source_id="shop", external_id=external_id) == expected


async def test_a_taken_id_whose_customer_is_not_shown(client, server, records):
    """An external id whose customer is not shown is taken: no customer is created, and none is changed."""
    records.append(record(None))
    with pytest.raises(ConflictError, match="does not show by whom"):
        await sync_customer(client, customer=JANE, **IDS)
    with pytest.raises(ConflictError, match="does not show by whom"):
        await link_customer(client, customer_id="jane", **IDS)
    assert {name for name, _ in server.requests} == {"GET /customer-source-records"}


async def test_bulk_writes_take_no_id_of_another_source(client, server, records, tmp_path):
    """A server that ignores the filter of the source shows the same id of other systems: it is another customer's."""
    records.append(record("john", source="till"))
    server.on("GET /customers", lambda sent: listed("customers", {"customer_id": "john"}))
    row = {"external_id": "7", "first_name": "Jane", "language_id": "en", "customer_source_id": "shop"}
    report = await client.customers.bulk_write([row], match="external_id", dry_run=True)
    assert (report.created, report.rows) == (1, 1)


async def test_a_doubtful_answer_to_a_made_up_id_proves_no_filter(client, server):
    """A server that ignores the filter is not trusted for one empty page whose total is not 0."""
    others = record("jane", external_id="8")
    pages = iter([listed("customer_source_records", others), {"customer_source_records": [], "total_items": 1}])
    server.on("GET /customer-source-records", lambda sent: next(pages, listed("customer_source_records", others)))
    assert await find_customer(client, **IDS) is None


async def test_a_total_that_does_not_count_by_the_filter_is_believed_at_last(client, server):
    """Two empty pages are no record, whatever the total says; a page without doubt is read once."""
    server.on("GET /customer-source-records", {"customer_source_records": [], "total_items": 9})
    assert await find_customer(client, **IDS) is None
    assert len(server.requests) == 2
    server.on("GET /customer-source-records", listed("customer_source_records"))
    assert await find_customer(client, **IDS) is None
    assert len(server.requests) == 3


async def test_more_than_a_page_is_read_to_its_end(client, server):
    """A filter that finds more than one page is read page by page."""
    records = [record(f"other {number}", external_id=str(number + 10)) for number in range(120)] + [record("jane")]

    def listed(sent):
        begin = int(sent["offset"])
        return {"customer_source_records": records[begin : begin + int(sent["count"])], "total_items": len(records)}

    server.on("GET /customer-source-records", listed)
    assert await find_customer(client, **IDS) == "jane"


async def test_an_unknown_customer_is_created_with_the_source(client, server, creating):
    """The new customer carries the external id, so that the next run finds it."""
    assert await sync_customer(client, **IDS, customer=JANE) == SyncedCustomer(customer_id="new", created=True)
    assert server.sent("POST /customers")[0]["customer_source"] == {"customer_source_id": "shop", "external_id": "7"}


async def test_a_known_customer_is_updated(client, server, records):
    """What the other system names is changed; the rest of the record stays."""
    records.append(record("jane"))
    before = {"first_name": "J.", "phone": "420", "language_id": "cs"}
    server.on("GET /customers/{}", {"customer_id": "jane", "personal_information": before})
    server.on("PUT /customers/{}", None)
    assert await sync_customer(client, **IDS, customer=JANE) == SyncedCustomer(customer_id="jane", created=False)
    sent = server.sent("PUT /customers/jane")[0]["customer"]["personal_information"]
    assert sent == {"first_name": "Jane", "phone": "420", "language_id": "en", "email": "jane@example.com"}


async def test_email_of_another_customer_takes_no_account_over(client, server, records):
    """A customer with the same e-mail and no such external id is left alone."""

    def refuse(sent):
        raise RefusedError(400, ("email", "already_exists"))

    server.on("POST /customers", refuse)
    with pytest.raises(BadRequestError) as caught:
        await sync_customer(client, **IDS, customer=JANE)
    assert caught.value.has_reason("already_exists")


async def test_two_workers_with_one_customer_end_with_one_customer(client, server, records):
    """The slower worker's creation is refused; it finds the quicker one's customer and updates it."""

    def refuse(sent):
        records.append(record("jane"))
        raise RefusedError(400, ("email", "already_exists"))

    server.on("POST /customers", refuse)
    server.on("GET /customers/{}", {"customer_id": "jane", "personal_information": {"language_id": "cs"}})
    server.on("PUT /customers/{}", None)
    assert await sync_customer(client, **IDS, customer=JANE) == SyncedCustomer(customer_id="jane", created=False)
    assert server.sent("PUT /customers/jane")


async def test_a_link_of_another_customer_is_a_conflict(client, records):
    """An external id stays with the customer that bears it, in any case of its id; nothing is written."""
    records.append(record("john"))
    with pytest.raises(ConflictError, match="another customer"):
        await link_customer(client, customer_id="jane", **IDS)
    await link_customer(client, customer_id="John", **IDS)


@pytest.mark.parametrize(
    ("path", "owners"),
    [("POST /customers/{}/customer-source-records", ["john"]), ("POST /customers", ["jane", "john"])],
    ids=["link", "create"],
)
async def test_another_customer_after_a_lost_answer(client, server, records, path, owners):
    """What was lost may have been made as well, so that the error does not say that nothing was written."""

    def create(sent):
        records.extend(map(record, owners))
        return {"customer_id": "jane"}

    server.on(path, create)
    server.lose(path)
    with pytest.raises(OutcomeUnknownError):
        if path == "POST /customers":
            await sync_customer(client, **IDS, customer=JANE)
        else:
            await link_customer(client, customer_id="jane", **IDS)


async def test_a_form_is_checked_field_by_field(client, server):
    """Only what was typed is asked for, and one no makes the sign-up impossible."""
    server.on("POST /customers/actions/check-registration-ability", {"registration_ability": True})
    server.on("POST /customers/actions/validate-customer-data", {"is_valid": False})
    check = await check_sign_up(client, email="jane@example.com", password="weak")
    assert (check.email_is_free, check.phone_is_free, check.password_is_valid) == (True, None, False)
    assert not check.is_possible
    assert (await check_sign_up(client, email="jane@example.com")).is_possible
    assert len(server.requests) == 3


async def test_a_sign_up_carries_the_consents(client, server):
    """Given and refused consents are sent as such; those that were not shown are not."""
    server.on("POST /customers", {"customer_id": "new"})
    consents = {"terms": True, "marketing": False}
    made = await sign_up(client, customer=JANE, customer_source=SOURCE, password="Correct-Horse-7", consents=consents)
    assert made == "new"
    sent = server.sent("POST /customers")[0]
    assert sent["customer"]["personal_information"]["consents"] == [
        {"consent_id": "terms", "consent_value": AgreementValue.YES},
        {"consent_id": "marketing", "consent_value": AgreementValue.NO},
    ]
    assert (sent["password"], sent["autologin"]) == ("Correct-Horse-7", False)
    with pytest.raises(ConfigurationError, match="acting_as"):  # the client's own device
        await sign_up(client, customer=JANE, customer_source=SOURCE, password="x", consents={}, autologin=True)


async def test_consents_are_named_in_one_place(client):
    """Consents in the record and beside it would hide each other: nothing is sent."""
    person = PersonalInformationInput(language_id="en", consents=[ConsentInput(consent_id="terms", consent_value=1)])
    with pytest.raises(ConfigurationError, match="consents="):
        await sign_up(
            client,
            customer=CustomerInput(personal_information=person),
            customer_source=SOURCE,
            password="x",
            consents={},
        )


async def test_lost_sign_up_hands_out_no_other_account(client, server):
    """An account with the same e-mail and another password is not the one that signed up."""

    def refuse(sent):
        raise RefusedError(403)

    server.on("POST /customers", {"customer_id": "new"})
    server.lose("POST /customers")
    server.on("POST /customers/actions/verify-credentials", refuse)
    with pytest.raises(OutcomeUnknownError):
        await sign_up(client, customer=JANE, customer_source=SOURCE, password="Horse-7", consents={})


@pytest.mark.parametrize("email", ["jane@example.com", UNSET])
async def test_a_lost_sign_up_on_the_customer_api_stays_unknown(server, email):
    """Without a way to verify the account the customer logs in, which works if it was created."""
    server.on("POST /tokens", {"token_id": "4d8121de"})
    server.on("POST /customers", {"customer_id": "new"})
    server.lose("POST /customers")
    person = PersonalInformationInput(language_id="en", email=email)
    async with server.client(auth=DEVICE) as portal:
        with pytest.raises(OutcomeUnknownError):
            await sign_up(
                portal,
                customer=CustomerInput(personal_information=person),
                customer_source=SOURCE,
                password="Horse-7",
                consents={},
            )
    assert len(server.sent("POST /customers")) == 1


async def test_a_newsletter_comes_with_the_consent(client, server):
    """Contact, source, consent to marketing and partners are sent; an empty list of partners is not."""
    server.on("POST /customers/actions/newsletters-sign-up", None)
    await sign_up_for_newsletter(client, contact="a@example.com", customer_source_id="shop")
    await sign_up_for_newsletter(client, contact="a@example.com", customer_source_id="shop", partner_ids=["p"])
    consented = {
        "contact": "a@example.com",
        "customer_source_id": "shop",
        "agreements": {"agreement_marketing_communication": 1},
    }
    assert server.sent("POST /customers/actions/newsletters-sign-up") == [
        consented,
        {**consented, "partner_records": [{"partner_id": "p"}]},
    ]
