"""Keys that the server spells in its own way, such as e-mail addresses in lower case."""

import json

import pytest
from bulk_tools import SOURCE, connect, counts

pytestmark = pytest.mark.anyio


async def known_emails(client):
    """Four e-mails of the project, spelled otherwise."""
    return [one.personal_information.email.upper() async for one in client.customers.list(count=60)][:4]


async def test_a_key_in_another_spelling_is_no_change(sandbox):
    """A row whose key differs from the record's in spelling alone is unchanged, and sends nothing."""
    async with connect(sandbox) as client:
        rows = [{"email": one} for one in await known_emails(client)]
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
        assert counts(report) == {"unchanged": 4}


async def test_a_lost_answer_of_an_update_under_a_key_in_another_spelling(sandbox):
    """An update whose answer was lost is updated, though the record keeps its own spelling of the key."""
    async with connect(sandbox) as client:
        rows = [{"email": one, "last_name": "Ours"} for one in await known_emails(client)]
        sandbox.faults.add("PUT /customers/{customer_id}", status=504, worked=True, times=2)
        report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE)
        assert counts(report) == {"updated": 4}
        names = [one.personal_information.last_name async for one in client.customers.list(count=60)]
        assert names.count("Ours") == 4


async def test_a_key_that_the_server_refuses_to_look_up(sandbox):
    """A key that is too long for a URL refuses its row alone."""
    async with connect(sandbox) as client:
        rows = [
            {"email": f"{'x' * 9000}@example.com", "language_id": "en"},
            {"email": "a@example.com", "language_id": "en"},
        ]
        report = await client.customers.bulk_write(json.loads(json.dumps(rows)), match="email", defaults=SOURCE)
        assert counts(report) == {"created": 1, "refused": 1}
