"""Records to read: the quickstart's own, and strategies for exact ones, ones with misfits and future ones."""

import copy
import json
import typing
from datetime import date, datetime, time

import anyio
import attrs
import httpx
from hypothesis import strategies as st
from kit import KnownUser, served
from model_hints import hints_of, is_record, parts, takes_null

from carecloud_async import RetryPolicy, models

QUICKSTART_CUSTOMER = {
    "customer_id": "8ea6abece4cd0a4ded0a29f093",
    "personal_information": {
        "gender": 1,
        "first_name": "John",
        "last_name": "Smith",
        "birthdate": "985-02-12",
        "email": "[email protected]",
        "phone": "420523828931",
        "language_id": "en",
        "store_id": "8bed991c68a4",
        "address": {
            "address1": "Old Town Square",
            "address2": "34",
            "address3": "",
            "address4": "",
            "address5": "",
            "address6": "",
            "address7": "",
            "zip": "11000",
            "city": "Prague 1",
            "country_code": "cz",
        },
        "agreement": {
            "agreement_gtc": 1,
            "agreement_profiling": 1,
            "agreement_marketing_communication": 1,
            "custom_agreements": [{"agreement_id": "89ce2a1b9b01f5c939fb1e20cd", "agreement_value": 2}],
        },
    },
    "last_change": "2019-06-23 11:47:22",
    "state": 1,
}


def customer(**personal_information):
    """Copy the quickstart's customer with a readable birthdate and some fields of the person replaced."""
    record = copy.deepcopy(QUICKSTART_CUSTOMER)
    record["personal_information"]["birthdate"] = "1985-02-12"
    record["personal_information"].update(personal_information)
    return record


def answer(data, **how):
    """Wrap `data` as the server does and write it as JSON."""
    return json.dumps({"data": data}, **how).encode()


def page_of(records, *, key="customers", total_items=None, **how):
    """Write a page of records as the server does."""
    return answer({key: records, "total_items": len(records) if total_items is None else total_items}, **how)


def reply(body, ask):
    """Return what `ask(client)` gives where the server answers with one body; a list ends after its first page."""
    requests = []

    def respond(request):
        requests.append(request)
        is_later = len(requests) > 1 and request.url.params.get("offset", "0") != "0"
        return httpx.Response(200, content=b'{"data":[]}' if is_later else body)

    async def work():
        async with served(respond, auth=KnownUser(), retry=RetryPolicy(attempts=1)) as client:
            return await ask(client)

    return anyio.run(work)


def sent(value):
    """The JSON text that a body is sent as."""
    bodies = []

    def respond(request):
        bodies.append(request.content.decode())
        return httpx.Response(200, json={"data": {}})

    async def work():
        async with served(respond, auth=KnownUser()) as client:
            await client.request("POST", "events", json={"value": value})

    anyio.run(work)
    return bodies[0].removeprefix('{"value":').removesuffix("}")


def read(records, into):
    """Read records into a type, as the list of an answer."""
    body = json.dumps({"data": {"records": records}}).encode()
    return reply(body, lambda client: client.request("GET", "records", into=list[into]))


_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_dates = st.dates().map(str)
_moments = st.datetimes().map(lambda moment: moment.isoformat(sep=" "))
_misfits = st.sampled_from(
    [
        *("", "0", "1", "true", "false", " 7 ", "1.0", "x", "0000-00-00", "0000-00-00 00:00:00", "985-02-12"),
        *("2019-13-45", "2019-02-03", "2019-02-03 10:11", "2019-02-03T10:11:12Z", "2019-02-03 10:11:12+02:00"),
        *("0985-02-12", "2019-W01-1", "2019-02-30 10:11:12", "2019-06-23 11:47+02", " 2019-06-23", "24:00"),
        *(None, True, False, 0, 1, 2.0, 2.5, 420123828931, [], {}, [None], {"0": {}}, {"0": "a", "2": "b"}),
    ]
)
READ_MODELS = [
    cls for name in models.__all__ if attrs.has(cls := getattr(models, name)) and issubclass(cls, models.Model)
]
_EXACT = {
    str: st.text(max_size=12),
    int: st.integers(),
    float: _numbers,
    bool: st.booleans(),
    date: _dates,
    datetime: _moments,
    time: st.times().map(str),
}


def records_of(model, *, exact):
    """Records of a read model, with unknown fields: its id and some others that fit, or also misfits and anything."""
    hints = hints_of(model)
    required = [field.name for field in attrs.fields(model) if exact and field.default is attrs.NOTHING]
    names = sorted({*hints, *(field.name for field in attrs.fields(model)), "unknown"} - {*required})
    chosen = st.lists(st.sampled_from(names), max_size=7, unique=True).map(lambda some: required + some)
    return chosen.flatmap(
        lambda some: st.fixed_dictionaries({name: _value(hints.get(name), exact=exact) for name in some})
    )


def _value(hint, *, exact):
    kinds = parts(hint)
    kind = kinds[0] if len(kinds) == 1 else None
    if is_record(kind):
        fitting = st.deferred(lambda: records_of(kind, exact=exact))
    elif typing.get_origin(kind) is tuple:
        fitting = st.lists(st.deferred(lambda: _value(typing.get_args(kind)[0], exact=exact)), max_size=3)
    else:
        fitting = _EXACT.get(kind, anything)
    if exact:
        return fitting | st.none() if takes_null(hint) else fitting
    return fitting | fitting | _misfits | anything
