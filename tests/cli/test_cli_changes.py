"""`carecloud changes`: what changed since the last run, into a file."""

import io
import json
import os
import sys

import pytest


@pytest.mark.parametrize("state", ["s", "memory://nights/s"])
def test_nights(carecloud, project, tmp_path, state):
    """The first run creates everything, the next brings an update and a deletion, the third nothing."""
    command = ("changes", "customers", "-o", "c.jsonl", "--overwrite", "--state", state, "--report", "r.json")
    first = carecloud(*command)
    assert first.code == 0, first.err
    assert first.line.startswith("customers: 250 created, 0 updated, 0 deleted, 0 unchanged in c.jsonl")
    updated, deleted = project.customers.id_at(7), project.customers.id_at(9)
    project.customers.update(updated, {"personal_information": {"last_name": "Changed"}})
    project.customers.delete(deleted)
    second = carecloud(*command)
    assert second.line.startswith("customers: 0 created, 1 updated, 1 deleted, 248 unchanged")
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_bytes().split(b"\n")[:-1]]
    assert {(line["change"], line["id"]) for line in lines} == {("updated", updated), ("deleted", deleted)}
    assert json.loads((tmp_path / "r.json").read_bytes())["deleted"] == 1
    assert carecloud(*command).line.startswith("customers: 0 created, 0 updated, 0 deleted")


def test_a_list_that_is_half_gone(carecloud, project):
    """More than half gone is exit code 1 and names the option, which takes it."""
    command = ("changes", "customers", "-o", "c.csv", "--overwrite", "--state", "s")
    assert carecloud(*command).code == 0
    for record_id in list(project.customers.ids())[:200]:
        project.customers.delete(record_id)
    refused = carecloud(*command)
    assert refused.code == 1
    assert "--allow-shrink" in refused.line
    assert "allow_shrink" not in refused.line
    assert carecloud(*command, "--allow-shrink").line.startswith("customers: 0 created, 0 updated, 200 deleted")


def test_mistakes(carecloud, project):
    """stdout, one file twice and a period that is none are wrong usage, and nothing is sent."""
    for more in (
        ("-o", "-"),
        ("-o", "s"),
        ("-o", "c.jsonl", "--compare-every", "0"),
        ("-o", "c.jsonl", "--compare-every", "inf"),
    ):
        refused = carecloud("changes", "customers", "--state", "s", *more)
        assert (refused.code, refused.line.count("\n")) == (2, 0), refused.err
    assert project.count() == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_an_interrupted_run_says_what_became_of_the_changes(interrupted, carecloud, project):
    """An interrupted run ends with 130 and leaves no half file; the same command brings all changes."""
    command = ("changes", "customers", "-o", "c.jsonl", "--state", "s", "--count", 10, "--concurrency", 1)
    done = interrupted(*command, at="GET /customers", times=2)
    assert done.err.endswith("interrupted: no change is lost; the same command goes on to c.jsonl\n")
    assert os.listdir() == []
    assert carecloud(*command).line.startswith("customers: 250 created")


def test_a_signal_at_the_very_end_does_not_lose_the_file(carecloud, project, monkeypatch):
    """A scheduler repeats a command that ended with 130: it gets the same changes, although it overwrites."""

    class Interrupted(io.StringIO):
        def write(self, text):
            if "250 created" in text:
                raise KeyboardInterrupt
            return super().write(text)

    command = ("changes", "customers", "-o", "c.jsonl", "--overwrite", "--state", "s")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Interrupted())
        assert carecloud(*command).code == 130
    again = carecloud(*command)
    assert again.line.startswith("customers: 250 created")
    assert "an earlier run had been stopped before it could report this file" in again.line
    with open("c.jsonl", "rb") as file:
        assert len(file.readlines()) == 250
    assert carecloud(*command).line.startswith("customers: 0 created, 0 updated, 0 deleted, 250 unchanged")
