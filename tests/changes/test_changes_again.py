"""Changes that a run returned and did not finish are returned again, even if the list has changed back."""

import json
import random
import sys
from pathlib import Path

import pytest

from carecloud_async import ExportError
from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes
from carecloud_async._lists.changes.reader import Changes
from carecloud_async._lists.changes.values import ChangesOptions

sys.path.append(str(Path(__file__).parents[1] / "export"))
from list_machine import ListMachine

pytestmark = pytest.mark.anyio


@pytest.fixture
def machine():
    return ListMachine(records=[(f"{index:04}", index) for index in range(30)], dice=random.Random(1))


@pytest.fixture
def state(tmp_path):
    return tmp_path / "list.state"


async def mirror_changes(machine, state, mirror, *, fails=False):
    """Apply the changes to a mirror; fail when all were applied."""
    async with Changes(machine.source(count=20), state, ChangesOptions(concurrency=1)) as changes:
        async for one in changes:
            if one.kind == "deleted":
                mirror.pop(one.id, None)
            else:
                mirror[one.id] = json.loads(one.raw)["n"]
        if fails:
            raise LookupError
    return changes.report


async def test_what_was_taken_back_meanwhile_leaves_the_copy(machine, state):
    """If a run fails after its changes were applied, and the server then undoes them, the copy still ends up right."""
    mirror = {}
    await mirror_changes(machine, state, mirror)
    calm = list(machine.records)
    machine.records += [("0030", 30)]
    machine.records[3] = ("0003", 99)
    del machine.records[7]
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, mirror, fails=True)
    assert mirror == dict(machine.records)
    machine.records = [*calm, ("0031", 31)]
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, mirror, fails=True)
    machine.records = calm
    report = await mirror_changes(machine, state, mirror)
    assert mirror == dict(calm)
    assert report.counts == {"created": 3, "updated": 2, "deleted": 3}
    assert (await mirror_changes(machine, state, mirror)).counts == {"created": 0, "updated": 0, "deleted": 0}
    assert [one.name for one in state.parent.iterdir()] == ["list.state"]


async def test_an_error_of_the_server_keeps_what_comes_again(machine, state):
    """A run that fails while it reads loses nothing of what an earlier one handed out."""
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, {}, fails=True)
    records, machine.records = machine.records, []
    with pytest.raises(ExportError, match="allow_shrink"):
        await mirror_changes(machine, state, {})
    machine.records, mirror = records, {}
    await mirror_changes(machine, state, mirror)
    assert mirror == dict(machine.records)


async def test_changes_that_are_lost_are_an_error(machine, state):
    """Without the file of the unfinished changes the state is refused."""
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, {}, fails=True)
    pending = state.with_name("list.state-pending")
    assert pending.stat().st_mode & 0o777 == 0o600
    pending.write_bytes(pending.read_bytes()[:-5])
    for _ in range(2):
        with pytest.raises(ExportError, match="begin again"):
            await mirror_changes(machine, state, {})
        pending.unlink(missing_ok=True)


async def test_a_file_does_not_take_over_what_a_program_left(machine, state, tmp_path):
    """A file has one line for a record at most: unfinished changes are left to the program that took them."""
    with pytest.raises(LookupError):
        await mirror_changes(machine, state, {}, fails=True)
    arguments = (machine.source(count=20), tmp_path / "c.jsonl", state, ChangesOptions(), ChangesFileOptions())
    with pytest.raises(ExportError, match="run that program again"):
        await write_changes(*arguments)
    await mirror_changes(machine, state, {})
    assert (await write_changes(*arguments)).unchanged == 30
