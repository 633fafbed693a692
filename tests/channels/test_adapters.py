"""What the adapters share: what holds for any delivery, and how an e-mail's text is cut."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.channels.email_text import from_mail_system, html_to_text, own_words
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


HISTORY = {
    "gmail": "Yes.\n\nOn Sun, Nov 22, 2026 at 10:00\u202fAM Sam <sam@x.example>\nwrote:\n\n> Hi Maya\n> unsubscribe",
    "gmail without marks": "Yes.\n\nOn Sun, Nov 22, 2026 at 10:00 AM Sam <s@x.example> wrote:\nHi Maya\nunsubscribe",
    "apple": "Yes.\n\n> On 22 Nov 2026, at 10:00, Sam <s@x.example> wrote:\n> \n> Hi",
    "on one line": "Yes. On Sun, 22 Nov 2026, 10:00 Sam Reid, <sam@x.example> wrote: Hi Maya",
    "outlook": "Yes.\n\n________________\nFrom: Sam <s@x.example>\nSent: Sunday\nTo: Maya\nSubject: Re\n\nHi",
    "outlook bold": "Yes.\n\n*From:* Sam\n*Sent:* Sunday\n*To:* Maya\n*Subject:* Re\n\nHi",
    "outlook on one line": "Yes. From: Sam <s@x.example> Sent: Sunday To: Maya Subject: Re Hi",
    "old outlook": "Yes.\n\n-----Original Message-----\nFrom: Sam\nHi",
    "forwarded": "Yes.\n\n---------- Forwarded message ---------\nFrom: Sam",
    "forwarded by apple": "Yes.\n\nBegin forwarded message:\n\nFrom: Sam",
    "german": "Yes.\n\nAm 22.11.2026 um 10:00 schrieb Sam Reid <s@x.example>:\n> Hi",
    "german outlook": "Yes.\n\nVon: Sam\nGesendet: Sonntag\nAn: Maya\nBetreff: AW\n\nHi",
    "french": "Yes.\n\nLe dim. 22 nov. 2026 à 10:00, Sam <s@x.example> a écrit :\nHi",
    "spanish": "Yes.\n\nEl dom, 22 nov 2026 a las 10:00, Sam (<s@x.example>) escribió:\nHi",
    "dutch": "Yes.\n\nOp zo 22 nov. 2026 om 10:00 schreef Sam <s@x.example>:\nHi",
    "phone": "Yes.\n\nSent from my iPhone\n\n> On 22 Nov 2026, Sam wrote:\n> Hi",
    "carriage returns": "Yes.\r\n\r\n> Hi\r\n",
}


@pytest.mark.parametrize("text", HISTORY.values(), ids=HISTORY)
def test_quoted_history_is_cut(text: str) -> None:
    """What mail programs put below a reply is not the reply."""
    assert own_words(text) == "Yes."


KEPT = {
    "below": ("> Hi Maya\n> two questions\n\nYes to both.", "Yes to both."),
    "between": ("On 22 Nov 2026, Sam <s@x.example> wrote:\n> one?\n\nYes.\n\n> two?\n\nNo.", "Yes.\n\n\nNo."),
    "a date": ("On Tuesday 24 Nov 2026 I am free.\nCall me.", None),
    "our words": ("On 22 Nov 2026 you wrote: we can help. Can you?", None),
    "a story": ("On Monday my boss wrote: buy it.", None),
    "an earlier On": ("On Tuesday?\n\nOn 22 Nov 2026 Sam <s@x.example> wrote:\nHi", "On Tuesday?"),
    "a route": ("From: Leeds\nTo: York\nHow much?", None),
    "a dash": ("Two things - price - date.\n\n--\nMaya", None),
    "greater": ("We have > 5 sites", None),
}


@pytest.mark.parametrize(("text", "expected"), KEPT.values(), ids=KEPT)
def test_their_own_words_are_kept(text: str, expected: str | None) -> None:
    """Answers below and between quotes stay, and so does what only looks like history."""
    assert own_words(text) == (expected.replace("\n\n\n", "\n\n") if expected else text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree"),
        ("One<br><br>Two", "One\n\nTwo"),
        ("plain &lt;b&gt; &amp; &nbsp;more", "plain <b> & more"),
        ("<head><title>T</title><style>p{}</style></head><body>Hi<script>x('</p>')</script></body>", "Hi"),
        ("<title>never closed<body>Hi", "Hi"),
        ("Yes<blockquote>old<blockquote>older</blockquote></blockquote>No", "Yes\n> old\n> older\nNo"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("a < b and c > d", "a < b and c > d"),
        ("Hi <b unclosed", "Hi"),
        ("Hi<!-- a comment -->", "Hi"),
        ("<![if mso]>Hi<![endif]>", "Hi"),
        ("", ""),
    ],
)
def test_html_becomes_its_visible_text(html: str, text: str) -> None:
    """Blocks are lines, quotes are marked, and what nobody sees is left out."""
    assert html_to_text(html) == text


def test_the_quote_of_gmails_html_is_cut() -> None:
    """HTML goes the same way as text: to lines, and then without its history."""
    html = (
        '<div>Yes.</div><br><div class="gmail_quote"><div>On Sun, Nov 22, 2026 at 10:00 AM Sam &lt;'
        '<a href="mailto:s@x.example">s@x.example</a>&gt; wrote:<br></div><blockquote>Hi<br>unsub</blockquote></div>'
    )
    assert own_words(html_to_text(html)) == "Yes."


@given(
    st.text()
    | st.lists(st.sampled_from(["<![", "<!--", "]]>", "<a ", ">", "</", "&#x", "On 2026 wrote:", "\n"])).map("".join)
)
def test_any_text_can_be_cut(text: str) -> None:
    """No text and no markup makes the cutting raise."""
    assert not own_words(html_to_text(text)).startswith("\n")
    assert len(own_words(text)) <= len(text)


@pytest.mark.parametrize("address", ["MAILER-DAEMON@x.example", " postmaster@x.example", "mailer-daemon"])
def test_mail_systems_are_known_by_their_name(address: str) -> None:
    """Bounces come from these names whatever the domain."""
    assert from_mail_system(address)
    assert not from_mail_system(f"x{address.strip()}")
