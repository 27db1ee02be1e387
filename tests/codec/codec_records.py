"""Records to read: the quickstart's own, and strategies for exact ones, ones with misfits and future ones."""

import copy
import json
from datetime import date, datetime, time

import anyio
import attrs
import httpx
from hypothesis import strategies as st
from kit import KnownUser, served

from carecloud_async import RetryPolicy, models
from carecloud_async._base.codec.fields import core_type, core_types, element_type, field_types, is_model, is_read_model

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

QUICKSTART_LOGIN = {
    "bearer_token": "09359095c5da43c7ae11e710eabce49418715a6a",
    "valid_to": "2023-01-04 10:31:56",
    "user": {
        "user_id": "838b73aacb5ac326cec4030c80",
        "login": "fabulous_user",
        "first_name": "Fabulous",
        "last_name": "Legend",
        "email": "[email protected]",
        "phone": 420123828931,
        "user_role_id": "86e05affc7a7befcd513ab400",
        "store_id": "86e05affc7a7abecd513ab400",
    },
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
_texts = st.text(max_size=12)
_known = st.integers(min_value=-1, max_value=9)
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


def _objects(fields, *, exact, required=()):
    values = dict(fields) if exact else {name: value | _misfits | anything for name, value in fields.items()}
    always = {name: values.pop(name) for name in required} if exact else {}
    known = st.fixed_dictionaries(always, optional=values)
    future = st.dictionaries(st.text(max_size=6).filter(lambda name: name not in fields), anything, max_size=2)
    return st.tuples(known, future).map(lambda parts: parts[1] | parts[0])


def customers(*, exact):
    """Customers with unknown fields and values; ones with misfits hold anything anywhere."""
    text = _texts | st.none()
    names = ("salutation", "first_name", "last_name", "email", "phone", "language_id", "store_id", "photo_url")
    lines = (*(f"address{n}" for n in range(1, 8)), "zip", "city", "country_code")
    custom = _objects({"agreement_id": text, "agreement_value": _known | st.none()}, exact=exact)
    consent = _objects({"consent_id": text, "consent_value": _known, "last_change": _moments}, exact=exact)
    agreement = _objects(
        {"agreement_gtc": _known, "agreement_profiling": _known, "custom_agreements": st.lists(custom, max_size=2)},
        exact=exact,
    )
    person = dict.fromkeys(names, text) | {
        "gender": _known | st.none(),
        "birthdate": _dates | st.none(),
        "address": _objects(dict.fromkeys(lines, text), exact=exact),
        "agreement": agreement,
        "consents": st.lists(consent, max_size=2),
    }
    return _objects(
        {
            "customer_id": _texts,
            "personal_information": _objects(person, exact=exact),
            "last_change": _moments | st.none(),
            "doi_email": _moments | st.none(),
            "state": _known,
        },
        exact=exact,
        required=("customer_id",),
    )


READ_MODELS = [cls for name in models.__all__ if attrs.has(cls := getattr(models, name)) and is_read_model(cls)]
_EXACT = {
    str: _texts,
    int: st.integers(),
    float: _numbers,
    bool: st.booleans(),
    date: _dates,
    datetime: _moments,
    time: st.times().map(str),
}


def untidy(model):
    """Records of any read model: some of its fields, each with a value that fits, a misfit or anything."""
    fields = core_types(model)
    names = sorted({*fields, *field_types(model), "unknown"})
    chosen = st.lists(st.sampled_from(names), max_size=7, unique=True)
    return chosen.flatmap(lambda some: st.fixed_dictionaries({name: _untidy_value(fields.get(name)) for name in some}))


def _untidy_value(core):
    element = element_type(core)
    if is_model(core):
        fitting = st.deferred(lambda: untidy(core))
    elif element is not None:
        fitting = st.lists(st.deferred(lambda: _untidy_value(core_type(element))), max_size=3)
    else:
        fitting = _EXACT.get(core, anything)
    return fitting | fitting | _misfits | anything
