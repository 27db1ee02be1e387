"""Messages: read models, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, StrEnum

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model
from carecloud_async.models.input_fields import Upload


class UploadMethod(StrEnum):
    """How the file of an attachment is given."""

    URL = "url"
    BASE64 = "base64"


class MessageStatus(IntEnum):
    """Values of `Message.status`."""

    NOT_SENT = 0
    SENT = 1
    RETURNED = -1
    SOFT_BOUNCE = -2
    ERROR = 2
    NO_CONSENT = 4
    RETRY_SCHEDULED = 5


class MessageTemplateGroup(IntEnum):
    """Values of `MessageTemplate.message_template_group_id`."""

    NEWSLETTER = 1
    SYSTEM = 2
    TRANSACTIONAL = 3


@frozen(kw_only=True, repr=False)
class AgreementDefinition(Model):
    """A consent that the project asks for."""

    agreement_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)
    """Name of the agreement."""
    text: str | None = field(default=None, metadata=READ_ONLY)
    withdrawal_text: str | None = field(default=None, metadata=READ_ONLY)
    """Text shown to who withdraws the consent."""
    communication_channel_id: str | None = field(default=None, metadata=READ_ONLY)
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    """Fixed text id of the agreement, the same in all languages."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class Audience(Model):
    """A target group of a campaign."""

    audience_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    communication_channel_id: str | None = None
    state: int | None = None
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    created_by: str | None = field(default=None, metadata=READ_ONLY)
    """Who created it."""
    updated_by: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the user who last changed it."""


@frozen(kw_only=True, repr=False)
class CommunicationChannel(Model):
    """A channel that customers are reached by."""

    communication_channel_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    text_id: str | None = None


@frozen(kw_only=True, repr=False)
class MessageParameter(Model):
    """A parameter of a template."""

    parameter_name: str | None = None
    value: str | None = field(default=None, metadata=PERSONAL)
    """Value of the parameter."""


@frozen(kw_only=True, repr=False)
class Attachment(Model):
    """A file to send with a message."""

    upload_method: str | None = None
    """How the file is given: `url`, `base64` (`UploadMethod`)."""
    file_data: str | None = field(default=None, metadata=PERSONAL)
    """An address, or the file in base64."""
    cache_for: int | None = None
    """Minutes for which the file may be cached."""


@frozen(kw_only=True, repr=False)
class Message(Model):
    """A message to a customer."""

    message_id: str = field(metadata=READ_ONLY)
    status: int | None = field(default=None, metadata=READ_ONLY)
    """What became of the message, a `MessageStatus`."""
    message_template_id: str | None = None
    customer_id: str | None = None
    contact: str | None = field(default=None, metadata=PERSONAL)
    """An e-mail address or phone number, if not the customer's own."""
    title: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """The title."""
    send_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the message was sent, in project-local time."""
    opened_time: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the recipient opened it, in project-local time."""
    mail_client_user_agent: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """User agent of the mail program that opened the message."""
    mail_client_language: str | None = field(default=None, metadata=READ_ONLY)
    """Language of the mail program that opened the message."""
    communication_channel_id: int | None = None
    """Communication channel: 1 email, 2 sms, 4 push, 5 internal, 9 viber (`ChannelNumber`)."""
    message_data: tuple[MessageParameter, ...] = ()
    """Parameters that the template takes."""
    attachments: tuple[Attachment, ...] = ()
    """The attachments."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class AttachmentInfo(Model):
    """A file that came with a message."""

    attachment_format: str | None = None
    """Format of the file."""


@frozen(kw_only=True, repr=False)
class MessageDetail(Model):
    """A message with its bodies."""

    plain_text_body: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Body as plain text."""
    html_body: str | None = field(default=None, metadata=READ_ONLY | PERSONAL)
    """Body as HTML."""
    attachments: tuple[AttachmentInfo, ...] = field(default=(), metadata=READ_ONLY)
    """The attachments."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class MessageTemplate(Model):
    """A template of messages."""

    message_template_id: str = field(metadata=READ_ONLY)
    consent_free_template: bool | None = None
    """Whether it may be sent without any consent."""
    subject: str | None = field(default=None, metadata=READ_ONLY)
    """Subject of the e-mail."""
    sender: str | None = field(default=None, metadata=READ_ONLY)
    """Who it is sent from."""
    name: str | None = field(default=None, metadata=READ_ONLY)
    preview_url: str | None = field(default=None, metadata=READ_ONLY)
    """Address of the preview picture."""
    icon_url: str | None = field(default=None, metadata=READ_ONLY)
    """Address of the icon."""
    message_template_group_id: int | None = field(default=None, metadata=READ_ONLY)
    """Group of the template: 1 newsletter, 2 system, 3 transactional (`MessageTemplateGroup`)."""
    communication_channel_id: int | None = field(default=None, metadata=READ_ONLY)
    """Communication channel: 1 email, 2 sms, 4 push, 5 internal, 9 viber (`ChannelNumber`)."""
    template_data: tuple[MessageParameter, ...] = ()
    """Parameters that the template takes."""
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class MessageParameterInput(Input, reads=MessageParameter):
    """A message parameter to be written; the fields are those of `MessageParameter`."""

    parameter_name: str
    value: str


@frozen(kw_only=True, repr=False)
class AttachmentInput(Input, reads=Attachment):
    """An attachment to be written (JPEG, PNG, GIF or PDF); other fields are those of `Attachment`."""

    upload_method: str
    file_data: Upload
    """An address, with `UploadMethod.URL`. With `UploadMethod.BASE64` at most 1 MB as bytes, a path (`pathlib.Path`), a
    file open in binary mode, or text that is base64 already; `messages.send_message` reads and encodes it."""
    cache_for: int | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class MessageInput(Input, reads=Message):
    """A message to be written; the fields are those of `Message`."""

    message_template_id: str
    customer_id: str
    communication_channel_id: int
    contact: str | Unset | None = UNSET
    message_data: Sequence[MessageParameterInput] | Unset | None = UNSET
    attachments: Sequence[AttachmentInput] | Unset | None = UNSET
