"""A plan for reading a list that gives other numbers at every request: no record may be lost by it."""


class ErraticPlan:
    """See `carecloud_async._lists.paging.page_plan.PagePlan`.

    Args:
        dice: the source of randomness.
        most: the largest page.
        failing: the part of the requests that ask for less in the end.
    """

    is_fixed = False

    def __init__(self, dice, *, most, failing=0.2):
        self._dice = dice
        self._most = most
        self._failing = failing

    @property
    def width(self):
        return self._dice.randint(1, 6)

    @property
    def count(self):
        return self._dice.randint(1, self._most)

    @property
    def spare(self):
        return self._dice.randint(0, 3)

    async def request(self, wanted, send):
        asked = self._dice.randint(1, wanted) if self._dice.random() < self._failing else wanted
        return asked, (await send(asked, self._dice.random() < 0.5)).page
