# pyright: reportReturnType=false
"""`client.agreements`, `client.audiences` and 4 more families."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, gets, lists, posts
from carecloud_async.resources.uploads import encode_attachments

if TYPE_CHECKING:
    from carecloud_async.models import *


class Agreements(Resource, call="agreements"):
    """The consents that the project asks customers for."""

    @lists("getConsents", "/agreements", id_field="agreement_id")
    def list(
        self, *, communication_channel_id: str | None = None, text_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[AgreementDefinition]:
        """List agreements by communication channel and fixed `text_id` (`GET /agreements`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getConsent", "/agreements/{agreement_id}")
    async def get(self, agreement_id: str) -> AgreementDefinition:
        """Return the agreement with this id (`GET /agreements/{agreement_id}`)."""


class Audiences(Resource, call="audiences"):
    """The target groups of campaigns."""

    @lists("getAudiences", "/audiences", id_field="audience_id", interfaces=ENTERPRISE_ONLY)
    def list(
        self, *, name: str | None = None, communication_channel_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[Audience]:
        """List audiences by part of the `name` and by communication channel (`GET /audiences`). Enterprise API only.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getAudience", "/audiences/{audience_id}", interfaces=ENTERPRISE_ONLY)
    async def get(self, audience_id: str) -> Audience:
        """Return the audience with this id (`GET /audiences/{audience_id}`). Enterprise API only."""


class CommunicationChannels(Resource, call="communication_channels"):
    """The channels that reach customers, such as e-mail."""

    @lists("getCommunicationChannels", "/communication-channels", id_field="communication_channel_id", authorized=False)
    def list(self, **paging: Unpack[Paging]) -> Listing[CommunicationChannel]:
        """List communication channels (`GET /communication-channels`). Needs no token.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getCommunicationChannel", "/communication-channels/{communication_channel_id}", authorized=False)
    async def get(self, communication_channel_id: str) -> CommunicationChannel:
        """Return the communication channel with this id (`GET /communication-channels/{communication_channel_id}`).

        Needs no token.
        """


class Messages(Resource, call="messages"):
    """The messages that were sent to customers; sends new ones."""

    @lists("getMessages", "/messages", id_field="message_id")
    def list(
        self,
        *,
        customer_id: str | None = None,
        contact: str | None = None,
        communication_channel_id: str | None = None,
        send_time_from: datetime | str | None = None,
        send_time_to: datetime | str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Message]:
        """List messages that match all filters (`GET /messages`).

        Args:
            customer_id: id of the customer.
            contact: the e-mail address or phone number it was sent to.
            communication_channel_id: id of the communication channel.
            send_time_from: from this time on.
            send_time_to: until this time.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getMessage", "/messages/{message_id}")
    async def get(self, message_id: str) -> Message:
        """Return the message with this id (`GET /messages/{message_id}`)."""

    @gets("getSubMessageDetail", "/messages/{message_id}/detail")
    async def detail(self, message_id: str) -> MessageDetail:
        """Return the content of the message with this id (`GET /messages/{message_id}/detail`)."""

    @posts("postMessageSend", "/messages/actions/send-message", interfaces=ENTERPRISE_ONLY, prepare=encode_attachments)
    async def send_message(self, message: MessageInput) -> None:
        """Send a message to a customer (`POST /messages/actions/send-message`). Enterprise API only.

        Attachments with `UploadMethod.BASE64` are read and encoded; see `AttachmentInput`.

        Raises:
            ConfigurationError: an attachment is empty, larger than 1 MB or cannot be read; nothing was sent.
        """


class MessageTemplates(Resource, call="message_templates"):
    """The templates of messages."""

    @lists("getMessageTemplates", "/message-templates", id_field="message_template_id")
    def list(
        self, *, name: str | None = None, communication_channel_id: str | None = None, **paging: Unpack[Paging]
    ) -> Listing[MessageTemplate]:
        """List message templates by part of the `name` and by communication channel (`GET /message-templates`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getMessageTemplate", "/message-templates/{message_template_id}")
    async def get(self, message_template_id: str) -> MessageTemplate:
        """Return the message template with this id (`GET /message-templates/{message_template_id}`)."""


class OneTimePassword(Resource, call="one_time_password"):
    """One-time passwords that are sent to customers."""

    @posts("postSendOtp", "/one-time-password/actions/send", unwrap="request_id")
    async def send(
        self,
        *,
        external_application_id: str,
        communication_channel_id: int,
        recipient: str,
        otp_type: int | None = None,
        message_template_id: str | None = None,
    ) -> str:
        """Send a one-time password and return the request's id for `verify` (`POST /one-time-password/actions/send`).

        Args:
            external_application_id: id of the application.
            communication_channel_id: see `ChannelNumber`.
            recipient: where to send it, as the channel wants it.
            otp_type: see `CodeType`.
            message_template_id: id of the message template.
        """

    @posts("postVerifyOtp", "/one-time-password/actions/verify", unwrap="is_valid")
    async def verify(self, *, verification_code: str, request_id: str, external_application_id: str) -> bool:
        """Return whether a one-time password is right; it works once and within an hour.

        `POST /one-time-password/actions/verify`.

        Args:
            verification_code: the code that the recipient received.
            request_id: id of the request that sent the code.
            external_application_id: id of the application.
        """
