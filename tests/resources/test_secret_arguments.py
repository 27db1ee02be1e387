"""Secrets among the arguments of methods: error reporters that capture the variables of our frames see stars."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import httpx
import pytest
from attrs import evolve
from every import every
from kit import connect, served, through, variables_of

from carecloud_async import CareCloudError, ResponseError, RetryPolicy
from carecloud_async.models import CustomerInput, PersonalInformationInput
from carecloud_async.sandbox import Sandbox
from carecloud_async.workflows import (
    assign_card_number,
    check_sign_up,
    find_at_point_of_sale,
    send_password_link,
    send_password_setup,
    set_password,
    sign_up,
    sign_up_for_newsletter,
)
from tests.resources.test_customers import new_customer, source

pytestmark = pytest.mark.anyio

MARK = "PlantedSecret1"
#: Longer than the 80 characters of which rich, as it is set up by default, prints the first ones.
SECRET = MARK * 7


async def fails(sandbox, call):
    async with connect(sandbox) as client:
        with pytest.raises((CareCloudError, TypeError)) as caught:
            await call(client)
    shown = list(variables_of(caught.value))
    assert len(shown) > 2
    planted = [MARK, *map(repr, PLAIN.values())]
    return [line for line in shown if any(secret in line for secret in planted)]


#: Numbers and times of a body.
PLAIN = {
    "amount": 424242,
    "price": 4242.25,
    "total": Decimal("424.242"),
    "born": date(1942, 4, 24),
    "at": datetime(1942, 4, 24, 4, 24, tzinfo=UTC),
    "from": time(4, 24, 42),
}
NAMED = {"personal_information": {"first_name": SECRET}, "password": SECRET}
NESTED = {
    "personal_information": PersonalInformationInput(first_name=SECRET, email=SECRET, language_id="en"),
    "password": SECRET,
}


async def update_unknown(client):
    """Refused before anything is sent, by a name that is not there."""
    await client.customers.update("x", {**NAMED, "personal_information": {"first_name": SECRET, "emial": SECRET}})


async def update_other(client):
    """Refused since the record is not the one that was read."""
    customer = await client.customers.list().first()
    await client.customers.update(customer.customer_id, {"personal_information": {"last_name": SECRET}})
    await client.customers.update(customer.customer_id, NAMED, if_unchanged=customer)


async def update_known(client, changes=NAMED):
    """Refused by the PUT, after the record was read and the changes merged in."""
    customer = await client.customers.list().first()
    await client.customers.update(customer.customer_id, changes)


CALLS = {
    "update, unknown name": update_unknown,
    "update, unknown record": lambda client: client.customers.update("missing", NAMED),
    "update, changed record": update_other,
    "update, refused": update_known,
    "update, refused, an input within": lambda client: update_known(client, NESTED),
    "update, a list": lambda client: client.customers.update("x", {"personal_information": [SECRET]}),
    "update, no dict": lambda client: client.customers.update("x", SECRET),
    "cards.update": lambda client: client.cards.update("x", {"card_number": SECRET, "nope": SECRET}),
    "replace, a misspelt name": lambda client: client.customers.replace("x", new_customer(), pasword=SECRET),
    "create, no input": lambda client: client.customers.create({"password": SECRET}, customer_source=source()),
    "by position": lambda client: client.customers.addresses("x").create(SECRET),
    "request": lambda client: client.request("POST", "customers", json={"password": SECRET, "more": [{"a": SECRET}]}),
    "request, no JSON": lambda client: client.request("POST", "customers", json={"password": SECRET, "x": object()}),
    "request, no text": lambda client: client.request("POST", "customers", json={"password": SECRET + chr(0xD800)}),
    "request, headers": lambda client: client.request("POST", "customers", json={}, headers={"X-Key": SECRET}),
    "request, no header": lambda client: client.request("POST", "customers", json={}, headers={"X Key": SECRET}),
    "set_password": lambda client: set_password(client, customer_id="missing", password=SECRET),
    "check_sign_up": lambda client: check_sign_up(client, password=SECRET),
    "sign_up": lambda client: sign_up(
        client, customer=new_customer(), customer_source=source(), password=SECRET, consents={}
    ),
    "card number": lambda client: assign_card_number(client, customer_id="x", card_type_id="x", card_number=SECRET),
    "typed address": lambda client: find_at_point_of_sale(client, typed=f"{SECRET}@example.com"),
    "typed number": lambda client: find_at_point_of_sale(client, typed=SECRET, phone_prefix="420"),
    "check_sign_up, an e-mail": lambda client: check_sign_up(client, email=SECRET, phone=SECRET),
    "newsletter": lambda client: sign_up_for_newsletter(client, contact=SECRET, customer_source_id="x"),
    "password link": lambda client: send_password_link(
        client, email=SECRET, message_template_id="x", parameters={"link": SECRET}
    ),
    "password setup": lambda client: send_password_setup(client, communication_channel_id="x", recipient=SECRET),
    "create": lambda client: client.customers.create(new_customer(), customer_source=source(), password=SECRET),
    "replace": lambda client: client.customers.replace("missing", new_customer(), password=SECRET),
    "verify": lambda client: client.customers.verify_credentials(login_type="email", login_value="x", password=SECRET),
    "validate": lambda client: client.customers.validate_customer_data(type="password", value=SECRET),
}


@every("name", CALLS)
async def test_an_argument_of_a_call_that_fails_prints_as_stars(name):
    """Passwords, addresses and bodies of a refused call stand in no variable of our frames."""
    sandbox = Sandbox(customers=3, seed=1)
    if "refused" in name:
        sandbox.faults.add("PUT /customers/{customer_id}", status=400)
    actions = ("verify-credentials", "validate-customer-data", "check-registration-ability", "newsletters-sign-up")
    for path in ("POST /customers", *(f"POST /customers/actions/{action}" for action in actions)):
        sandbox.faults.add(path, status=400)
    if name in {"password link", "typed address"}:
        sandbox.faults.add("GET /customers", status=400)
    for path in ("GET /cards", "GET /customers/actions/search-customers"):
        sandbox.faults.add(path, status=403)
    assert await fails(sandbox, CALLS[name]) == []


async def test_an_address_that_is_looked_up_prints_as_stars(sandbox):
    """The look-up after a lost sign-up ends in a bug of the transport: no frame shows the address."""
    sandbox.faults.add("POST /customers", cut="after")

    def break_down(request):
        if request.url.path.endswith("verify-credentials"):
            raise RuntimeError("a bug")

    customer = CustomerInput(personal_information=PersonalInformationInput(email=SECRET, language_id="en"))
    async with connect(sandbox, transport=through(sandbox, break_down)) as client:
        with pytest.raises(RuntimeError, match="a bug") as caught:
            await sign_up(client, customer=customer, customer_source=source(), password="Password-4711", consents={})
    shown = list(variables_of(caught.value))
    assert len(shown) > 2
    assert [line for line in shown if MARK in line] == []


WRITES = {
    "request": lambda client: client.request("POST", "events", json={"event": PLAIN, "more": [*PLAIN.values()]}),
    "by name": lambda client: client.points.assign_points(customer_id="x", amount=424242),
    "no input": lambda client: client.customers.create(PLAIN, customer_source=source()),
    "no argument": lambda client: client.points.assign_points(customer_id="x", born=PLAIN["born"]),
    "by position": lambda client: client.customers.addresses("x").create(PLAIN["at"]),
}


@every("name", WRITES)
async def test_numbers_and_times_of_a_body_print_as_stars(name):
    """Amounts and birthdates of a refused write stand in no variable of our frames."""
    sandbox = Sandbox(customers=3, seed=1)
    sandbox.faults.add("POST /points/*", status=400)
    sandbox.faults.add("POST /events", status=400)
    assert await fails(sandbox, WRITES[name]) == []


async def _prefetch(listing):
    async with listing.prefetch(2) as records:
        await anext(records)


async def _refused_at_once(listing):
    """Stand for a listing that is refused where it is made."""
    await listing.page()


READS = {
    "page": lambda client: client.customers.list(email=SECRET).page(),
    "first": lambda client: client.customers.list(email_list=[SECRET]).first(),
    "records": lambda client: anext(aiter(client.customers.list(phone=SECRET))),
    "raw": lambda client: anext(client.customers.list(first_name=SECRET).raw()),
    "prefetch": lambda client: _prefetch(client.customers.list(last_name=SECRET)),
    "listing": lambda client: client.listing("customers", params={"email": SECRET}).page(),
    "request": lambda client: client.request("GET", "customers", params={"email": SECRET, "email_list": [SECRET]}),
    "total": lambda client: client.customers.list(email=SECRET).total(),
}
REFUSED = {
    "wrong count": lambda client: _refused_at_once(client.customers.list(email=SECRET, count=0)),
    "wrong kind": lambda client: _refused_at_once(client.customers.list(email=SECRET, phone=[SECRET])),
    "wrong number": lambda client: _refused_at_once(client.customers.list(email=SECRET, count=SECRET)),
    "wrong name": lambda client: _refused_at_once(client.customers.list(email=SECRET, emial=SECRET)),
    "listing, wrong kind": lambda client: _refused_at_once(client.listing("customers", params={"email_list": SECRET})),
    "listing, no dict": lambda client: _refused_at_once(client.listing("customers", params=[SECRET])),
    "request, wrong kind": lambda client: client.request("GET", "customers", params={"email": [SECRET]}),
    "request, odd header": lambda client: client.request(
        "GET", "customers", params={"email": SECRET}, headers={"X Y": "1"}
    ),
    "request, no text": lambda client: client.request("GET", "customers", params={"email": SECRET + chr(0xD800)}),
}


@every("name", [*READS, *REFUSED])
async def test_a_filter_prints_as_stars(name):
    """A filter names a person: it stays out of the reprs of all local variables of a read that fails or is refused."""
    sandbox = Sandbox(customers=3, seed=1)
    sandbox.faults.add("GET /customers", status=400, times=None)

    async def call(client):
        await (READS | REFUSED)[name](client)

    assert await fails(sandbox, call) == []


LOOK_UPS = {
    "bulk write": lambda client, rows, _: client.customers.bulk_write(rows, match="email"),
    "segment": lambda client, rows, segment: client.segments.sync(segment, rows, match="email", mode="add"),
}


@every("name", LOOK_UPS)
async def test_the_keys_of_a_file_print_as_stars(name, tmp_path):
    """The look-up of a file's rows is refused: no variable of our frames shows an address of the file."""
    sandbox = Sandbox(customers=3, seed=1)
    sandbox.faults.add("GET /customers", status=403, times=None)
    segment = sandbox.records("segments").ids()[0]
    rows = tmp_path / f"{name}.csv"
    rows.write_text(f"email\n{MARK}@example.com\n")
    assert await fails(sandbox, lambda client: LOOK_UPS[name](client, rows, segment)) == []


async def put(client, path, changes):
    async with client.outbox(path / "till.db") as outbox:
        await outbox.put(client.customers.update, "x", changes)


async def write(client, row):
    async with client.customers.bulk_writer(match="email") as writer:
        await writer.write(row)


ROWS = {
    "outbox": lambda client, path: put(client, path, {"personal_information": {"first_name": SECRET, "emial": SECRET}}),
    "writer, a misspelt name": lambda client, path: write(client, {"email": SECRET, "frist_name": SECRET}),
    "writer, refused": lambda client, path: write(client, {"email": SECRET, "first_name": SECRET}),
}


@every("name", ROWS)
async def test_a_row_that_is_refused_prints_as_stars(name, tmp_path):
    """What is put into an outbox or written by a bulk writer stands in no variable of our frames."""
    sandbox = Sandbox(customers=3, seed=1)
    sandbox.faults.add("GET /customers", status=403, times=None)
    assert await fails(sandbox, lambda client: ROWS[name](client, tmp_path)) == []


async def test_a_token_in_the_path_of_a_login_prints_as_stars(sandbox):
    """A customer's login carries the device token in its path and header: a refused one shows it in no variable."""
    wrong = evolve(sandbox.customer_session(0), password="wrong")
    async with connect(sandbox, auth=wrong) as client:
        with pytest.raises(CareCloudError) as caught:
            await client.login()
    token = sandbox.requests[-1].headers["authorization"].removeprefix("Bearer ")
    shown = list(variables_of(caught.value))
    assert len(shown) > 20
    assert [line for line in shown if token in line] == []


async def test_the_clients_own_token_in_a_path_prints_as_stars(sandbox):
    """What acts on the client's own device token puts it into the path: refused, it shows it in no variable."""
    async with connect(sandbox, auth=sandbox.device()) as client:
        token = (await client.login()).token_id
        sandbox.faults.add("POST /tokens/{token_id}/actions/send-password-setup-email", status=400)
        with pytest.raises(CareCloudError) as caught:
            await client.tokens.send_password_setup_email(email=SECRET)
        sandbox.faults.add("GET /customers", status=500, times=None)
        with pytest.raises(CareCloudError) as pinged:
            await client.with_options(retry=RetryPolicy(attempts=1)).ping()
    shown = [*variables_of(caught.value), *variables_of(pinged.value)]
    assert len(shown) > 20
    assert [line for line in shown if token in line or MARK in line] == []


async def test_what_prints_as_stars_is_sent_as_it_is(sandbox):
    """Stars are for the repr alone: the body holds the text, the numbers and the times."""
    async with connect(sandbox) as client:
        await client.customers.create(new_customer(), customer_source=source(), password=SECRET)
        assert sandbox.requests[-1].json()["password"] == SECRET
        with pytest.raises(CareCloudError):
            await client.request("POST", "events", json=PLAIN)
    assert sandbox.requests[-1].json() == {
        "amount": 424242,
        "price": 4242.25,
        "total": 424.242,
        "born": "1942-04-24",
        "at": "1942-04-24 06:24:00",  # in the project's zone
        "from": "04:24:42",
    }


async def test_an_unreadable_answer_stands_in_no_variable_of_our_frames():
    """What a server sent in place of JSON may name persons: the response's repr leaves its body out."""
    page = httpx.Response(200, content=f"<html>{SECRET}</html>")
    async with served(lambda request: page, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ResponseError) as caught:
            await client.customers.list().page()
    assert [line for line in variables_of(caught.value) if MARK in line] == []
