"""JSON ↔ attrs: msgspec reads exact records, and the others after `misfits` has mended them.

Bodies come whole, as the server sent them: `{"data": …}`. Models carry no rules of their own; the types of their fields
are all the codec needs. There are three ways in: `record`, `page` and `encode`. The modules have their variants, for
odd answers and for pages that are large.
"""

from carecloud_async._base.codec.answers import record
from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.codec.pages import Page, page
from carecloud_async._base.codec.write import encode

__all__ = ["Malformed", "Page", "encode", "page", "record"]
