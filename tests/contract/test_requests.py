"""Every typed method against the vendor's description: what it sends is accepted, what is answered is read."""

import json
from urllib.parse import parse_qsl

import anyio
import httpx
import pytest
from every import every
from kit import KnownUser

from carecloud_async import CareCloud, Listing
from carecloud_async.resources import OPERATIONS
from tests.contract import manifest
from tests.contract.arguments import call_of
from tests.contract.compare import differences
from tests.contract.description import DESCRIPTION, facts_of, load
from tests.contract.deviations import OMITTED
from tests.contract.specimens import Description

KNOWN = manifest.load().operations
VERSION = "/v1.0"
each = every("operation_id", OPERATIONS)


@pytest.fixture(scope="module")
def described():
    """The vendor's description."""
    if not DESCRIPTION.exists():
        pytest.skip("the vendor's description is not beside the project")
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    return Description(load(DESCRIPTION))


@pytest.fixture(scope="module")
def errors_in(described):
    """Validate the body of an operation; read-only fields are errors."""
    oas = pytest.importorskip("openapi_schema_validator", reason="openapi-schema-validator is not installed")
    referencing = pytest.importorskip("referencing", reason="referencing is not installed")
    whole = referencing.Resource(contents=described.document, specification=referencing.Specification.OPAQUE)
    registry = referencing.Registry().with_resource("urn:vendor", whole)

    def errors(operation_id, body):
        schema = {"$ref": f"urn:vendor#{described.body_pointer(operation_id)}"}
        validator = oas.OAS30WriteValidator(schema, registry=registry)
        return [
            f"{'.'.join(map(str, iter_error.absolute_path))}: {iter_error.message}"
            for iter_error in validator.iter_errors(body)
        ]

    return errors


def test_the_manifest_is_the_vendors_file(described):
    """What SDK and sandbox know is what the vendor's description says."""
    assert differences(manifest.load(), facts_of(described.document)) == []


def path_values(described, operation_id):
    """One example for each name in the path, in its order; no two are equal."""
    examples, values = described.parameters(operation_id, "path"), {}
    for name in KNOWN[operation_id].path_names:
        value = str(examples[name])
        values[name] = value if value not in values.values() else f"{value}{len(values)}"
    return values


def filled(operation_id, ids):
    """The path with its values."""
    path = KNOWN[operation_id].path
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    return path


#: Values in place of examples that are cut off in the description.
WHOLE = {("postCustomersUploadPhoto", "data"): "iVBORw0KGgo="}


def given_values(described, operation_id):
    """Examples of query parameters and body fields."""
    omitted = OMITTED.get(operation_id, set())
    query = described.parameters(operation_id, "query")
    body = {name: value for name, value in described.body(operation_id).items() if name not in omitted}
    return query, {name: WHOLE.get((operation_id, name), value) for name, value in body.items()}


def run(described, operation_id, content):
    """Call an operation's method, answered with `content`: what was sent, what came back, what no argument takes."""
    status, _ = described.answer(operation_id)
    sent = []

    def answer(request):
        sent.append(request)
        headers = {"Content-Type": "application/json"}
        return httpx.Response(status, headers=headers, content=b"" if content is None else json.dumps(content).encode())

    async def talk():
        query, body = given_values(described, operation_id)
        ids = path_values(described, operation_id)
        interface = "customer" if KNOWN[operation_id].interface == "customer" else "enterprise"
        transport = httpx.MockTransport(answer)
        async with CareCloud("sandbox.example", auth=KnownUser(interface), transport=transport) as client:
            call = call_of(client, operation_id, ids=ids, values={**body, **query})
            result = call.method(**call.arguments)
            read = await (result.page() if isinstance(result, Listing) else result)
            return read, call.left

    read, left = anyio.run(talk)
    return sent, read, left


def example_answer(described, operation_id):
    _, schema = described.answer(operation_id)
    return None if schema is None else described.example(schema)


@each
def test_what_is_sent_and_read(described, errors_in, operation_id):
    """A method sends the vendor's example as the schema accepts it, and reads the vendor's example of an answer."""
    known, content = KNOWN[operation_id], example_answer(described, operation_id)
    sent, read, left = run(described, operation_id, content)
    query, body = given_values(described, operation_id)
    (request,) = sent
    assert left == frozenset(), "no argument takes these"
    assert request.method == known.verb
    assert request.url.path.partition(VERSION)[2] == filled(operation_id, path_values(described, operation_id))
    names = [name for name, _ in parse_qsl(request.url.query.decode(), keep_blank_values=True)]
    assert {name.removesuffix("[]") for name in names} == set(query)
    assert {name for name in names if name.endswith("[]")} >= {f"{item.name}[]" for item in known.query if item.many}
    if body:
        written = json.loads(request.content)
        assert errors_in(operation_id, written) == []
        assert set(body) <= set(written)
    else:
        assert request.content in {b"", b"{}"}
    assert (read is None) == (content is None)
    if known.answer.kind == "list":
        assert len(read.items) == len(content["data"][known.answer.key])


def test_every_operation_is_checked():
    """The test of what is sent stands for each operation of the manifest, and for nothing else."""
    assert {operation_id for (operation_id,) in test_what_is_sent_and_read.cases} == OPERATIONS.keys() == KNOWN.keys()


@every("operation_id", KNOWN)
def test_the_vendors_examples_are_accepted(described, errors_in, operation_id):
    """The examples that the other tests send fit the vendor's own schemas."""
    pointer, body = described.body_pointer(operation_id), described.body(operation_id)
    assert (pointer is None) == (KNOWN[operation_id].body == ())
    assert pointer is None or errors_in(operation_id, body) == []
