"""`UNSET`, the default of every optional input field: not named, as opposed to null and to empty.

It is defined in the codec, which omits it when it writes.
"""

from carecloud_async._base.codec.unset import UNSET, Unset

__all__ = ["UNSET", "Unset"]
