"""The docstrings of models and resources: what they name exists, and every field and argument has its line."""

import ast
import inspect
import pydoc
import re
from pathlib import Path

import attrs
import pytest
from every import every

import carecloud_async
from carecloud_async import models
from carecloud_async.resources import filters

PACKAGE = Path(carecloud_async.__file__).parent
FILES = sorted(path for name in ("models", "resources") for path in (PACKAGE / name).rglob("*.py"))
#: What declarations themselves refer to.
DECLARING = {"MergeRules", "Options", "Signature", *vars(filters)}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def literals(tree):
    """All docstrings: those of classes and methods, and the literals below fields."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    return [node.value.value for node in nodes if isinstance(node.value.value, str)]


@every("path", FILES)
def test_what_a_docstring_refers_to_exists(path):
    """`See X` and classes in backticks are names of the models, or dotted fields of them."""
    for text in literals(TREES[path]):
        for name in re.findall(r"[Ss]ee `([A-Z]\w+)`", text) + re.findall(r"fields are those of `(\w+)`", text):
            assert hasattr(models, name) or name in DECLARING, name


@every("path", FILES)
def test_nothing_is_left_to_be_said(path):
    """No docstring is a placeholder."""
    assert not [text for text in literals(TREES[path]) if "TODO" in text or text.strip(" .\n") in {"", "Value"}]


RECORDS = [value for name in models.__all__ if attrs.has(value := getattr(models, name))]


@every("kind", [*RECORDS, carecloud_async.ExportReport, carecloud_async.CallRecord, carecloud_async.LoggedIn])
def test_help_has_a_line_for_every_field(kind):
    """`help` of a record or a report says what each field means: by its literal, its name, or what it becomes."""
    documented = re.findall(r"^    (\w+): [A-Z`1]", kind.__doc__.partition("Attributes:")[2], re.MULTILINE)
    assert documented == [field.name for field in attrs.fields(kind)]


def test_help_says_what_a_field_means():
    """`help(Customer)` has a line for each field, and says which ones the server alone writes."""
    shown = pydoc.render_doc(models.Customer, renderer=pydoc.plaintext)
    assert "customer_id: Id of the customer. Read-only." in shown
    assert "personal_information: Who the customer is, empty if unknown." in shown
    written = "A customer. Timestamps are in project-local time, without an offset.\n\nAttributes:\n    customer_id: "
    assert inspect.getdoc(models.Customer).startswith(written)


def test_help_of_an_input_has_the_meaning_of_its_record():
    """An input's fields are those of the record that it becomes."""
    assert "    card_number: Number of the card.\n" in models.CardInput.__doc__
    assert "Read-only" not in models.CardInput.__doc__


SOURCELESS = """
from attrs import frozen
from carecloud_async.models.base import Model

@frozen(kw_only=True, repr=False)
class Ticket(Model):
    'A ticket.'
    colour: str | None = None
    'Its colour.'
"""


def test_help_needs_no_source():
    """Where the source is not installed, the docstring is the one that was written."""
    module = {"__name__": "module_without_source"}
    exec(SOURCELESS, module)
    assert module["Ticket"].__doc__ == "A ticket."


def test_the_schema_of_a_record_has_the_docstring_alone():
    """OpenAPI shows the fields by itself."""
    adapter = pytest.importorskip("pydantic", reason="pydantic is not installed").TypeAdapter(models.CardInput)
    assert adapter.json_schema()["description"] == "A card to be written; the fields are those of `Card`."
