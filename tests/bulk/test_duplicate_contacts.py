"""Duplicates by e-mail and phone, on a server that takes two customers with one address."""

import csv

import pytest
from memory_servers import client_of

from carecloud_async.workflows import find_duplicates

pytestmark = pytest.mark.anyio


async def test_addresses_and_phones_are_compared_as_people_write_them(server, clock, tmp_path):
    """E-mails are compared without case, phones by their digits; empty ones are no duplicates."""
    ids = [
        server.add("Ann@Example.com", phone="+420 603 123 456"),
        server.add("ann@example.com", phone=""),
        server.add("bob@example.com", phone="00420603123456"),
        server.add("eva@example.com", phone=""),
    ]
    file = tmp_path / "groups.csv"
    async with client_of(server, clock) as client:
        report = await find_duplicates(
            client, listing=client.customers.list(), by=["email", "phone"], file=file, plan=False
        )
    assert (report.groups, report.duplicates) == (1, 3)
    with file.open(newline="", encoding="utf-8") as lines:
        found = {row["record_id"]: set(row["matched_by"].split("; ")) for row in csv.DictReader(lines)}
    assert found == {ids[0]: {"email", "phone"}, ids[1]: {"email"}, ids[2]: {"phone"}}
    assert not server.sent
