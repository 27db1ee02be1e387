"""A list that hides some of its records from pages, from some answers or from all, with true or false totals."""

import random

from attrs import define, field
from list_machine import ListMachine

LIES = ["drops", "hides", "hides with total", "hides in runs", "lags", "replicas"]


@define(kw_only=True)
class LyingList(ListMachine):
    """A list of customers whose server lies.

    Attributes:
        lie: `drops`: each page leaves out some of its rows, and its total counts them. `hides`: some answers lack
            neighbouring records, which the total counts, or does not (`with total`), or several answers in a row do
            (`in runs`). `lags`: every answer lacks the newest records, which the total counts. `replicas`: every
            other answer does.
        share: how many rows a page drops, and how many answers hide records.
        block: how many records are hidden.
    """

    lie: str
    share: float = 0.002
    block: int = 50
    lies: random.Random = field(factory=lambda: random.Random(1))
    hidden: int = 0
    _run: int = 0
    _at: float = 0.5

    def page(self, offset, count):
        size = len(self.records)
        if self.lie == "drops":
            data = super().page(offset, count)
            kept = [one for one in data["customers"] if self.lies.random() >= self.share]
            self.hidden += len(data["customers"]) - len(kept)
            return {**data, "customers": kept}
        gone = self._hide()
        self.hidden += len(gone)
        whole, churn = self.records, self.churn
        self.records, self.churn = [one for one in whole if one not in gone], None
        data = super().page(offset, count)
        self.records, self.churn = whole, churn
        if self.lie != "hides with total" and "total_items" in data:
            data["total_items"] = size
        if churn is not None:
            churn(self)
        return data

    def _hide(self):
        listed = sorted(self.records)
        if self.lie == "lags" or (self.lie == "replicas" and self.lies.random() < 0.5):
            return set(self.records[-self.block :])
        if not self.lie.startswith("hides"):
            return set()
        if self._run:
            self._run -= 1
        elif self.lies.random() < self.share:
            self._run = self.lies.randrange(4) if self.lie == "hides in runs" else 0
            self._at = self.lies.random()
        else:
            return set()
        start = int(self._at * len(listed))
        return set(listed[start : start + self.block])


@define(kw_only=True)
class LaggingList(ListMachine):
    """A list whose first answers lack some records, which the total counts.

    Attributes:
        lagging: these records.
        until: the number of these answers.
    """

    lagging: set
    until: int

    def page(self, offset, count):
        if self.requests >= self.until:
            return super().page(offset, count)
        whole, churn = self.records, self.churn
        self.records, self.churn = [one for one in whole if one not in self.lagging], None
        data = super().page(offset, count)
        self.records = whole
        data["total_items"] = len(whole)
        self.churn = churn
        churn(self)
        return data
