"""JSON ↔ attrs: msgspec reads exact records, `misfits` mends the others for it, with the same result.

Bodies come whole, as the server sent them: `{"data": …}`. Models carry no rules of their own; the types of their fields
are all the codec needs. `record`, `page` and `encode` are the ways in; the other functions are for odd answers and for
pages that are large.
"""

from carecloud_async._base.codec.answers import convert, data, member, record, require_no_error, structure
from carecloud_async._base.codec.json_text import Malformed
from carecloud_async._base.codec.lists import list_of
from carecloud_async._base.codec.pages import Page, UnreadPage, page, page_slices, unread_page
from carecloud_async._base.codec.raw_json import RawJson, raw_data
from carecloud_async._base.codec.write import encode, unstructure

__all__ = [
    "Malformed",
    "Page",
    "RawJson",
    "UnreadPage",
    "convert",
    "data",
    "encode",
    "list_of",
    "member",
    "page",
    "page_slices",
    "raw_data",
    "record",
    "require_no_error",
    "structure",
    "unread_page",
    "unstructure",
]
