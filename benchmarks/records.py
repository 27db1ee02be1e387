"""The customers that the loopback server serves: shaped like the quickstart's, about 830 bytes of compact JSON each.

Ids differ in every record; the rest goes round in `VARIETY` different ones. A quarter of the names and towns carry
Czech diacritics, as UTF-8. In the untidy variant every tenth record holds what real back ends send: zero dates, a
phone number that is a number, a birthdate with three digits of year.
"""

import json
from functools import cache

BASE_PATH = "/webservice/rest-api/enterprise-interface/v1.0"
#: The API user, whom the sandbox knows too.
LOGIN = {
    "user_external_application_id": "89d1a6111b3fb6e74665d948",
    "login": "fabulous_user",
    "password": "password_example",
}
SOURCE = {"customer_source_id": "86e05affc7a7abefcd513ab400"}
VARIETY = 5000
UNTIDY_EVERY = 10

_FIRST = ("John", "Mary", "Peter", "Eva", "Anna", "Martin", "Jiří", "Zdeňka")
_LAST = ("Smith", "Novak", "Svoboda", "Brown", "Fischer", "Taylor", "Dvořák", "Růžičková")
_CITIES = ("Prague 1", "Brno", "Ostrava", "Pardubice", "Zlin", "London", "Plzeň", "České Budějovice")
#: What untidy records hold in place of the tidy values, in turns: in the person, in the record.
_UNTIDY: tuple[tuple[dict[str, object], dict[str, object]], ...] = (
    ({"birthdate": "0000-00-00"}, {"last_change": "0000-00-00 00:00:00"}),
    ({"phone": 420523828931}, {}),
    ({"birthdate": "985-02-12"}, {}),
)


def customer_id(index: int) -> str:
    """Return the id of a record; ids sort as indexes do."""
    return f"8ea6abece4cd0a4ded{index:08x}"


def person(number: int) -> dict[str, object]:
    """Return a customer's personal information, as rows of imports have it."""
    return {
        "email": f"known{number}@example.com",
        "first_name": "Jan",
        "last_name": f"No {number}",
        "language_id": "en",
    }


def record(index: int, *, untidy: bool) -> bytes:
    """Return one customer as compact JSON."""
    return b'{"customer_id":"%b",%b' % (customer_id(index).encode(), _tails(untidy)[index % VARIETY])


@cache
def _tails(untidy: bool) -> list[bytes]:
    return [_tail(index, untidy=untidy and index % UNTIDY_EVERY == 0) for index in range(VARIETY)]


def _tail(index: int, *, untidy: bool) -> bytes:
    person = _person(index)
    rest: dict[str, object] = {"personal_information": person, "last_change": _moment(index), "state": 1}
    if untidy:
        in_person, in_record = _UNTIDY[index // UNTIDY_EVERY % len(_UNTIDY)]
        person.update(in_person)
        rest.update(in_record)
    return json.dumps(rest, ensure_ascii=False, separators=(",", ":"))[1:].encode()


def _moment(index: int) -> str:
    return f"20{10 + index % 15}-{1 + index % 12:02}-{1 + index % 28:02} 11:{index % 60:02}:22"


def _person(index: int) -> dict[str, object]:
    first, last = _FIRST[index % 8], _LAST[index // 8 % 8]
    return {
        "salutation": "Dear customer",
        "gender": 1 + index % 2,
        "first_name": first,
        "last_name": last,
        "pre_nominals": "Ing." if index % 5 == 0 else "",
        "post_nominals": "",
        "birthdate": f"19{30 + index % 70}-{1 + index % 12:02}-{1 + index % 28:02}",
        "email": f"customer.{index:06}@example.com",
        "phone": f"420{500000000 + index * 7919}",
        "language_id": "cs",
        "store_id": "8bed991c68a4",
        "address": {
            "address1": "Old Town Square",
            "address2": str(index % 99),
            "address3": "",
            "address4": "",
            "address5": "",
            "address6": "",
            "address7": "",
            "zip": f"{10000 + index % 60000}",
            "city": _CITIES[index // 3 % 8],
            "country_code": "cz",
        },
        "agreement": {
            "agreement_gtc": 1,
            "agreement_profiling": 1,
            "agreement_marketing_communication": 1,
            "custom_agreements": [{"agreement_id": "89ce2a1b9b01f5c939fb1e20cd", "agreement_value": 2}],
        },
        "consents": [
            {"consent_id": "8a41f6f3a2c8f1d7f0e0a1b2c3", "consent_value": 1, "last_change": _moment(index + 7)}
        ],
    }
