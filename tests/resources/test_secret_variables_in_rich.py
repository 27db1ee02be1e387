"""Secrets in our frames as rich and structlog print them: they read fields, and the first characters of long texts."""

import pytest
from kit import connect
from rich.pretty import pretty_repr

from carecloud_async import BadRequestError, EnterpriseCredentials
from carecloud_async._base.codec.json_text import RawJson
from carecloud_async._base.runtime.secret_text import SecretBytes, SecretText
from carecloud_async.models import Customer, CustomerInput, PersonalInformation, PersonalInformationInput, UserLogin
from carecloud_async.sandbox import Sandbox
from tests.resources.test_customers import source

pytestmark = pytest.mark.anyio

SECRET = "PlantedSecret1"
LONG = SECRET * 10
#: As their own defaults are.
PRINTED = {"max_length": 10, "max_string": 80}


def printed(error):
    """The variables in our frames, of an error and of what caused it, as rich prints them."""
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            if "/carecloud_async/" in traceback.tb_frame.f_code.co_filename:
                for name, value in traceback.tb_frame.f_locals.items():
                    yield f"{name}={pretty_repr(value, **PRINTED)}"
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__


PERSON = CustomerInput(personal_information=PersonalInformationInput(language_id="cs", first_name=SECRET, email=LONG))
CALLS = {
    "create": lambda one: one.customers.create(PERSON, customer_source=source(), password=LONG),
    "replace": lambda one: one.customers.replace("x", PERSON),
    "request": lambda one: one.request("POST", "customers", json={"password": LONG}),
}


@pytest.mark.parametrize("name", CALLS)
async def test_rich_prints_no_argument_of_a_write(name):
    """A refused write keeps its body, texts of more than 80 characters too, out of rich's view of our frames."""
    sandbox = Sandbox(customers=3, seed=1)
    for path in ("POST /customers", "PUT /customers/{customer_id}"):
        sandbox.faults.add(path, status=400)
    async with connect(sandbox) as one:
        with pytest.raises(BadRequestError) as caught:
            await CALLS[name](one)
    lines = list(printed(caught.value))
    assert len(lines) > 2
    assert [line for line in lines if SECRET in line] == []


@pytest.mark.parametrize(
    "value",
    [
        SecretText(LONG),
        SecretBytes(LONG.encode()),
        RawJson(f'"{LONG}"'.encode()),
        EnterpriseCredentials(external_application_id="x", login=LONG, password=LONG),
        PERSON,
        Customer(customer_id="c", personal_information=PersonalInformation(email=SECRET)),
        UserLogin(bearer_token=SECRET),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rich_prints_no_secret_value(value):
    """Rich shows of secrets and of records what their repr shows."""
    assert SECRET not in pretty_repr({"value": value}, **PRINTED)


def test_rich_prints_the_ids_of_records():
    """A record in rich has the ids that its repr has, records in it included."""
    customer = Customer(customer_id="c", personal_information=PersonalInformation(email=SECRET, store_id="s"))
    assert pretty_repr(customer) == repr(customer) == "Customer(customer_id='c')"
    assert pretty_repr(UserLogin(bearer_token=SECRET)) == "UserLogin(bearer_token='***')"


def test_a_part_of_a_secret_is_secret():
    """A slice of a secret prints as stars and has its characters; one byte is a number."""
    assert (repr(SecretText("abc")[:2]), str(SecretText("abc")[:2])) == ("'***'", "ab")
    assert (repr(SecretBytes(b"abc")[:2]), bytes(SecretBytes(b"abc")[:2])) == ("b'***'", b"ab")
    assert SecretBytes(b"abc")[0] == ord("a")
