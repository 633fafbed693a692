"""What the adapters share: what holds for any delivery."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.channels.emailbison import EmailBison
from leadjobs.channels.gohighlevel import GoHighLevel
from leadjobs.channels.instantly import Instantly
from leadjobs.channels.postmark import Postmark
from leadjobs.channels.sendgrid import SendGrid
from leadjobs.channels.smartlead import SmartLead
from leadjobs.channels.standard_webhooks import StandardWebhooks
from leadjobs.channels.twilio import Twilio
from leadjobs.channels.unipile import Unipile
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Adapter, Delivery, Ignored, Inbound, Outbound, Told
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
SECRET = "a-secret-that-nobody-guesses"
PUBLIC_KEY = "MCowBQYDK2VwAyEAekS8etenLaufg8S6RwH1MvRTENVJE2/DAzsKl7yDmrI="


def adapters(secrets: Secrets, public_keys: tuple[str, ...] = ()) -> tuple[Adapter, ...]:
    return (
        Twilio(secrets),
        GoHighLevel(secrets, public_keys),
        Unipile(secrets),
        SmartLead(secrets),
        Instantly(secrets),
        EmailBison(secrets),
        Postmark(secrets),
        SendGrid(secrets),
        StandardWebhooks(secrets),
    )


ADAPTERS = adapters(Secrets.parse(SECRET), (PUBLIC_KEY,))
WITHOUT = adapters(Secrets())
HEADERS = (
    "x-twilio-signature",
    "authorization",
    "x-twilio-webhooks-signature-settings",
    "x-ghl-signature",
    "x-leadjobs-token",
    "unipile-auth",
    "unipile-signature",
    "x-unipile-secret",
    "x-smartlead-secret",
    "x-smartlead-signature",
    "x-instantly-secret",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
)
OBJECTS = [json.loads(path.read_bytes()) for path in sorted(SAMPLES.glob("*.json")) if path.name != "_index.json"]

anyone = st.sampled_from(ADAPTERS)
odd_text = st.text(st.characters(codec=None))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | odd_text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3), max_leaves=8
)


def delivery(adapter: Adapter, body: bytes, url: str = "https://x.example/hook", **headers: str) -> Delivery:
    return Delivery(source=adapter.source, url=url, headers=headers, body=body)


def check(adapter: Adapter, body: bytes) -> None:
    """``read`` says the same twice, with keys that PostgreSQL can hold, or that the body is malformed."""
    try:
        meaning = adapter.read(delivery(adapter, body))
    except MalformedWebhookError:
        return
    assert adapter.read(delivery(adapter, body)) == meaning
    assert isinstance(meaning, Inbound | Outbound | Ignored)
    keys = [meaning.delivery_key, *meaning.tenant_keys]
    if isinstance(meaning, Told):
        assert meaning.identities
        keys += [meaning.message_key, *(identity.value for identity in meaning.identities)]
        kept = [meaning.text, meaning.sender, meaning.recipient, meaning.subject or "", meaning.person.first_name or ""]
        assert not any("\0" in text for text in kept)
        assert all(text.encode() is not None for text in kept)
        assert meaning.sent_at is None or meaning.sent_at.tzinfo is not None
    assert meaning.source == adapter.source
    assert all(key and len(key.encode()) < 2704 and "\0" not in key for key in keys)


@given(anyone, st.binary())
def test_any_bytes_are_read_or_malformed(adapter: Adapter, body: bytes) -> None:
    """No bytes make an adapter raise anything but MalformedWebhookError."""
    check(adapter, body)


@given(anyone, values)
def test_any_json_is_read_or_malformed(adapter: Adapter, value: object) -> None:
    """No JSON does either."""
    check(adapter, json.dumps(value).encode())


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A sample of any provider with some of its fields replaced or removed, at any depth."""
    event = json.loads(json.dumps(draw(st.sampled_from(OBJECTS))))
    for _ in range(draw(st.integers(1, 4))):
        at = event
        while True:
            name = draw(st.sampled_from(sorted(at)))
            if not (isinstance(at[name], dict) and at[name]) or draw(st.integers(0, 3)) == 0:
                break
            at = at[name]
        if draw(st.booleans()) or len(event) == 1:
            at[name] = draw(values)
        else:
            del at[name]
        if not at:
            break
    return event


@given(anyone, damaged())
def test_a_damaged_sample_is_read_or_malformed(adapter: Adapter, event: Any) -> None:
    """Nothing that comes close to a real delivery does either."""
    check(adapter, json.dumps(event).encode())


@given(
    st.dictionaries(st.sampled_from(sorted(OBJECTS[-1] | OBJECTS[13])), st.text()),
    st.dictionaries(st.text(), st.text()),
)
def test_any_form_is_read_or_malformed(fields: dict[str, str], more: dict[str, str]) -> None:
    """The same for forms."""
    sample = json.loads((SAMPLES / "twilio_inbound_sms.json").read_bytes())
    check(ADAPTERS[0], urlencode(sample | fields | more).encode())


proofs = st.dictionaries(
    st.sampled_from(HEADERS), odd_text | st.sampled_from(["v1,", "t=1,v0=", "Basic Og==", "Bearer "])
)


@given(anyone, st.binary(max_size=200), proofs, odd_text)
def test_no_forged_proof_is_accepted(adapter: Adapter, body: bytes, headers: dict[str, str], token: str) -> None:
    """Whatever a stranger sends as body, signature, credentials or address, it is refused."""
    with pytest.raises(BadSignatureError):
        adapter.verify(delivery(adapter, body, f"https://x.example/hook?token={token}", **headers))


@pytest.mark.parametrize("adapter", WITHOUT, ids=lambda adapter: adapter.source)
@given(proofs, odd_text)
def test_without_a_secret_nothing_is_accepted(adapter: Adapter, headers: dict[str, str], token: str) -> None:
    """An unset secret refuses every delivery, and says why to those who run us."""
    with pytest.raises(BadSignatureError, match=rf"^{adapter.source}: "):
        adapter.verify(delivery(adapter, b"", f"https://x.example/hook?token={token}", **headers))


def test_adapters_do_not_show_their_secrets() -> None:
    """An adapter in a log line is not a leak."""
    assert not any(SECRET in repr(adapter) for adapter in ADAPTERS)


def test_adapters_load_nothing_heavy() -> None:
    """The webhook function starts fast: no provider's package, no HTTP client, no ORM."""
    code = (
        "import sys\n"
        "import leadjobs\n"
        "before = set(sys.modules)\n"
        "import leadjobs.app\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {
        "twilio",
        "httpx",
        "httpx2",
        "requests",
        "openai",
        "sqlalchemy",
        "cryptography",
        "phonenumbers",
        "bs4",
    } & set(loaded)
