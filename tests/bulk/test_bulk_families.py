"""The bulk writes that families declare agree with their operations and models."""

import re
from pathlib import Path

import pytest
from bulk_tools import connect

from carecloud_async.bulk.family import field_paths
from carecloud_async.errors import ConfigurationError
from carecloud_async.resources import OPERATIONS
from carecloud_async.resources.declare import Resource
from carecloud_async.resources.hints import _NOT_IN_BULK, why_not_in_bulk
from carecloud_async.resources.lookup.by_name import all_families, bulk_families, open_family, require_bulk
from carecloud_async.sandbox import Sandbox

assert OPERATIONS  # loads all families


def families(root=Resource):
    """All classes of declared families; those that other tests declare are left out."""
    for cls in root.__subclasses__():
        if cls.__module__.startswith("carecloud_async."):
            yield cls
        yield from families(cls)


#: The names of the families that can be written in bulk.
WRITING = {cls: name for name, cls in bulk_families().items() if cls.__module__.startswith("carecloud_async.")}
NOT_IN_BULK = {
    "tokens": "credentials are not data",
    "segments": "a segment is a name and a note, not a record with an input class",
}


def test_every_family_that_is_written_can_be_written_in_bulk():
    """Every family with a create, a batch or an update takes bulk writes; the rest is named with its reason."""
    writes = [getattr(cls, name, None) for cls in families() if cls not in WRITING for name in ("create", "batch")]
    left_out = {item.declared.operation.call.rpartition(".")[0] for item in writes if hasattr(item, "declared")}
    assert left_out == set(NOT_IN_BULK)


def test_every_other_family_says_why_it_is_not_written():
    """Every family without bulk writes has a sentence that says why, and none that has them is named among these."""
    for name, operations in all_families().items():
        if name in bulk_families():
            require_bulk(name)
            continue
        assert why_not_in_bulk(name, operations)
        with pytest.raises(ConfigurationError, match="cannot be written in bulk") as caught:
            require_bulk(name)
        assert "did you mean" not in str(caught.value)
    assert set(_NOT_IN_BULK) <= all_families().keys() - bulk_families().keys()


@pytest.mark.parametrize("cls", sorted(WRITING, key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_the_keys_of_a_family_exist(cls):
    """Each key names a field of the record or of a create, and its filter is one of the list's."""
    family = open_family(connect(Sandbox(customers=1)), WRITING[cls], ["id"] * WRITING[cls].count("."))
    assert type(family) is cls
    facts = family._as_family().facts
    known = set(facts.settable)
    for model in (facts.reads, facts.update_model):
        known |= set() if model is None else field_paths(model)
    if facts.id_field:
        known.add(facts.id_field)
    for key in family._bulk.keys:
        own = [path for path in key.paths if path not in known]
        assert key.find or not own, (key.name, own)
        if key.filter is not None and key.find is None:
            assert key.filter in family.list.declared.operation.parameters


def test_the_guide_names_the_keys_of_every_family():
    """The table of the guide has each family that can be written in bulk, with its keys."""
    page = (Path(__file__).parents[2] / "docs/bulk_writes.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE)
    found = {name: tuple(re.findall(r"`(\w+)`", keys)) for name, keys in table if "`=" not in name}
    declared = {name: tuple(key.name for key in cls._bulk.keys) for cls, name in WRITING.items()}
    assert {name: keys for name, keys in found.items() if name in declared} == declared
