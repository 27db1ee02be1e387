"""`record.to_dict()` of every read model: what it gives is read back as the same record."""

import json
import types
import typing
from datetime import date, datetime, time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import examples

from carecloud_async import models
from carecloud_async._base.codec.answers import structure
from carecloud_async._base.codec.fields import api_names, field_types
from carecloud_async.models import Model

READ_MODELS = [
    value
    for name in models.__all__
    if isinstance(value := getattr(models, name), type) and issubclass(value, Model) and value is not Model
]
WHOLE = st.integers(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda one: one.replace(microsecond=0))  # noqa: DTZ001  (as the API gives them)
PLAIN = {
    str: st.text(max_size=8),
    int: WHOLE,
    float: st.floats(-1e9, 1e9),
    bool: st.booleans(),
    date: st.dates(date(1990, 1, 1), date(2100, 1, 1)).map(str),
    datetime: MOMENTS.map(str),
    time: st.times().map(lambda one: one.replace(microsecond=0).isoformat()),
}


def values(hint):
    """What the API may send for a field, null among it where the field may be `None`."""
    if typing.get_origin(hint) is typing.Annotated:
        return values(typing.get_args(hint)[0])
    if hint in PLAIN:
        return PLAIN[hint]
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Model):
        return records(hint)
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        options = typing.get_args(hint)
        known = [one for one in options if one is not type(None)]
        if len(known) == 1:
            return values(known[0]) | st.none()
    return JSON


def records(model):
    """Records of a model under the API's names, each field there or not, with unknown ones beside."""
    fields = {name: values(field_types(model)[field]) for field, name in api_names(model).items()}
    return st.fixed_dictionaries({}, optional=fields | {"of_tomorrow": JSON})


@pytest.mark.parametrize("model", READ_MODELS, ids=lambda one: one.__name__)
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_record_survives_to_dict(model, data):
    """Whatever the API sends: the plain values of the record are JSON, and read back they are the record."""
    record = structure(data.draw(records(model)), model)
    plain = record.to_dict()
    assert structure(json.loads(json.dumps(plain)), model) == record
