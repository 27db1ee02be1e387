"""What each finding of a check means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_EXACT: Final = "look at report.exact after exports"
_DECIDE: Final = "to be sure, change a record in CareCloud and run the check again within ten minutes"

#: By the name of a finding: what the assumption means for exports, bulk writes and tokens.
MEANS: Final[Mapping[str, str]] = {
    "settings": "the settings can work; whether they fit this project is below",
    "tls": "another server can pose as the project, and get the password, tokens and records",
    "proxy": "a proxy can answer in place of CareCloud, and cut large answers",
    "login": "without a login no export, bulk write or call can work",
    "families": "exports of families that cannot be read fail, and so do bulk writes that look records up there",
    "second_login": "processes without a shared token store end each other's tokens",
    "page_cap": "exports take more requests; reads of your own must go on by the number of records that came",
    "offset": "exports and iteration end with an error before their last record",
    "end": "exports and iteration look there for the end if the total may be wrong",
    "order": "if pages do not fit together, iteration can miss records or give them twice",
    "sort": "without a sort, changed_since= and state= read whole lists",
    "filters": "lists and exports hold other records too, and bulk writes stop",
    "empty_list": "a filter that finds nothing, and a look-up of a new row, raise an error",
    "totals": "total(), progress and the end of exports go by it",
    "notes": "bulk writes and outboxes look for the note of an operation whose answer was lost, or it may happen twice",
    "change_times": "changed_since=, state= and changes go by these times, and take a record without one each time",
    "page_size": "if pages leave out records, or totals count what this user may not see, exports may not be exact",
    "unknown_fields": "reads leave unknown fields out, exports and update() keep them, a plain replace deletes them",
    "unknown_values": "reads and exports give an unknown value as it is",
    "compression": "exports transfer several times as much",
    "timezone": "changed_since, watermarks of exports and the end of tokens are read in this zone",
    "token_life": "a token is renewed before its end, which is taken to be after 7 hours if it is not known",
    "answers": "it cannot be read, and after a write it is not known whether it happened",
    "clock": "tokens and watermarks of exports go by the server's Date, timestamps of your code by the host's clock",
    "rate_limit": "exports and bulk writes find the limit and slow down",
    "failures": "reads are repeated, but a write whose answer is lost ends in OutcomeUnknownError or as unknown",
    "latency": "exports and bulk writes take long",
}
#: What to do if the assumption does not hold, or is not known.
FIXES: Final[Mapping[str, str]] = {
    "settings": "run it again",
    "tls": "use an https:// address, and set verify= to the file of a private CA",
    "proxy": "look at the settings of that client",
    "login": "call client.login() to see the error",
    "families": "ask the administrator for the rights, and after a 401 whether another program ends the token",
    "second_login": "share one token store between all processes (RedisTokenStore, FileTokenStore)",
    "page_cap": "nothing needs to be set, but ask for a higher cap if exports are slow",
    "offset": "read such a list in parts, by filters, and tell the administrator",
    "end": _EXACT,
    "order": "export when the project is quiet, and look at report.exact",
    "sort": "export whole lists, without changed_since= and state=",
    "filters": "compare the records yourself after filtering, and tell the administrator",
    "empty_list": "create new records one by one, and tell the administrator",
    "totals": f"do not rely on total(), and {_EXACT}",
    "notes": "write points and credits one by one, and tell the administrator",
    "change_times": f"report the form of the field, and export whole lists; {_DECIDE}",
    "page_size": "ask the administrator what this user may not see, and look at report.exact",
    "unknown_fields": "update carecloud-async, report the fields' names, and read them with .raw()",
    "unknown_values": "let your code expect other values, update carecloud-async, and report the fields' names",
    "compression": "ask the administrator to turn gzip on",
    "timezone": f"set timezone= to the project's zone; {_DECIDE}",
    "token_life": "ask the administrator how long tokens live, and share a token store between processes",
    "answers": "check project_url, and let the proxy or firewall pass requests (NO_PROXY)",
    "clock": "set this host's clock by NTP, and let the proxy pass the Date header",
    "rate_limit": "set RateLimit(requests_per_second=…) if the limit is known; RedisRateLimit for several processes",
    "failures": "check the network and the proxy, or tell the administrator",
    "latency": "run near the project, cache reference data, and export at night",
}
