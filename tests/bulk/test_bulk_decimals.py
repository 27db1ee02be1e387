"""Decimals that servers write as texts, as PHP does with those of MySQL, and times that stand for days."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from carecloud_async.bulk.compare import changed_fields
from carecloud_async.bulk.convert import Converter
from carecloud_async.models import BillItemInput, VoucherInput

PRAGUE = ZoneInfo("Europe/Prague")


@pytest.mark.parametrize(
    ("now", "value", "differs"),
    [
        ("1.50", 1.5, False),
        ("100.00", 100, False),
        ("-0.10", -0.1, False),
        ("1.50", 1.51, True),
        ("1.50", True, True),
        ("", 0, True),
        ("abc", 1.5, True),
        ("1.50", None, True),
    ],
)
def test_a_text_of_a_record_that_spells_a_number(now, value, differs):
    """A number of a row is the text of the record if that text spells it."""
    assert changed_fields({"value": now}, {"value": value}, VoucherInput) == (["value"] if differs else [])


def test_numbers_in_json_of_a_cell_have_points():
    """`decimal=","` is for cells: a list of an export is JSON, where `1.234` is no number of thousands."""
    converter = Converter(timezone=PRAGUE, textual=True, decimal=",")
    read = converter.convert('[{"quantity": "1.234", "price": 2.5}]', tuple[BillItemInput, ...])
    assert read == [{"quantity": 1.234, "price": 2.5}]
    of_lines = converter.convert([{"quantity": "1,234"}], tuple[BillItemInput, ...])
    assert of_lines == [{"quantity": 1.234}]


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(1985, 2, 11, 23, tzinfo=UTC), "1985-02-12"),
        (datetime(1985, 7, 11, 22, tzinfo=UTC), "1985-07-12"),
        (datetime(1985, 2, 12, tzinfo=UTC), "1985-02-12"),
        (datetime(1985, 2, 12, tzinfo=PRAGUE), "1985-02-12"),
        (datetime(1985, 2, 12, 15, 30), "1985-02-12"),  # noqa: DTZ001  (naive, as the API's times)
    ],
)
def test_a_day_that_a_data_frame_holds_as_a_time(moment, day):
    """Midnight in the project's zone is that day, though its time in UTC is of the day before."""
    assert Converter(timezone=PRAGUE, textual=False).convert(moment, date) == day
