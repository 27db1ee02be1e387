"""Fixes: what to do about an error, as data that Python and the command put into words in their own way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

_SETTING = re.compile(r"\{(\w+)\}")

_SWITCHES = "allow_http allow_shrink allow_unknown overwrite resume"
_ARGUMENTS = (
    "auth columns defaults encoding format ignore_columns into journal list_key match proxy reference results values "
    "verify"
)
#: Reasons of rows stand in files that users of Python and of the command read: one wording has both names.
_OF_ROWS = "as_written date_format decimal phone_prefix"

#: The names of settings in Python, where they differ from the plain ones.
_PYTHON: Final = {
    **{name: f"{name}=True" for name in _SWITCHES.split()},
    **{name: f"{name}=" for name in _ARGUMENTS.split()},
    **{name: f"{name}= (--{name.replace('_', '-')})" for name in _OF_ROWS.split()},
    "all_fields": "with all fields",
    "column": "columns=",
    "credentials": "the credentials",
    "default": "defaults= with ",
    "excel": 'csv=CsvOptions.excel(decimal=",")',
    "no_resume": "with resume=False",
}


@frozen
class Fix:
    """What to do about an error.

    Attributes:
        step: what to do, its settings in braces: `check {project_url} and {proxy}`.
    """

    step: str

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings to change; none if the step changes no setting."""
        return tuple(_SETTING.findall(self.step))

    def worded(self, names: Mapping[str, str], other: Callable[[str], str] = str) -> str:
        """Return the step with each setting under the name that a mapping gives it, or else as `other` writes it."""
        return _SETTING.sub(lambda match: names.get(match[1]) or other(match[1]), self.step)

    def __str__(self) -> str:
        return self.worded(_PYTHON)


ADDRESS = Fix("check {project_url} and the network")
ALLOW_SHRINK = Fix("check the source, or accept it with {allow_shrink}")
ALLOW_REFUSED = Fix("correct the rows, or go on with {resume} and a higher {max_refused}")
AS_WRITTEN = Fix("if it is right, name the column in {as_written}")
COUNT = Fix("the server does not count this list: export it, and count the records")
DATE_FORMAT = Fix("or set {date_format}, such as dd/mm/yyyy")
DECIMAL_COMMA = Fix("for decimal commas set {decimal}")
DEFAULTS = Fix("name a field in {defaults} and {values}")
DATES = Fix("check this machine's clock; if it is right, the project's administrator has to renew the certificate")
DELETE = Fix("delete it to begin again")
CREDENTIALS = Fix("check {credentials}, {external_application_id} and {project_url}")
COLUMNS = Fix("name its field in {columns}, or the column in {ignore_columns}")
COLUMNS_OF_LIST = Fix(f"{COLUMNS.step}; an export shows the names of fields")
FOR_API_USERS = Fix("only API users may call it: pass EnterpriseCredentials as {auth}")
FOR_CUSTOMERS = Fix("only devices and customers may call it: pass a DeviceToken or a CustomerSession as {auth}")
FEWER_AT_ONCE = Fix("make fewer calls at once, or let them wait longer")
GO_ON = Fix("go on with {resume}, or remove the file to begin again")
IDS = Fix("check the ids")
IN_FRONT = Fix(
    "check {proxy} and that {project_url} is that of a CareCloud project; if both are right, try again later"
)
INTO = Fix("correct the type given as {into}")
INTERFACE = Fix("ask the administrator for an application that may use this interface")
PROXY = Fix("check {proxy} or HTTPS_PROXY")
LIST_KEY = Fix("name one with client.listing(…, {list_key}…)")
LOOK_FIRST = Fix("it may have happened, look before sending it again")
NAME_DATES = Fix("write {date_format} with dd, mm and yy or yyyy, as in dd/mm/yyyy")
NAME_PREFIX = Fix("write {phone_prefix} as in +420")
NO_HOST = Fix("check {project_url} and {proxy}")
NO_TOKEN = Fix("check {project_url} and the network; the log has the attempts of the login")
NOT_THE_API = Fix("check that {project_url} is that of a CareCloud project; if it is, try again later")
NOTHING_ANSWERS = Fix("check {project_url}, the port and the network")
OUTBOX_DAMAGED = Fix("keep a copy, then remove it to begin again: what waited in it is not sent")
OUTBOX_FULL = Fix("free some space and try again; what was put before is kept")
OUTBOX_KEY_IN_USE = Fix("give this call another key, or drop that entry first if it has failed")
OUTBOX_MOVED = Fix("put it back with its -wal file, or open the outbox again: nothing more is stored until then")
OTHER_JOURNAL = Fix("name another place in {journal}, or make this one writable")
OTHER_PLACE = Fix("choose another place, or make this one writable")
OVERWRITE = Fix("pass {overwrite} to replace it")
PERMISSION = Fix("ask the administrator for the right")
PHONE_PREFIX = Fix("set {phone_prefix}, such as +420")
PRIVATE_CA = Fix("for a private CA set {verify} to its file")
PROJECT_URL = Fix("check {project_url}")
REMOVE_JOURNAL = Fix("remove the file to begin again: rows that were written are found by their keys")
RESEND_BILL = Fix(
    "it may have been recorded: some minutes later call workflows.resend_purchase, which looks it up first, or put it "
    "into an outbox (client.outbox), which does that by itself"
)
RESTART = Fix("export {no_resume} to begin again")
RESUME = Fix("free some space and go on with {resume}")
REVOKED = Fix(
    "try again in a minute; if it lasts, ask the administrator what ends the tokens, or whether this call is allowed"
)
ROOM = Fix("free some space and run it again")
SHORTER_ANSWERS = Fix("read less at once, with a smaller {count}, or raise {max_response_bytes}")
SLOW_DOWN = Fix("try again later, with a lower {requests_per_second}")
SMALLER_PAGES = Fix("try again, with a smaller {count} if pages are slow")
TLS = Fix("check {project_url}, {proxy} and {verify}")
TRY_LATER = Fix("try again later")
UNKNOWN_FIELD = Fix("if the server sends it, {allow_unknown} accepts it")
VALUES = Fix("correct the values of the parameters in brackets")
