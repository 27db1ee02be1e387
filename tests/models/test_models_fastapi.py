"""Models as FastAPI response types and request bodies."""

import asyncio
from datetime import date, datetime
from typing import Annotated, Generic, TypeVar

import attrs
import pytest
from attrs import frozen

from carecloud_async import models
from carecloud_async.models import (
    UNSET,
    Address,
    Customer,
    CustomerInput,
    Input,
    Model,
    PersonalInformation,
    PersonalInformationInput,
)

fastapi = pytest.importorskip("fastapi", reason="the fastapi extra is not installed")
httpx = pytest.importorskip("httpx", reason="httpx is not installed")
pydantic = pytest.importorskip("pydantic", reason="the fastapi extra is not installed")

T = TypeVar("T")
PERSON = PersonalInformation(first_name="Jan", birthdate=date(1985, 2, 12), address=Address(city="Praha"))
CUSTOMER = Customer(customer_id="8ea6", personal_information=PERSON, last_change=datetime(2019, 6, 23, 11, 47, 22))  # noqa: DTZ001


@frozen(kw_only=True, repr=False)
class Batch(Model, Generic[T]):
    items: tuple[T, ...] = ()
    total_items: int | None = None


def make_app():
    app = fastapi.FastAPI()

    @app.get("/alone")
    async def alone() -> Customer:
        return CUSTOMER

    @app.get("/many")
    async def many() -> list[Customer]:
        return [CUSTOMER]

    @app.get("/batch")
    async def batch() -> Batch[Customer]:
        return Batch(items=(CUSTOMER,), total_items=1)

    @app.get("/maybe", response_model_exclude_none=True)
    async def maybe() -> Customer | None:
        return CUSTOMER

    @app.post("/write")
    async def write(entry: Annotated[CustomerInput, fastapi.Body()]) -> PersonalInformation:
        person = entry.personal_information
        assert person.email is None
        assert person.phone is UNSET
        return PersonalInformation(language_id=person.language_id)

    return app


def call(method, path, **how):
    async def run():
        transport = httpx.ASGITransport(app=make_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **how)

    return asyncio.run(run())


def test_models_as_responses():
    """A model is answered as JSON with ISO dates and all its fields, in lists and generic models too."""
    record = call("GET", "/alone").json()
    person = record["personal_information"]
    assert (record["customer_id"], record["last_change"], record["doi_email"]) == ("8ea6", "2019-06-23T11:47:22", None)
    assert (person["birthdate"], person["address"]["city"], person["consents"]) == ("1985-02-12", "Praha", [])
    assert call("GET", "/many").json() == [record]
    assert call("GET", "/batch").json() == {"items": [record], "total_items": 1}


def test_nulls_can_be_left_out():
    """FastAPI's own options reach into the model."""
    record = call("GET", "/maybe").json()
    assert (record["personal_information"]["address"], "state" in record) == ({"city": "Praha"}, False)


def test_the_openapi_document():
    """Each model is one component with its fields and their types."""
    document = call("GET", "/openapi.json").json()
    schemas = document["components"]["schemas"]
    answer = document["paths"]["/alone"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Customer"}
    properties = schemas["Customer"]["properties"]
    assert set(properties) == {field.name for field in Customer.__attrs_attrs__}
    assert properties["last_change"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert properties["personal_information"] == {"$ref": "#/components/schemas/PersonalInformation"}
    birthdate = schemas["PersonalInformation"]["properties"]["birthdate"]
    assert birthdate["anyOf"] == [{"type": "string", "format": "date"}, {"type": "null"}]
    assert schemas["PersonalInformationInput"]["required"] == ["language_id"]


def test_an_input_as_request_body():
    """An input is validated by its own names; absent stays UNSET, null stays None, an unknown name is refused."""
    entry = {"personal_information": {"language_id": "cs", "email": None}}
    assert call("POST", "/write", json=entry).json()["language_id"] == "cs"
    assert call("POST", "/write", json={"personal_information": {"language_id": "cs", "emial": "x"}}).status_code == 422
    assert call("POST", "/write", json={"personal_information": {}}).status_code == 422


def test_validation_by_identity():
    """An instance passes as it is; an object is read by the tolerant rules; anything else is refused."""
    adapter = pydantic.TypeAdapter(Customer)
    assert adapter.validate_python(CUSTOMER) is CUSTOMER
    assert adapter.validate_python({"customer_id": 5, "state": "1"}) == Customer(customer_id="5", state=1)
    assert adapter.validate_json('{"last_change": "0000-00-00"}') == Customer(customer_id="")
    assert adapter.validate_json(adapter.dump_json(CUSTOMER)) == CUSTOMER
    for wrong in ("x", 5, None, [], PERSON):
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(wrong)
    batch = pydantic.TypeAdapter(Batch[Customer]).validate_python({"items": [{"customer_id": 5}]})
    assert batch.items == (Customer(customer_id="5"),)


def test_inputs_by_identity():
    """An input instance passes as it is, and writes only what is set."""
    entry = CustomerInput(personal_information=PersonalInformationInput(language_id="cs", phone=None))
    adapter = pydantic.TypeAdapter(CustomerInput)
    assert adapter.validate_python(entry) is entry
    assert adapter.dump_python(entry) == {"personal_information": {"language_id": "cs", "phone": None}}


def test_every_model_and_input_has_a_schema():
    """Each class of `carecloud_async.models` can stand in a route: it has a JSON schema."""
    classes = [getattr(models, name) for name in models.__all__]
    classes = [cls for cls in classes if isinstance(cls, type) and issubclass(cls, (Input, Model)) and attrs.has(cls)]
    assert len(classes) > 200
    for cls in classes:
        assert pydantic.TypeAdapter(cls).json_schema()


def test_a_file_in_a_request_body_is_text():
    """A JSON document has a file as base64 text or an address; an instance may hold bytes."""
    adapter = pydantic.TypeAdapter(models.AttachmentInput)
    entry = adapter.validate_json('{"upload_method": "base64", "file_data": "iVBORw=="}')
    assert entry == models.AttachmentInput(upload_method="base64", file_data="iVBORw==")
    entry = models.AttachmentInput(upload_method="base64", file_data=b"PNG")
    assert adapter.validate_python(entry) is entry
    assert adapter.json_schema()["properties"]["file_data"] == {"title": "File Data", "type": "string"}
