"""JSON ↔ attrs: msgspec reads exact records, `tolerant` reads the others, with the same result.

Bodies come whole, as the server sent them: `{"data": …}`. Models carry no rules of their own; the types of their fields
are all the codec needs.
"""

from carecloud_async._base.codec.malformed import Malformed
from carecloud_async._base.codec.pages import UnreadPage, page, page_slices, unread_page
from carecloud_async._base.codec.raw import raw_page, raw_page_slices
from carecloud_async._base.codec.raw_json import RawJson, raw_data
from carecloud_async._base.codec.read import (
    DecodedPage,
    ListForm,
    SplitPage,
    convert,
    data,
    list_of,
    member,
    record,
    require_no_error,
    split_page,
    structure,
)
from carecloud_async._base.codec.unread import UnreadRecords
from carecloud_async._base.codec.write import encode, unstructure

__all__ = [
    "DecodedPage",
    "ListForm",
    "Malformed",
    "RawJson",
    "SplitPage",
    "UnreadPage",
    "UnreadRecords",
    "convert",
    "data",
    "encode",
    "list_of",
    "member",
    "page",
    "page_slices",
    "raw_data",
    "raw_page",
    "raw_page_slices",
    "record",
    "require_no_error",
    "split_page",
    "structure",
    "unread_page",
    "unstructure",
]
