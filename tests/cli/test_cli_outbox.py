"""`carecloud outbox`: the person at the help desk looks after a till's outbox."""

import anyio
import pytest

from carecloud_async import CareCloud


@pytest.fixture
def till(project, monkeypatch):
    """An outbox with points that were refused, and points that wait."""

    async def put():
        async with CareCloud.from_env() as client, client.outbox("till.db") as outbox:
            points = client.points.assign_points
            for reference in ("B1", "B2"):
                await outbox.put(points, customer_id="nobody", amount=5.0, partner_id="p", reference=reference)
            project.faults.add("POST /points/actions/assign-points", status=400, times=2)
            await outbox.flush()
            assert outbox.failed == 2

    anyio.run(put)


def test_the_help_desk_retries_and_drops(carecloud, till):
    """Failed entries are listed with numbers and reasons, and no value; one is dropped, one retried."""
    listed = carecloud("outbox", "till.db")
    assert listed.code == 0, listed.err
    lines = [line.split("\t") for line in listed.out.splitlines()]
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("1", "points.assign_points B1", "refused"),
        ("2", "points.assign_points B2", "refused"),
    ]
    assert "nobody" not in listed.out
    assert listed.line == "0 waiting, 2 failed"
    assert carecloud("outbox", "till.db", "drop", 1).err.endswith("0 waiting, 1 failed\n")
    retried = carecloud("outbox", "till.db", "retry", "--all")
    assert "1 failed entry waits again\n" in retried.err
    assert retried.err.endswith("1 waiting, 0 failed\n")
    waiting = carecloud("outbox", "till.db", "drop", 2)
    assert (waiting.code, waiting.line) == (2, "no failed entry has the number 2: see carecloud outbox till.db")
    assert carecloud("outbox", "till.db", "list").out.endswith("\tpoints.assign_points B2\twaiting\n")


def test_what_waits_is_sent(carecloud, till, project):
    """`send` sends what waits, says what is left, and its exit code tells whether everything went out."""
    carecloud("outbox", "till.db", "retry", 2)
    sent = carecloud("outbox", "till.db", "send")
    assert sent.code == 1
    assert sent.line.startswith("0 waiting, ")
    carecloud("outbox", "till.db", "drop", "--all")
    assert carecloud("outbox", "till.db", "send").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drop"], "drop takes the numbers of failed entries"),
        (["retry", "1", "--all"], "retry takes the numbers"),
        (["list", "1"], "list takes no numbers"),
        (["retry", "1", "999"], "no failed entry has the number 999"),
        (["drop", "998", "999"], "no failed entry has the number 998 or 999"),
    ],
)
def test_wrong_usage_is_refused(carecloud, till, words, message):
    """What would touch other entries than those meant is refused."""
    refused = carecloud("outbox", "till.db", *words)
    assert refused.code == 2
    assert message in refused.line


def test_a_file_that_is_not_there_is_not_made(carecloud, tmp_path):
    """A wrong name is an error, and makes no file."""
    assert carecloud("outbox", "tull.db").code == 1
    assert not (tmp_path / "tull.db").exists()
