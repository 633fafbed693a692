"""The transcript backfill: what was said before a reply, from the provider's own API; one file for each provider.

Every message of an answer is put into the words of the provider's webhooks and read by the source's own adapter, so
keys, channels and what is ignored are the same whichever way a message comes, and nothing is kept twice.

An API key is in no log line, no error and no ``repr``; httpx's client would log addresses, and one provider wants its
key in there, so httpx's transport is used alone.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BeforeValidator

from leadjobs.channels import PayloadT, clean, read_as
from leadjobs.errors import MalformedWebhookError, ProviderRefusedError, ProviderUnavailableError, SettingsError
from leadjobs.leads.inbound import Adapter, Delivery, Inbound, Outbound

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_MESSAGES: Final = 50
"""How many messages before a reply are told, the newest."""

MAX_SECONDS: Final = 10.0
MAX_BYTES: Final = 5_000_000

_SAME_MOMENT = timedelta(minutes=1)
_BUSY_STATUS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def _plain(value: object) -> object:
    return clean(value) if isinstance(value, str) else value if isinstance(value, int | float) else None


Plain = Annotated[object, BeforeValidator(_plain)]
"""What is handed on to the adapter as it is; None where it is no text and no number."""


class Api:
    """One provider's API; ``headers`` and ``params`` go with every request, and the key is in one of them.

    Raises:
        SettingsError: the address cannot be one, or the key cannot be sent.
    """

    def __init__(
        self,
        source: str,
        url: str,
        *,
        api_key: str,
        headers: Callable[[str], Mapping[str, str]] = lambda _: {},
        params: Callable[[str], Mapping[str, str]] = lambda _: {},
    ) -> None:
        self.source = source
        self._url = _checked_url(source, url)
        key = _checked_key(source, api_key)
        self._headers = {"accept": "application/json", "user-agent": "leadjobs", **headers(key)}
        self._params = params(key)
        self._ssl: ssl.SSLContext | None = None

    async def get(self, *path: str, model: type[PayloadT], **params: str) -> PayloadT:
        """The answer to a GET of ``path`` (its parts), as ``model``.

        Raises:
            ProviderUnavailableError: the provider is busy or down, or the connection failed.
            ProviderRefusedError: it refuses, or its answer is not what it documents; the message names the field.
        """
        if not all(part.strip(".") for part in path):
            raise ProviderRefusedError(f"{self.source}: the delivery names a conversation that cannot be one")
        query = urlencode({**params, **self._params})
        status, body = await self._send(f"{self._url}/{'/'.join(quote(part, safe='') for part in path)}?{query}")
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise ProviderRefusedError(f"{self.source} refused to tell the conversation: HTTP {status}")
        try:
            return read_as(self.source, model, json.loads(body))
        except MalformedWebhookError as error:
            raise ProviderRefusedError(str(error)) from None
        except (ValueError, RecursionError):
            raise ProviderRefusedError(f"{self.source}: the answer is not JSON") from None

    async def _send(self, url: str) -> tuple[int, bytes]:
        if self._ssl is None:
            self._ssl = await asyncio.to_thread(_new_ssl_context)
        import httpx  # noqa: PLC0415  the thread has imported it by now

        request = httpx.Request("GET", url, headers=self._headers)
        try:
            async with httpx.AsyncHTTPTransport(verify=self._ssl) as transport:
                response = await transport.handle_async_request(request)
                try:
                    self._check_available(response)
                    return response.status_code, await self._body(response)
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            problem = f"the connection to {self.source} failed: {type(error).__name__}"
            raise ProviderUnavailableError(problem) from None

    def _check_available(self, response: "httpx.Response") -> None:
        status = response.status_code
        if status in _BUSY_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            retry_after = _seconds(response.headers.get("retry-after"))
            raise ProviderUnavailableError(f"{self.source} is not available: HTTP {status}", retry_after=retry_after)

    async def _body(self, response: "httpx.Response") -> bytes:
        """The body as it came: no compression was asked for, so a small answer cannot swell."""
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ProviderRefusedError(f"{self.source}: the answer is over {MAX_BYTES:,} bytes")
        return bytes(body)


Asking = Callable[[Api, Inbound, bytes], Awaitable[tuple[bytes, ...]]]
"""Asks for the conversation of a reply, whose kept body is given; returns its messages, each as a webhook's body.

Nothing where the delivery does not name the conversation.
"""


@dataclass(frozen=True, slots=True)
class ApiHistory:
    """A provider's memory of conversations (the ``History`` of its source)."""

    adapter: Adapter
    api: Api
    ask: Asking

    async def earlier(self, delivery: Delivery, *, time_left: float) -> tuple[Inbound | Outbound, ...]:
        """The messages before the reply that this kept delivery brought, with the keys its webhooks give them.

        Nothing where it brought no words, or does not name the conversation.

        Raises:
            ProviderUnavailableError: the provider is busy, down or slow.
            ProviderRefusedError: it refuses, or its answer is not what it documents.
        """
        reply = self._reply(delivery)
        if reply is None:
            return ()
        seconds = min(MAX_SECONDS, time_left)
        try:
            async with asyncio.timeout(seconds):
                bodies = await self.ask(self.api, reply, delivery.body)
                # In a thread, for a hundred HTML mails take a while.
                told = await asyncio.to_thread(self._read, delivery, bodies)
        except TimeoutError:
            problem = f"{self.api.source} did not answer within {max(seconds, 0):.1f} s"
            raise ProviderUnavailableError(problem) from None
        return before(reply, told)

    def _reply(self, delivery: Delivery) -> Inbound | None:
        try:
            meaning = self.adapter.read(delivery)
        except MalformedWebhookError:  # kept by a release that read it otherwise
            return None
        return meaning if isinstance(meaning, Inbound) and meaning.text else None

    def _read(self, delivery: Delivery, bodies: Iterable[bytes]) -> list[Inbound | Outbound]:
        try:
            meanings = [self.adapter.read(replace(delivery, body=body)) for body in bodies]
        except MalformedWebhookError as error:
            raise ProviderRefusedError(str(error)) from None
        return [meaning for meaning in meanings if isinstance(meaning, Inbound | Outbound)]


def before(reply: Inbound, told: Iterable[Inbound | Outbound]) -> tuple[Inbound | Outbound, ...]:
    """The newest of what was said before the reply, oldest first, each message once.

    The reply itself is known by its key or, where its delivery had none of the provider's, by its words and time.  A
    message without a time is left out: it would be taken for one of now.
    """
    timed = sorted(((message.sent_at, message) for message in told if message.sent_at), key=lambda pair: pair[0])
    by_key = [sent_at for sent_at, message in timed if message.message_key == reply.message_key]
    by_words = [
        sent_at
        for sent_at, message in timed
        if isinstance(message, Inbound)
        and message.text == reply.text
        and (reply.sent_at is None or abs(sent_at - reply.sent_at) < _SAME_MOMENT)
    ]
    itself = next(iter(by_key or by_words[-1:]), reply.sent_at)
    earlier = {message.message_key: message for sent_at, message in timed if itself is None or sent_at < itself}
    return tuple(earlier.values())[-MAX_MESSAGES:]


def as_body(**fields: Any) -> bytes:
    """The body of a webhook that says this; what is None is left out."""
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def _checked_url(source: str, text: str) -> str:
    """The address without a slash at its end; a host alone is one at https."""
    given = text.strip()
    url = (given if "://" in given else f"https://{given}").rstrip("/")
    try:
        parts = urlsplit(url)
        is_host = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
        is_address = is_host and _is_plain(url) and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingsError(f"LEADJOBS_{source.upper()}_API_URL is no address: give it scheme and host of the API")
    return url


def _checked_key(source: str, text: str) -> str:
    key = text.strip()
    if not key or not _is_plain(key):
        raise SettingsError(f"LEADJOBS_{source.upper()}_API_KEY cannot be sent: copy it from the provider again")
    return key


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _new_ssl_context() -> "ssl.SSLContext":
    import httpx  # noqa: PLC0415  a tenth of a second, and the certificates as much again

    return httpx.create_ssl_context()


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header; None without a sensible number of them."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
