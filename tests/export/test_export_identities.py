"""Exports, state files and marks of streams belong to the identity that began them."""

import json

import httpx
import pytest
from export_help import every_page, export, ids
from kit import connect, served

from carecloud_async import AuthenticationError, EnterpriseCredentials, ExportError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

OTHER = EnterpriseCredentials(external_application_id="b" * 24, login="other@example.com", password="secret-of-other")


@pytest.fixture
def sandbox():
    return Sandbox(customers=300, seed=1)


def other(client):
    return client.acting_as(OTHER).customers.list(count=50)


async def stop_early(listing, path):
    def stop(progress):
        if progress.records >= 100:
            raise KeyError

    with pytest.raises(KeyError):
        await listing.export(path, concurrency=1, on_progress=stop)


async def test_the_checkpoint_of_another_identity_is_refused(tmp_path, sandbox):
    """`resume=True` on a target that another identity began is an error with the fix and without names."""
    path = tmp_path / "c.jsonl"
    async with connect(sandbox, clock=every_page()) as client:
        await stop_early(client.customers.list(count=50), path)
        sandbox.forget_requests()
        with pytest.raises(ExportError, match="another identity: connect as the identity") as caught:
            await other(client).export(path, resume=True)
        assert sandbox.count() == 0
        report = await client.customers.list(count=50).export(path, resume=True)
    assert report.resumed
    assert not any(word in str(caught.value) for word in ("other@", "bbbb", "secret", sandbox.credentials().login))


async def test_the_finished_file_of_another_identity_is_not_handed_out(tmp_path, sandbox):
    """An export that is remembered as finished is finished for its own identity alone."""
    path = tmp_path / "c.jsonl"
    async with connect(sandbox) as client:
        await client.customers.list(count=50).export(path, resume=True)
        with pytest.raises(ExportError, match="exists already"):
            await other(client).export(path, resume=True)
        again = await client.customers.list(count=50).export(path, resume=True)
    assert again.finished_before


async def test_the_body_of_a_list_that_is_a_post_belongs_to_its_export(tmp_path):
    """A finished search is handed out for the same text alone."""

    def answer(request):
        text = json.loads(request.content)["search_string"]
        results = [{"resource_id": text}] if request.url.params["offset"] == "0" else []
        return httpx.Response(200, json={"data": {"search_results": results, "total_items": 1}})

    def search(text):
        return client.reservable_products.search_reservable_products(search_string=text)

    path = tmp_path / "s.jsonl"
    async with served(answer, auth=OTHER) as client:
        await search("boat").export(path, resume=True)
        assert (await search("boat").export(path, resume=True)).finished_before
        with pytest.raises(ExportError, match="exists already"):
            await search("bike").export(path, resume=True)
    assert path.read_text() == '{"resource_id":"boat"}\n'


async def test_the_state_of_another_identity_is_refused(tmp_path, sandbox):
    """A first night by another identity's state file is an error: it would bring nothing and call that exact."""
    state = tmp_path / "state.json"
    async with connect(sandbox) as client:
        await client.customers.list().export(tmp_path / "1.jsonl", state=state)
        with pytest.raises(ExportError, match=r"state\.json belongs to another identity.*a state file of its own"):
            await other(client).export(tmp_path / "2.jsonl", state=state)
        sandbox.advance(3600)
        await client.customers.list().export(tmp_path / "3.jsonl", state=state)
    assert ids(tmp_path / "3.jsonl") == []
    assert not (tmp_path / "2.jsonl").exists()


async def test_the_mark_of_another_identity_is_refused(sandbox):
    """`arrow(after=)` takes no mark of another identity's stream."""
    pytest.importorskip("pyarrow")
    async with connect(sandbox) as client:
        async with client.customers.list(count=50).arrow(concurrency=1) as batches:
            await anext(batches)
        with pytest.raises(ExportError, match="another identity"):
            other(client).arrow(after=batches.mark)


async def test_a_new_password_is_the_same_identity(tmp_path, sandbox):
    """A state file outlives the password: only who logs in counts."""
    state = tmp_path / "state.json"
    await export(sandbox, tmp_path / "1.jsonl", state=state)
    credentials = sandbox.credentials()
    renewed = EnterpriseCredentials(
        external_application_id=credentials.external_application_id, login=credentials.login, password="a new one"
    )
    with pytest.raises(AuthenticationError):  # the sandbox refuses it; the state was accepted
        async with connect(sandbox) as client:
            await client.acting_as(renewed).customers.list().export(tmp_path / "2.jsonl", state=state)
