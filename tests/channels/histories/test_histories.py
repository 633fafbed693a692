"""What holds for every provider's history: what is told, how much, how long, and what goes wrong how."""

import asyncio
import json
import logging
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.channels.histories.apis import KEY, PROVIDERS, UNIPILE, Provider

from leadjobs.channels.histories import MAX_BYTES, MAX_MESSAGES, ApiHistory
from leadjobs.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError, SettingsError
from leadjobs.leads.inbound import Inbound, Outbound
from leadjobs.testing.clay import Refusal, Silence
from leadjobs.testing.providers import Body, ProvidersStandIn
from leadjobs.testing.serve import serve

each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.source)
odd_text = st.text(st.characters(codec=None))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def histories(apis_url: str) -> dict[str, ApiHistory]:
    """One of each, which read certificates once."""
    return {provider.source: provider.history(apis_url) for provider in PROVIDERS}


@each_provider
async def test_our_message_before_the_reply_is_told_with_the_key_of_its_webhook(
    provider: Provider, apis: ProvidersStandIn, apis_url: str
) -> None:
    """Who wrote what, when and to whom is read as the webhooks' adapter reads it."""
    apis.answers[provider.path] = {provider.field: [provider.said("Shall we call you?")]}

    (told,) = await provider.history(apis_url).earlier(provider.delivery(), time_left=10)

    assert isinstance(told, Outbound)
    assert ("Shall we call you?", "2026-11-22T09:01:00+00:00") == (told.text, str(told.sent_at).replace(" ", "T"))
    reply = provider.history(apis_url).adapter.read(provider.delivery())
    assert isinstance(reply, Inbound)
    assert (reply.recipient, reply.sender) == (told.sender, told.recipient)
    assert set(told.identities) & set(reply.identities)


@each_provider
async def test_a_message_of_theirs_is_inbound(provider: Provider, apis: ProvidersStandIn, apis_url: str) -> None:
    """What the lead said before comes back as theirs, so that a request to stop in it is heard."""
    apis.answers[provider.path] = {provider.field: [provider.said("Who are you?", ours=False)]}

    (told,) = await provider.history(apis_url).earlier(provider.delivery(), time_left=10)

    assert isinstance(told, Inbound)
    reply = provider.history(apis_url).adapter.read(provider.delivery())
    assert isinstance(reply, Inbound)
    assert ("Who are you?", reply.sender, reply.recipient) == (told.text, told.sender, told.recipient)


@each_provider
async def test_the_newest_fifty_before_the_reply_are_told_oldest_first(
    provider: Provider, apis: ProvidersStandIn, apis_url: str
) -> None:
    """More is cut at the old end, whatever the order of the answer; what came after the reply is not told."""
    said = [provider.said(f"words {number}", number) for number in (*range(30, 0, -1), *range(31, 59))]
    later = {"timestamp": "2026-11-22T10:00:01Z", "time": "2026-11-22T10:00:01Z", "dateAdded": "2026-11-22T10:00:01Z"}
    apis.answers[provider.path] = {provider.field: [provider.said("later", 59) | later, *said]}

    told = await provider.history(apis_url).earlier(provider.delivery(), time_left=10)

    assert [f"words {number}" for number in range(59 - MAX_MESSAGES, 59)] == [message.text for message in told]


@each_provider
async def test_a_message_twice_or_without_a_time_or_words_is_not_told(
    provider: Provider, apis: ProvidersStandIn, apis_url: str
) -> None:
    """Each message once; one without a time would be taken for one of now."""
    timeless = {"timestamp": None, "time": None, "dateAdded": "yesterday"}
    wordless = {"text": None, "email_body": None, "body": None}
    said = [provider.said("Hi"), provider.said("Hi"), provider.said("when?", 2) | timeless, provider.said("", 3)]
    apis.answers[provider.path] = {provider.field: [*said, provider.said("", 4) | wordless]}

    told = await provider.history(apis_url).earlier(provider.delivery(), time_left=10)

    assert ["Hi"] == [message.text for message in told]


@each_provider
@pytest.mark.parametrize("fields", [{}, {"event": "unknown", "event_type": "unknown", "type": "unknown"}])
async def test_without_a_reply_nobody_is_asked(
    provider: Provider, apis: ProvidersStandIn, apis_url: str, fields: dict[str, str]
) -> None:
    """A delivery that cannot be read any more, or brought no words, has no conversation to ask for."""
    wordless: dict[str, object] = {
        "message": None,
        "body": "",
        "reply_message": {},
        "reply_body": None,
        "preview_text": None,
    }
    delivery = provider.delivery(**(fields or wordless))

    assert () == await provider.history(apis_url).earlier(delivery, time_left=10)
    assert [] == apis.asked


@each_provider
async def test_a_body_that_is_no_webhook_any_more_asks_nobody(provider: Provider, apis_url: str) -> None:
    """What a former release kept is not in the way."""
    delivery = provider.delivery(account_id=..., event_type=..., locationId=...)

    assert () == await provider.history(apis_url).earlier(delivery, time_left=10)


@each_provider
@pytest.mark.parametrize("status", [401, 403, 404, 400, 301, 304])
async def test_what_will_not_change_is_a_refusal(
    provider: Provider, apis: ProvidersStandIn, apis_url: str, status: int
) -> None:
    """A redirect too: the key goes to nobody else."""
    apis.then(Refusal(status=status, headers={"location": f"{apis_url}{provider.path}"}))

    with pytest.raises(
        ProviderRefusedError, match=f"{provider.source} refused to tell the conversation: HTTP {status}"
    ):
        await provider.history(apis_url).earlier(provider.delivery(), time_left=10)
    assert [provider.path] == apis.asked


@each_provider
@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_what_may_pass_is_unavailable(
    provider: Provider, apis: ProvidersStandIn, apis_url: str, status: int
) -> None:
    """The provider is busy or down; it may say for how long."""
    apis.then(Refusal(status=status, headers={"retry-after": "7"}))

    with pytest.raises(ProviderUnavailableError, match=f"{provider.source} is not available: HTTP {status}") as caught:
        await provider.history(apis_url).earlier(provider.delivery(), time_left=10)
    assert caught.value.retry_after == 7


@each_provider
async def test_a_wrong_key_is_refused_and_shown_nowhere(
    provider: Provider, apis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the error nor its cause, nor a log line, nor the repr of anything has the key."""
    caplog.set_level(logging.DEBUG)
    history = provider.history(apis_url, "hush-hush-key")

    with pytest.raises(ProviderRefusedError, match="HTTP 401") as caught:
        await history.earlier(provider.delivery(), time_left=10)

    assert caught.value.__cause__ is None
    assert "hush" not in f"{caught.value} {caplog.text} {history!r} {history.api!r}"


@each_provider
async def test_a_key_with_a_stray_newline_is_the_key(provider: Provider, apis: ProvidersStandIn, apis_url: str) -> None:
    """White space around a key is the commonest mistake."""
    apis.answers[provider.path] = {provider.field: []}

    assert () == await provider.history(apis_url, f" {KEY}\n").earlier(provider.delivery(), time_left=10)


@pytest.mark.parametrize("api_key", ["", " \n", "two words", "schlüssel", "a\nb"])
def test_a_key_that_cannot_be_sent_is_a_settings_error(api_key: str) -> None:
    """The error names the setting, and never the key."""
    with pytest.raises(SettingsError, match="LEADJOBS_UNIPILE_API_KEY") as caught:
        UNIPILE.history("https://api1.unipile.com:13111", api_key)
    assert not api_key.strip() or api_key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x.example", "https://", "https://x.example:99999", "https://x.example/?a=1", "https://x.example/a b"],
)
def test_an_address_that_is_none_is_a_settings_error(url: str) -> None:
    """Wrong scheme, no host, no port that there is, or a query."""
    with pytest.raises(SettingsError, match="LEADJOBS_UNIPILE_API_URL"):
        UNIPILE.history(url)


@each_provider
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (Body(b"<html>502</html>", "text/html"), "the answer is not JSON"),
        (Body(b'{"items": [{"id": "1", "te'), "the answer is not JSON"),
        (Body(b"\xff"), "the answer is not JSON"),
        (Body(b"[" * 100_000), "the answer is not JSON"),
        (Body(b""), "the answer is not JSON"),
        (Body(b" " * (MAX_BYTES + 1)), "the answer is over 5,000,000 bytes"),
        (Body(b"{}"), "{field} is missing"),
        (Body(b'{"items": null, "history": null, "messages": null}'), "{field} is null"),
        (Body(b'{"items": [{}], "history": [{}], "messages": [{}]}'), r"{field}\[0\]\.(id|type) is missing"),
    ],
    ids=["html", "half", "no UTF-8", "deep", "empty", "large", "no field", "null", "no id"],
)
async def test_an_unreadable_answer_is_refused_by_the_name_of_what_is_wrong(
    provider: Provider, apis: ProvidersStandIn, apis_url: str, body: Body, problem: str
) -> None:
    """Half an answer tells nothing, rather than half a conversation."""
    apis.then(body)

    with pytest.raises(ProviderRefusedError, match=f"{provider.source}: {problem.format(field=provider.field)}"):
        await provider.history(apis_url).earlier(provider.delivery(), time_left=10)


@each_provider
async def test_a_slow_answer_is_unavailable_when_the_time_is_up(
    provider: Provider, apis: ProvidersStandIn, apis_url: str
) -> None:
    """The time that the job has left is all the time there is."""
    history = provider.history(apis_url)
    apis.answers[provider.path] = {provider.field: []}
    await history.earlier(provider.delivery(), time_left=10)  # certificates are read once
    apis.then(Silence())
    started = time.monotonic()

    with pytest.raises(ProviderUnavailableError, match=rf"{provider.source} did not answer within 0\.2 s"):
        await history.earlier(provider.delivery(), time_left=0.2)
    assert time.monotonic() - started < 2


async def test_without_time_left_nobody_waits(apis_url: str) -> None:
    """A job that is late already is told so at once."""
    with pytest.raises(ProviderUnavailableError, match=r"did not answer within 0\.0 s"):
        await UNIPILE.history(apis_url).earlier(UNIPILE.delivery(), time_left=-3)


@each_provider
async def test_a_connection_that_fails_is_unavailable(provider: Provider) -> None:
    """Nobody listens there; the error names the kind of failure and not the address."""
    with serve(ProvidersStandIn()) as gone:
        pass

    with pytest.raises(ProviderUnavailableError, match=f"connection to {provider.source} failed: ConnectError") as no:
        await provider.history(gone).earlier(provider.delivery(), time_left=10)
    assert no.value.__cause__ is None


@each_provider
async def test_a_conversation_that_is_a_path_is_quoted_and_one_of_dots_refused(
    provider: Provider, apis: ProvidersStandIn, apis_url: str
) -> None:
    """What a delivery says cannot lead the key's request elsewhere."""
    named = {"chat_id": "a/../b?c", "campaign_id": "a/../b?c", "conversationId": "a/../b?c"}
    with pytest.raises(ProviderRefusedError, match="HTTP 404"):
        await provider.history(apis_url).earlier(provider.delivery(**named), time_left=10)
    assert "a%2F..%2Fb%3Fc" in apis.asked[0].split("/")

    with pytest.raises(ProviderRefusedError, match="names a conversation that cannot be one"):
        await provider.history(apis_url).earlier(provider.delivery(**dict.fromkeys(named, "..")), time_left=10)
    assert len(apis.asked) == 1


@st.composite
def answers(draw: st.DrawFn) -> tuple[Provider, object]:
    """Any JSON, or a list of messages of which some parts are anything."""
    provider = draw(st.sampled_from(PROVIDERS))
    if draw(st.booleans()):
        return provider, draw(values)
    message = provider.said("Hi", ours=draw(st.booleans()))
    changed = draw(st.dictionaries(st.sampled_from(sorted(message)), values, max_size=4))
    return provider, {provider.field: [message | changed, draw(values)][: draw(st.integers(1, 2))]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(answers())
def test_any_json_is_told_or_an_error_of_the_provider(
    apis: ProvidersStandIn, histories: dict[str, ApiHistory], answer: tuple[Provider, object]
) -> None:
    """No JSON makes a history raise anything but a ProviderError, and what is told can be kept."""
    provider, value = answer
    apis.then(Body(json.dumps(value).encode()))

    try:
        told = asyncio.run(histories[provider.source].earlier(provider.delivery(), time_left=10))
    except ProviderError:
        return
    for message in told:
        assert message.sent_at is not None
        assert message.text
        assert "\0" not in f"{message.text}{message.subject}{message.message_key}{message.sender}{message.recipient}"
        assert len(message.message_key.encode()) < 2704
