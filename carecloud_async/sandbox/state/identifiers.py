"""Customer ids: 26 hex digits that look random, worked out from a number and back, so that none is kept in memory."""

from __future__ import annotations

from hashlib import blake2b

from carecloud_async.sandbox.constants import FIRST_CUSTOMER_ID

_HALF = 50
_MASK = (1 << _HALF) - 1
_ROUNDS = 4


class CustomerIds:
    """A permutation of numbers into ids (a Feistel network), keyed by the seed.

    A million ids as strings would weigh 75 MB; worked out, they weigh nothing, and their order says nothing about
    the order in which the customers came.

    Args:
        seed: Another seed makes other ids.
    """

    __slots__ = ("_keys",)

    def __init__(self, seed: int) -> None:
        self._keys = [f"customer-id:{seed}:{turn}".encode() for turn in range(_ROUNDS)]

    def id_of(self, slot: int) -> str:
        """The id of the customer with this number."""
        return FIRST_CUSTOMER_ID if slot == 0 else f"{self.number_of(slot):x}"

    def number_of(self, slot: int) -> int:
        """The id as a number: in the same order, and smaller than the text."""
        if slot == 0:
            return int(FIRST_CUSTOMER_ID, 16)
        left, right = slot >> _HALF, slot & _MASK
        for key in self._keys:
            left, right = right, left ^ _mix(key, right)
        return (8 << 2 * _HALF) | (left << _HALF) | right

    def slot_of(self, customer_id: str) -> int | None:
        """The number that an id encodes, even if no customer has it; `None` for a text that cannot be an id."""
        if customer_id == FIRST_CUSTOMER_ID:
            return 0
        if len(customer_id) != 26 or customer_id[0] != "8":
            return None
        try:
            value = int(customer_id[1:], 16)
        except ValueError:
            return None
        left, right = value >> _HALF, value & _MASK
        for key in reversed(self._keys):
            left, right = right ^ _mix(key, left), left
        slot = (left << _HALF) | right
        # Case, underscores and the like read as the same number: only the very text that was given is the id.
        return slot if slot > 0 and self.id_of(slot) == customer_id else None


def _mix(key: bytes, half: int) -> int:
    return int.from_bytes(blake2b(half.to_bytes(7, "big"), key=key, digest_size=7).digest(), "big") & _MASK
