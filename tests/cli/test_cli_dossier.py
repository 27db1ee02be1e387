"""`carecloud dossier`: all data of one customer."""

import json
from pathlib import Path

import pytest

from carecloud_async.sandbox import FIRST_CUSTOMER_ID


def test_a_dossier_is_written(carecloud):
    """The folder holds the index and the lists; the last line says how many records came, and where they are."""
    outcome = carecloud("dossier", FIRST_CUSTOMER_ID, "-o", "dossier", "--sandbox", "10")
    assert outcome.code == 0
    index = json.loads(Path("dossier/index.json").read_text())
    records = sum(part["records"] for part in index["parts"])
    assert outcome.line == (
        f"{records:,} records of {len(index['parts'])} of {len(index['parts'])} parts in dossier; see index.md"
    )
    assert json.loads(Path("dossier/customer.json").read_text())[0]["customer_id"] == FIRST_CUSTOMER_ID


def test_what_may_not_be_read_is_exit_code_1(carecloud, project):
    """The list is named with its reason, the rest is written all the same."""
    project.faults.add("GET /messages", status=403, times=None)
    outcome = carecloud("dossier", FIRST_CUSTOMER_ID, "-o", "dossier")
    assert outcome.code == 1
    assert outcome.err.startswith("carecloud: messages: forbidden (403 on GET /messages")
    assert Path("dossier/cards.json").exists()


def test_an_unknown_customer_has_no_folder(carecloud):
    """The id is named, and nothing is written."""
    outcome = carecloud("dossier", "nobody", "-o", "dossier", "--sandbox", "10")
    assert (outcome.code, outcome.line) == (1, "there is no customer with the id nobody")
    assert not Path("dossier").exists()


@pytest.mark.parametrize("file", ["dossier", "dossier/mine"])
def test_a_folder_in_use_is_wrong_usage(carecloud, file):
    """A file, or a folder with files, is refused before anything is asked."""
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).touch()
    outcome = carecloud("dossier", FIRST_CUSTOMER_ID, "-o", "dossier", "--sandbox", "10")
    assert outcome.code == 2
    assert "not empty" in outcome.err
