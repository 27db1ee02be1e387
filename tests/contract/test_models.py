"""Models against the vendor's OpenAPI description, where it is at hand."""

from pathlib import Path

import attrs
import pytest

from carecloud_async import models
from carecloud_async.models import (
    AgreementValue,
    CustomerState,
    Gender,
    LoginType,
    UserLogin,
    read_only_names,
)

DESCRIPTION = Path(__file__).parents[2].parent / "shared/api/openapi.yaml"

READ = {
    "Customer": models.Customer,
    "PersonalInformation": models.PersonalInformation,
    "Address": models.Address,
    "Agreement": models.Agreement,
    "CustomAgreements": models.CustomAgreement,
    "Consents": models.Consent,
    "User": models.User,
    "CustomerSourceRecord": models.CustomerSourceRecord,
    "PropertyRecord": models.PropertyRecord,
}
INPUT = {
    "Customer": models.CustomerInput,
    "PersonalInformation": models.PersonalInformationInput,
    "Address": models.AddressInput,
    "Agreement": models.AgreementInput,
    "CustomAgreements": models.CustomAgreementInput,
    "Consents": models.ConsentInput,
    "CustomerSourceRecord": models.CustomerSourceInput,
    "PropertyRecord": models.PropertyRecordInput,
    "SocialNetworkCredentials": models.SocialNetworkCredentialsInput,
}
CHANGES = {
    "PersonalInformation": models.PersonalInformationChanges,
    "Address": models.AddressChanges,
    "Agreement": models.AgreementChanges,
    "CustomAgreements": models.CustomAgreementChanges,
    "Consents": models.ConsentChanges,
    "PropertyRecord": models.PropertyRecordChanges,
    "SocialNetworkCredentials": models.SocialNetworkCredentialsChanges,
}
#: What the quickstart shows and the description does not.
BESIDES = {"User": {"user_role_id"}}


@pytest.fixture(scope="module")
def description():
    if not DESCRIPTION.exists():
        pytest.skip(f"the vendor's description is not at {DESCRIPTION}")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.load(DESCRIPTION.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture
def schemas(description):
    return description["components"]["schemas"]


def names(cls):
    return {field.name for field in attrs.fields(cls)}


def writable(schema):
    return {name for name, field in schema["properties"].items() if not field.get("readOnly")}


@pytest.mark.parametrize(("name", "cls"), READ.items())
def test_read_models_have_the_schemas_fields(schemas, name, cls):
    """A read model has the schema's fields, and the same ones are read-only."""
    schema, besides = schemas[name], BESIDES.get(name, set())
    assert names(cls) == set(schema["properties"]) | besides
    assert read_only_names(cls) == set(schema["properties"]) - writable(schema) | besides


@pytest.mark.parametrize(("name", "cls"), INPUT.items())
def test_inputs_have_the_writable_fields(schemas, name, cls):
    """An input has the schema's writable fields and requires the same ones."""
    schema = schemas[name]
    required = {field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    assert names(cls) == writable(schema)
    assert required == set(schema.get("required", ())) & writable(schema)


@pytest.mark.parametrize(("name", "cls"), CHANGES.items())
def test_changes_have_the_writable_fields(schemas, name, cls):
    """The types of an update name the schema's writable fields."""
    assert set(cls.__annotations__) == writable(schemas[name])


def test_an_update_names_what_the_put_takes(description):
    """An update may name the customer's fields and everything that stands beside the customer in the PUT."""
    body = description["paths"]["/customers/{customer_id}"]["put"]["requestBody"]["content"]["application/json"]
    beside = set(body["schema"]["properties"]) - {"customer"}
    expected = writable(description["components"]["schemas"]["Customer"]) | beside
    assert names(models.CustomerUpdateInput) == set(models.CustomerChanges.__annotations__) == expected


def test_the_login_answer(description):
    """The user's login answers with these fields."""
    answer = description["paths"]["/users/actions/login"]["post"]["responses"]["200"]["content"]["application/json"]
    assert names(UserLogin) == set(answer["schema"]["properties"]["data"]["properties"])


@pytest.mark.parametrize(
    ("schema", "field", "enum"),
    [
        ("PersonalInformation", "gender", Gender),
        ("Customer", "state", CustomerState),
        ("Agreement", "agreement_gtc", AgreementValue),
        ("Agreement", "agreement_profiling", AgreementValue),
        ("Agreement", "agreement_marketing_communication", AgreementValue),
        ("CustomAgreements", "agreement_value", AgreementValue),
        ("Consents", "consent_value", AgreementValue),
    ],
)
def test_enums_have_the_schemas_values(schemas, schema, field, enum):
    """An enum holds exactly the values that are known today."""
    assert {member.value for member in enum} == set(schemas[schema]["properties"][field]["enum"])


def test_login_types(description):
    """A customer logs in with these kinds of value."""
    operation = description["paths"]["/tokens/{token_id}/actions/login"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {member.value for member in LoginType} == set(schema["properties"]["login_type"]["enum"])
