"""`read_only=`: a client, a view, a variable, a profile or an option that refuses what may change something."""

import pytest
from kit import ENVIRONMENT, connect

from carecloud_async import ConfigurationError, CustomerSession, ReadOnlyError
from carecloud_async.config import from_environment
from carecloud_async.environment import Environment
from carecloud_async.resources import OPERATIONS
from carecloud_async.sandbox import CUSTOMER_PASSWORD, FIRST_CUSTOMER_EMAIL, FIRST_CUSTOMER_ID, Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=5, seed=3)


async def test_a_read_only_client_reads_and_refuses_writes_before_the_network(sandbox):
    """Reads, logins and POSTs that only search go out; writes raise `ReadOnlyError`, and nothing is sent."""
    async with connect(sandbox, read_only=True) as client:
        assert len(await client.customers.list().collect(limit=5)) == 5
        await client.login()
        before = len(sandbox.requests)
        for write in (
            client.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"email": "a@example.com"}}),
            client.request("POST", "cards", json={"card": {}}),
            client.request("DELETE", "something/unknown"),
        ):
            with pytest.raises(ReadOnlyError, match="is read-only"):
                await write
        assert len(sandbox.requests) == before


async def test_durable_writes_of_a_read_only_client_begin_nothing(sandbox, tmp_path):
    """Bulk writes, writers, outboxes and segments raise at once, before a file is made; a dry run reads alone."""
    rows = [{"customer_id": FIRST_CUSTOMER_ID, "personal_information.first_name": "Joan"}]
    path = tmp_path / "till.db"
    async with connect(sandbox, read_only=True) as client:
        with pytest.raises(ReadOnlyError, match=r"customers\.bulk_write may change"):
            await client.customers.bulk_write(rows, match="customer_id")
        with pytest.raises(ReadOnlyError, match="bulk_writer"):
            async with client.customers.bulk_writer(match="customer_id"):
                pass
        with pytest.raises(ReadOnlyError, match="outbox"):
            async with client.outbox(path):
                pass
        with pytest.raises(ReadOnlyError, match=r"segments\.sync"):
            await client.segments.sync("81eaeea13b8984a169c490a325", rows, mode="add")
        assert not path.exists()
        report = await client.customers.bulk_write(rows, match="customer_id", dry_run=True)
    assert report.updated == 1


async def test_a_read_only_view_stays_read_only(sandbox):
    """A view can be made read-only, and no view of it writes again; the client itself goes on writing."""
    async with connect(sandbox) as client:
        view = client.with_options(read_only=True).with_options(language="de").fresh()
        with pytest.raises(ReadOnlyError):
            await view.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Joan"}})
        with pytest.raises(ConfigurationError, match="so are all its views"):
            view.with_options(read_only=False)
        with pytest.raises(ConfigurationError, match="read_only must be True or False"):
            client.with_options(read_only="no")
        change = {"personal_information": {"first_name": "Joan"}}
        await client.with_options(read_only=False).customers.update(FIRST_CUSTOMER_ID, change)
        session = CustomerSession(
            sandbox.device(), login_type="email", login_value=FIRST_CUSTOMER_EMAIL, password=CUSTOMER_PASSWORD
        )
    async with connect(sandbox, auth=sandbox.device(), read_only=True) as portal:
        mine = portal.acting_as(session)
        assert (await mine.customers.me()).customer_id == FIRST_CUSTOMER_ID
        with pytest.raises(ReadOnlyError):
            await mine.customers.update(FIRST_CUSTOMER_ID, {"personal_information": {"first_name": "Joan"}})


def test_no_operation_that_may_change_something_is_allowed():
    """What a read-only client sends is a GET, a POST that may be repeated since it only reads, or a login or logout."""
    allowed = {
        name for name, operation in OPERATIONS.items() if operation.takes_credentials or not operation.outcome_matters
    }
    assert {OPERATIONS[name].method for name in allowed} == {"GET", "POST"}
    # Which POSTs may be repeated stands by name in `tests/calls/test_call_outcomes.py`.
    assert {name for name in allowed if not OPERATIONS[name].safe_to_repeat} == {"postUserSsoLogin"}


@pytest.mark.parametrize(("word", "is_read_only"), [("true", True), ("1", True), ("", False), ("off", False)])
def test_the_variable_makes_a_client_read_only(word, is_read_only):
    """`CARECLOUD_READ_ONLY` is true or false."""
    environment = Environment.read(variables=ENVIRONMENT | {"CARECLOUD_READ_ONLY": word})
    assert from_environment({}, environment=environment)["read_only"] is is_read_only


def test_a_variable_or_profile_that_says_neither_is_refused(tmp_path):
    """A typing mistake must not allow writes: the variable or the line is named."""
    with pytest.raises(ConfigurationError, match="CARECLOUD_READ_ONLY must be true or false"):
        from_environment({}, environment=Environment.read(variables=ENVIRONMENT | {"CARECLOUD_READ_ONLY": "ture"}))
    config = tmp_path / "config.toml"
    for line, problem in (("true", None), ('"true"', "read_only must be true or false, without quotation marks")):
        config.write_text(f"[profiles.bi]\nread_only = {line}\n")
        variables = ENVIRONMENT | {"CARECLOUD_CONFIG": str(config), "CARECLOUD_PROFILE": "bi"}
        if problem is None:
            assert from_environment({}, environment=Environment.read(variables=variables))["read_only"] is True
        else:
            with pytest.raises(ConfigurationError, match=problem):
                Environment.read(variables=variables)
