"""The tolerant rules: what each value becomes in the records of the SDK."""

import logging
import warnings
from datetime import UTC, date, datetime, time

from attrs import evolve, field, frozen
from codec_records import READ_MODELS, page_of, read, records_of, reply
from every import every
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from thorough import examples

from carecloud_async.models import (
    Address,
    Consent,
    CustomAgreement,
    Customer,
    Gender,
    LocalDatetime,
    Model,
    PersonalInformation,
    PropertyRecord,
    User,
)


@frozen(kw_only=True, repr=False)
class Sample(Model):
    text: str | None = None
    number: int | None = None
    amount: float | None = None
    flag: bool | None = None
    day: date | None = None
    moment: LocalDatetime | None = None
    hour: time | None = None
    texts: tuple[str, ...] = ()
    open_texts: tuple[str | None, ...] = ()
    state: int = 7


NAN, INFINITE = float("nan"), float("inf")
DAY, NOON = date(2019, 6, 23), datetime(2019, 6, 23, 11, 47, 22)  # noqa: DTZ001
UNREADABLE = ["", None, "985-02-12", "0000-00-00", "0000-00-00 00:00:00", "2019-13-45", "2019-W01-1", "x", 0, 1, [], {}]
#: What the server sends, and what it becomes.
VALUES = {
    "text": [
        *[("", ""), (" x ", " x "), (None, None), (420, "420"), (-1, "-1"), (True, "true"), (False, "false")],
        *[(420123828931.0, "420123828931"), (1.5, "1.5"), (1e22, "10000000000000000000000"), (1e-7, "0.0000001")],
        *[([], None), ({}, None), (["x"], None), (NAN, None)],
    ],
    "number": [
        *[("1", 1), (" 12 ", 12), ("-3", -3), ("1.0", 1), (2.0, 2), (99, 99), (None, None), ("", None)],
        *[("1_0", None), ("x", None), ("1.5", None), (2.5, None), (True, None), ("true", None), ([], None)],
        *[({}, None), ("\u0663", None), (INFINITE, None), ("9" * 5000, None)],
    ],
    "amount": [
        *[("1.5", 1.5), (2, 2.0), (0.1, 0.1), ("1e3", 1000.0), ("", None), ("nan", None), ("1_0", None)],
        *[(True, None), (10**400, None)],
    ],
    "flag": [
        *[(True, True), ("true", True), ("TRUE", True), ("1", True), (1, True), (1.0, True), (False, False)],
        *[("false", False), ("False", False), ("0", False), (0, False), (None, None), ("", None), ("no", None)],
        *[("yes", None), (2, None), ([], None), ({}, None), ("0.0", None)],
    ],
    "day": [
        *[(value, None) for value in UNREADABLE],
        *[(value, DAY) for value in ("2019-06-23", "2019-06-23 11:47:22", "2019-06-23T11:47:22Z", " 2019-06-23 ")],
        *[("2019-06-23 11:47", DAY), ("0985-02-12", date(985, 2, 12)), ("2019-02-30", None)],
    ],
    "moment": [
        *[(value, None) for value in UNREADABLE],
        *[("2019-06-23", datetime(2019, 6, 23)), ("2019-06-23 11:47", NOON.replace(second=0))],  # noqa: DTZ001
        *[("2019-06-23 11:47:22", NOON), ("2019-06-23T11:47:22", NOON), ("2019-06-23 11:47:22Z", NOON)],
        *[("2019-06-23T11:47:22+02:00", NOON), ("2019-06-23 11:47:22.5", NOON.replace(microsecond=500000))],
        *[("2019-02-30 11:47:22", None), ("2019-06-23x11:47:22", None)],
    ],
    "hour": [("08:30", time(8, 30)), ("08:30:15", time(8, 30, 15)), ("24:00", None), ("", None), (8, None)],
    "texts": [(["a", None, 5], ("a", "5")), ({"0": "a", "2": 5}, ("a", "5")), (None, ()), ("x", ()), (5, ())],
    "open_texts": [(["a", None], ("a", None))],
    "state": [(17, 17), ("1", 1), (None, 7), ("", 7), ("x", 7)],
}


@every("field", VALUES)
def test_each_value_becomes_what_was_meant(field):
    """A value of another kind is what was meant, or the field's default where nothing else can be meant by it."""
    given_values, expected = zip(*VALUES[field], strict=True)
    alone = [{field: value} for value in given_values]
    records = read(alone, Sample)
    in_a_page = reply(page_of(alone, key="rows"), lambda client: client.listing("rows", into=Sample).page()).items
    # Exact pages are read by msgspec, and a misfit beside the value must not change it.
    beside = read([{field: value, "unused": 1, **misfit(field)} for value in given_values], Sample)
    for value, wanted, *got in zip(given_values, expected, records, in_a_page, beside, strict=True):
        for record in got:
            result = getattr(record, field)
            assert (type(result), result) == (type(wanted), wanted), value


def misfit(field):
    """A field, other than this one, with a value that is not of its type."""
    return {"number": "5"} if field == "text" else {"text": 5}


@every("value", [None, "", [], {}, "x", 5, ["x"]])
def test_an_object_is_never_none(value):
    """Where an object is due, anything else is an empty one."""
    assert read([{"personal_information": value}], Customer) == [Customer(customer_id="")]
    assert read([{"address": value}], PersonalInformation)[0].address == Address()


@every("value", [None, "", {}, "x", 5, {"0": "x"}, [None], ["x"], {"a": {}, "b": 1}])
def test_a_list_of_objects_is_never_none(value):
    """Where a list of objects is due, anything else is empty, and what is no object in it is left out."""
    assert read([{"consents": value}], PersonalInformation)[0].consents == ()


def test_a_list_sent_as_an_object():
    """PHP sends a list with gaps as an object, whose values are read, and an empty object as `[]`."""
    person = {"consents": {"0": {"consent_id": "a"}, "7": {}}, "agreement": {"custom_agreements": [[], None]}}
    (got,) = read([person], PersonalInformation)
    assert got.consents == (Consent(consent_id="a"), Consent())
    assert got.agreement.custom_agreements == (CustomAgreement(),)
    assert read([{"user_id": "u", "user_role_ids": {"0": "a", "2": 5}}], User)[0].user_role_ids == ("a", "5")


def test_open_values_are_kept():
    """A property's value stays as it is, whatever its kind, and so does a number that no enum knows yet."""
    values = ["x", 1, 1.5, True, None, [1, "a"], {"a": []}]
    got = read([{"property_record_id": 1, "property_value": value} for value in values], PropertyRecord)
    assert [record.property_value for record in got] == values
    assert read([{"customer_id": 5, "state": 17}], Customer)[0].state == 17


def test_one_warning_per_field(caplog):
    """A field warns once per process, names itself and the kind of misfit, and never shows the value."""

    @frozen(kw_only=True, repr=False)
    class WarnsOnce(Model):
        day: date | None = None
        number: int | None = None
        text: str | None = None
        moment: LocalDatetime | None = None

    records = [{"day": "0000-00-00", "number": "p3rs0nal", "moment": "2019-01-01T00:00:00Z"}] * 3
    absent = [{"day": "", "number": None, "text": 420, "moment": ""}]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read(absent, WarnsOnce)
        assert caplog.records == []  # empty texts, nulls and numbers for texts are usual
        read(records, WarnsOnce)
    assert caught == []
    got = [record for record in caplog.records if record.name == "carecloud_async.codec"]
    assert sorted(record.getMessage() for record in got) == [
        "WarnsOnce.day: zero date, read as None (reported once)",
        "WarnsOnce.moment: a timestamp with an offset, which is dropped: project-local times have none (reported once)",
        "WarnsOnce.number: not a whole number, read as None (reported once)",
    ]
    assert {record.levelno for record in got} == {logging.WARNING}


def test_python_values_are_taken_too():
    """Values of a user's own dict, which are no JSON any more, are read by their meaning; models are kept."""
    model = TypeAdapter(Sample).validate_python

    assert model({"day": NOON}).day == model({"day": DAY}).day == DAY
    assert model({"moment": NOON.replace(tzinfo=UTC)}).moment == NOON
    assert model({"moment": DAY}).moment == datetime(2019, 6, 23)  # noqa: DTZ001
    assert model({"text": Gender.FEMALE}).text == "2"
    assert model({"number": Gender.FEMALE}).number == 2
    address = Address(city="Praha")
    assert TypeAdapter(PersonalInformation).validate_python({"address": address, "phone": 1}).address is address


def test_fields_of_a_users_own_model():
    """A subclass of a model may have types that only cattrs reads and names of its own; what does not fit is None."""

    @frozen(kw_only=True, repr=False)
    class Mine(Customer):
        extra: dict[str, int] | None = None
        gender: Gender | None = None

    @frozen(kw_only=True, repr=False)
    class Odd(Customer):
        either: Address | Consent | None = None

    @frozen(kw_only=True, repr=False)
    class Own(Customer):
        city: str | None = field(default=None, alias="place")
        day: date | None = None
        made: bool = field(default=True, init=False)

    assert read([{"customer_id": 5, "city": "Brno", "day": "2019-02-30", "made": 0}], Own) == [
        Own(customer_id="5", place="Brno")
    ]
    assert read([{"customer_id": 5, "extra": {"a": 1}}], Mine) == [Mine(customer_id="5", extra={"a": 1})]
    untidy_records = [{"customer_id": 5, "extra": "text", "gender": 9}, {"customer_id": "6", "gender": 2}]
    assert read(untidy_records, Mine) == [Mine(customer_id="5"), Mine(customer_id="6", gender=Gender.FEMALE)]
    assert read([{"customer_id": 5}], Odd) == [Odd(customer_id="5")]


@given(records_of(Customer, exact=True))
def test_an_exact_record_is_the_same_beside_a_misfit(record):
    """One value that does not fit changes no other of its record, unknown fields and values included."""
    exact, untidy_one = read([record, {**record, "state": " 7 "}], Customer)
    assert untidy_one == evolve(exact, state=7)


def some_of(model):
    """A read model, and untidy records of it."""
    return st.tuples(st.just(model), st.lists(records_of(model, exact=False), max_size=4))


@settings(max_examples=examples(400))
@given(st.sampled_from(READ_MODELS).flatmap(some_of))
def test_any_record_of_any_family_arrives(case):
    """However untidy the records of an answer, each is read, in a page too, and its plain values are read as itself."""
    model, untidy = case
    got = read(untidy, model)
    assert [type(record) for record in got] == [model] * len(untidy)
    page = reply(page_of(untidy, key="rows"), lambda client: client.listing("rows", into=model).page())
    assert page.items == got
    plain = [record.to_dict() for record in got]
    assert [record.to_dict() for record in read(plain, model)] == plain


def test_the_login_of_the_quickstart_arrives():
    """The numeric phone becomes text and the single role is among the roles."""
    body = b'{"data": {"user_id": "838b", "phone": 420123828931, "user_role_id": "86e0"}}'
    user = reply(body, lambda client: client.users.get("838b"))
    assert (user.phone, user.role_ids) == ("420123828931", ("86e0",))
