"""The reading of the whole list in place of look-ups, while the list changes."""

import pytest
from bulk_tools import SOURCE, connect, counts, emails, people

from carecloud_async import CustomerInput
from carecloud_async.bulk import finding
from carecloud_async.models import CustomerSourceInput, PersonalInformationInput

pytestmark = pytest.mark.anyio


@pytest.fixture
def few_values(monkeypatch):
    """Look-ups take two values, so that the list is cheaper."""
    monkeypatch.setattr(finding, "MAX_VALUES", 2)


@pytest.mark.usefixtures("few_values")
async def test_what_changes_after_the_list_was_read(sandbox):
    """Records that others make or change after the list was read are no doubles, and no change of theirs is undone."""
    async with connect(sandbox) as client:
        known = [one async for one in client.customers.list(count=60)][:10]
        rows = [{"email": one.personal_information.email, "last_name": "Ours"} for one in known] + people(20)

        async def others(progress):
            if progress.stage != "writing" or done:
                return
            done.append(progress)
            theirs = {"customer_id": known[-1].customer_id, "first_name": "Theirs"}
            await client.customers.bulk_write([theirs], match="customer_id")
            await client.customers.create(
                CustomerInput(
                    personal_information=PersonalInformationInput(email="new19@example.com", language_id="en")
                ),
                customer_source=CustomerSourceInput(**SOURCE),
            )

        done = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("carecloud_async.bulk.writing.CHUNK", 5)
            patch.setattr("carecloud_async.bulk.writing.CHUNKS", 1)
            patch.setattr("carecloud_async.bulk.counting._INTERVAL", 0)
            report = await client.customers.bulk_write(rows, match="email", defaults=SOURCE, on_progress=others)
        assert done
        assert counts(report) == {"created": 19, "updated": 11}
        found = await emails(client)
        changed = await client.customers.get(known[-1].customer_id)
    assert found["new19@example.com"] == 1
    assert changed.personal_information.first_name == "Theirs"
    assert changed.personal_information.last_name == "Ours"
