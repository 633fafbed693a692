"""SendGrid: mail to a host of ours, taken apart or whole, and what of it a person wrote."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.channels.reader import reader, reasons

from leadjobs.channels import body_key, clean
from leadjobs.channels.sendgrid import SendGrid
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Adapter, Channel, Delivery, Identity, Ignored, Inbound
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
SAMPLE: dict[str, str] = json.loads((SAMPLES / "sendgrid_inbound_parse.json").read_bytes())
SECRET = "test-sendgrid"
ADAPTER: Adapter = SendGrid(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/sendgrid"
TO, RFC_ID = "reply+act_01@parse.acme-outreach.example", "<CAJ9x+reply-77@mail.brightsmile.example>"
TYPE, END = "multipart/form-data; boundary=xYzZY", b"--xYzZY--\r\n"
RAW = (
    b"From: Maya Ortiz <maya.ortiz@brightsmile.example>\r\n"
    b"Subject: Re: Quick question\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID:\r\n <CAJ9x+reply-77@mail.brightsmile.example>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
    b'--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Yes, happy to talk. Caf=E9?\r\n"
    b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Yes, from the HTML</p>\r\n--a--\r\n"
    b"--m\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: text/plain\r\n\r\nforwarded words\r\n"
    b"--m\r\nContent-Type: text/plain; name=notes.txt\r\nContent-Disposition: attachment\r\n\r\nattached words\r\n"
    b"--m--\r\n"
)
RAW_FORM = {name: SAMPLE[name] for name in ("dkim", "to", "from", "envelope", "subject", "charsets", "SPF")}


def form(fields: Mapping[str, str | bytes], *, files: int = 0) -> bytes:
    """A form as RFC 7578 writes it, with files behind its fields."""
    parts = [(f'form-data; name="{name}"', value) for name, value in fields.items()]
    parts += [(f'form-data; name="attachment{n}"; filename="a.txt"', b"file \xff") for n in range(files)]
    return (
        b"".join(
            b"--xYzZY\r\nContent-Disposition: %s\r\n\r\n%s\r\n"
            % (about.encode(), value.encode() if isinstance(value, str) else value)
            for about, value in parts
        )
        + END
    )


def posted(body: bytes, kind: str = TYPE) -> Delivery:
    return Delivery(source="sendgrid", url=URL, headers={"content-type": kind}, body=body)


def delivery(*, url: str = URL, files: int = 0, **headers: str) -> Delivery:
    return replace(posted(form(SAMPLE, files=files)), url=url, headers={"content-type": TYPE, **headers})


def changed(**fields: Any) -> Delivery:
    """The sample with fields set; ``...`` removes one."""
    named = {"from" if name == "from_" else name: value for name, value in fields.items()}
    return posted(form({name: value for name, value in (SAMPLE | named).items() if value is not ...}))


def raw(mail: bytes) -> Delivery:
    return posted(form({**RAW_FORM, "email": mail}))


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


read = reader(ADAPTER, Inbound)
reason = reasons(ADAPTER)


@pytest.mark.parametrize("setting", [SECRET, f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} \r\n,old"])
def test_the_token_and_the_password_verify(setting: str) -> None:
    """Either will do, with the current secret or the previous one, and a stray newline in the setting."""
    adapter = SendGrid(Secrets.parse(setting))
    adapter.verify(delivery(url=f"{URL}?token={SECRET}"))
    adapter.verify(delivery(authorization=basic(f"anyone:{SECRET}")))
    adapter.verify(delivery(url=f"{URL}?token={SECRET}", authorization=basic("somebody:else")))


@pytest.mark.parametrize("setting", ["other", "", None, ",", SECRET[:-1], f"{SECRET}x", f"leadjobs:{SECRET}"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even an empty password or token."""
    problem = "no token that is ours" if Secrets.parse(setting) else "no secret is set"
    for url, user in ((f"{URL}?token=", "leadjobs:"), (f"{URL}?token={SECRET}", f"leadjobs:{SECRET}")):
        with pytest.raises(BadSignatureError, match=rf"^sendgrid: {problem}"):
            SendGrid(Secrets.parse(setting)).verify(delivery(url=url, authorization=basic(user)))


@pytest.mark.parametrize("url", [URL, f"{URL}?token={SECRET[:-1]}X", f"{URL}#token={SECRET}"])
@pytest.mark.parametrize("authorization", ["", basic(SECRET), basic(f"{SECRET}:x"), SECRET, "Basic é"])
def test_missing_or_altered_proof_is_refused(url: str, authorization: str) -> None:
    """One changed character, another place, the secret as the user name: no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(url=url, authorization=authorization))


def test_a_reply_is_read() -> None:
    """The sample is one reply, named by the mail's own Message-ID and where it was sent."""
    assert ADAPTER.read(delivery()) == Inbound(
        source="sendgrid",
        tenant_keys=("reply@parse.acme-outreach.example", "parse.acme-outreach.example"),
        delivery_key=f"{TO}/{body_key(b'maya.ortiz@brightsmile.example')}/{RFC_ID}",
        message_key=RFC_ID,
        channel=Channel.EMAIL,
        identities=(Identity.email("maya.ortiz@brightsmile.example"),),
        text="Yes, happy to talk.",
        subject="Re: Quick question",
        sender="maya.ortiz@brightsmile.example",
        recipient=TO,
    )


def test_a_whole_mail_means_the_same() -> None:
    """With "raw" ticked the mail comes as it was sent: its text, in its character set, without what is attached."""
    reply = read(raw(RAW))
    assert (reply.text, reply.sent_at) == ("Yes, happy to talk. Café?", datetime(2026, 11, 22, 9, tzinfo=UTC))
    same = read(changed(text=reply.text, headers=f"{SAMPLE['headers']}Date: Sun, 22 Nov 2026 10:00:00 +0100\n"))
    assert same == reply


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        (b"Subject: x\n\nJust text\0\n", "Just text"),
        (b"Content-Type: text/html\n\n<p>Only &amp; HTML</p>\0", "Only & HTML"),
        (b"Content-Type: text/plain; charset=klingon\n\ncaf\xc3\xa9", "café"),
        (b"Content-Transfer-Encoding: base64\n\nWWVzIQ", "Yes!"),
        (RAW[: RAW.index(b"--a--")], "Yes, happy to talk. Café?"),
        (b"Content-Type: multipart/mixed; boundary=m\n\n--m\n\nOne\n--m\n\nTwo\n--m--", "One\nTwo"),
        (b"Content-Type: image/png\n\nx", None),
        (b"Content-Disposition: attachment\n\nnotes", None),
        (b"", None),
    ],
)
def test_the_text_of_a_whole_mail(mail: bytes, text: str | None) -> None:
    """Simple, HTML only, oddly encoded, cut off, or in several pieces: what the mail shows; a picture says nothing."""
    meaning = ADAPTER.read(raw(mail))
    assert (meaning.text if isinstance(meaning, Inbound) else None) == text


def nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))


@pytest.mark.parametrize("hostile", [nested(21), nested(2000), b"Content-Type:\n message/rfc822\n\n" * 2000])
def test_parts_within_parts_are_refused(hostile: bytes) -> None:
    """They make the parser slow, and then fail: such a mail is unreadable before it is tried."""
    with pytest.raises(MalformedWebhookError, match=r"^sendgrid: the mail has too many parts within parts$"):
        ADAPTER.read(raw(hostile))


@pytest.mark.parametrize(
    "hostile",
    [raw(nested(20) + b"\n" * 4_000_000), changed(text=b"-" + b"a" * 600_000, charsets='{"text": "punycode"}')],
    ids=["twenty levels of a long mail", "Python's slowest character set"],
)
def test_no_mail_costs_seconds(hostile: Delivery) -> None:
    """What anybody may send to our address is read in a moment, or not at all."""
    begun = time.process_time()
    ADAPTER.read(hostile)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("charset", "text", "expected"),
    [
        ("iso-8859-1", b"caf\xe9", "café"),
        ("shift_jis", "はい".encode("shift_jis"), "はい"),
        ("utf-8", b"caf\xe9", "caf\ufffd"),
        ("unicode_escape", rb"caf\d", r"caf\d"),
    ],
)
def test_a_text_is_decoded_by_its_character_set(charset: str, text: bytes, expected: str) -> None:
    """What SendGrid says of a field is taken, where mails are written in it; bytes that do not fit are replaced."""
    assert read(changed(text=text, charsets=json.dumps({"text": charset}))).text == expected


UNKNOWN = ("klingon", "", None, 5, "hex", "undefined", "a\0b", "x" * 100_000, "\ud800")


@pytest.mark.parametrize(
    "charsets",
    [*(json.dumps({"text": name}) for name in UNKNOWN), "", "{", "[]", "null", '"utf-8"', "[" * 100_000, ...],
)
def test_an_unknown_character_set_is_utf_8(charsets: object) -> None:
    """What nobody knows, is no character set or cannot be read does not lose the text."""
    assert read(changed(text="café", charsets=charsets)).text == "café"


@pytest.mark.parametrize(
    ("text", "html", "expected"),
    [
        ("Sure.\n\nOn Sun, 22 Nov 2026 at 10:00, Sam <s@x.example> wrote:\n> Hi", "<p>no</p>", "Sure."),
        ("> Hi", "<p>Only here</p><blockquote>Hi</blockquote>", "Only here"),
        ("Yes\0", "", "Yes"),
    ],
)
def test_the_text_is_what_they_wrote(text: str, html: str, expected: str) -> None:
    """The text first, then the HTML; never the history."""
    assert read(changed(text=text, html=html)).text == expected


def test_files_are_passed_over() -> None:
    """Attachments are neither decoded nor taken for fields."""
    assert ADAPTER.read(delivery(files=900)) == ADAPTER.read(delivery())
    assert reason(posted(form({**SAMPLE, "html": ""}).replace(b'name="text"', b'name="text"; filename="a"'))) == (
        "no words of their own"
    )


def test_the_first_of_two_fields_with_one_name_counts() -> None:
    """SendGrid sends each once; a second cannot replace what was read."""
    assert read(posted(form(SAMPLE)[: -len(END)] + form({"text": "other"}))).text == "Yes, happy to talk."


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"headers": "Auto-Submitted: auto-replied"}, "automated reply"),
        ({"headers": "A: b\nauto-submitted:\n auto-generated; x=1\n"}, "automated reply"),
        ({"headers": "Auto-Submitted: no\nPrecedence: bulk"}, None),
        ({"headers": "X-Autoreply: yes"}, "automated reply"),
        ({"headers": "Precedence: auto_reply"}, "automated reply"),
        ({"from_": "Mail Delivery <MAILER-DAEMON@mx.example>"}, "sent by a mail system"),
        ({"from_": ""}, "the sender has no address"),
        ({"from_": "undisclosed"}, "the sender has no address"),
        ({"from_": "(" * 100_000}, "the sender has no address"),
        ({"text": "> Hi", "html": ""}, "no words of their own"),
    ],
)
def test_what_no_person_wrote_is_ignored(fields: dict[str, str], expected: str | None) -> None:
    """Machines' answers, bounces, mail without a sender and mail without words are kept, and go no further."""
    assert reason(changed(**fields)) == expected
    if "headers" in fields:
        assert reason(raw(fields["headers"].strip().encode() + b"\n\nI am away.")) == expected


@pytest.mark.parametrize(
    "sender",
    ["M <m@x.example>", '"Ortiz, M" <m@x.example>', '"a@b.example" <m@x.example>', "m@x.example (M)", " <m@x.example>"],
)
def test_the_lead_is_the_address_in_from(sender: str) -> None:
    """Names and comments are left out; the envelope's sender may be a list or a relay."""
    reply = read(changed(from_=sender))
    assert (reply.sender, reply.identities) == ("m@x.example", (Identity.email("m@x.example"),))


def test_the_workspace_is_named_by_the_envelope() -> None:
    """Where the mail was sent, not what its To header says: without plus sign and what follows, then the domain."""
    envelope = '{"to": [" A+b+C@Parse.Acme.example ", "other@x.example"]}'
    reply = read(changed(envelope=envelope, to="Somebody else <a@b.example>"))
    assert reply.tenant_keys == ("a@parse.acme.example", "parse.acme.example")


def test_one_mail_to_two_addresses_is_two_deliveries_of_one_message() -> None:
    """Each may be another workspace's."""
    one, other = read(delivery()), read(changed(envelope='{"to": ["team@parse.acme-outreach.example"]}'))
    assert one.message_key == other.message_key
    assert one.delivery_key != other.delivery_key


def test_one_message_id_of_two_senders_is_two_deliveries() -> None:
    """Some mailers give all their mails the same."""
    assert read(delivery()).delivery_key != read(changed(from_="Ada <ada@y.example>")).delivery_key


@pytest.mark.parametrize("headers", ["", "Received: x\n", "Message-ID: \n", f"Message-ID: <{'x' * 500}>\n"])
def test_without_a_usable_message_id_a_hash_names_the_mail(headers: str) -> None:
    """Sent again it has the same key; another mail has another, and no key is too long for an index."""
    key = read(changed(headers=headers)).message_key
    assert key.startswith("sha256:")
    assert key == read(changed(headers=headers, spam_score="4.2", SPF="none")).message_key
    others = [changed(headers=headers, **{name: "a@b.example"}) for name in ("text", "html", "subject", "from_")]
    others.append(changed(headers=f"{headers}Date: Sun, 22 Nov 2026 10:00:00 +0000\n"))
    assert len({key, *(read(other).message_key for other in others)}) == 1 + len(others)


def test_the_longest_addresses_and_ids_fit_an_index() -> None:
    """Four bytes a character, as many as are taken, or one byte more: under 2,704 bytes in any case."""
    to, rfc_id = f"{'😀' * 300}@{'😀' * 19}", f"{'😀' * 100}"
    for longer in ("", "x"):
        reply = read(changed(envelope=json.dumps({"to": [to]}), headers=f"Message-ID: {rfc_id}{longer}\n"))
        assert reply.message_key.startswith("sha256:" if longer else rfc_id)
        assert len(reply.delivery_key.encode()) < 2704


@pytest.mark.parametrize("date", ["soon", "", "Sun, 99 Nov 2026 10:00:00 +0000"])
def test_an_unreadable_date_is_unknown(date: str) -> None:
    """Mail programs write what they like."""
    assert read(changed(headers=f"Date: {date}\n")).sent_at is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"envelope": ...}, "envelope is missing"),
        ({"envelope": "{"}, "envelope Invalid JSON"),
        ({"envelope": "[]"}, "envelope should be"),
        ({"envelope": "{}"}, r"envelope\.to is missing"),
        ({"envelope": '{"to": []}'}, r"envelope\.to "),
        ({"envelope": '{"to": [5]}'}, r"envelope\.to\[0\] should be"),
        ({"envelope": '{"to": ["nobody"]}'}, r"envelope\.to\[0\] is not an e-mail address"),
        ({"envelope": '{"to": ["user@"]}'}, r"envelope\.to\[0\] is not an e-mail address"),
        ({"from_": ...}, "from is missing"),
        ({"from_": f"{'x' * 400}@x.example"}, "from should have at most 320"),
    ],
)
def test_an_odd_field_is_named(fields: dict[str, Any], problem: str) -> None:
    """The envelope and the sender are needed; the message says what is wrong and never repeats a value."""
    with pytest.raises(MalformedWebhookError, match=rf"^sendgrid: {problem}"):
        ADAPTER.read(changed(**fields))


@pytest.mark.parametrize(
    ("body", "kind", "problem"),
    [
        (b"", TYPE, "the form has no end"),
        (form(SAMPLE)[:-20], TYPE, "the form has no end"),
        (form({"a": "b"}, files=1000), TYPE, "the form has over 1000 parts"),
        (b"{}", TYPE, "the body is not a multipart form"),
        (form(SAMPLE), "", "the body is not a multipart form"),
        (form(SAMPLE), "multipart/form-data", "the body is not a multipart form"),
        (form(SAMPLE), "multipart/form-data; boundary=other", "the body is not a multipart form"),
        (form(SAMPLE), f"multipart/form-data; boundary={'x' * 300}", "the body is not a multipart form"),
        (form(SAMPLE), "multipart/form-data; boundary=€", "the body is not a multipart form"),
        (b"a=b", "application/x-www-form-urlencoded", "the body is not a multipart form"),
    ],
)
def test_what_is_no_form_is_malformed(body: bytes, kind: str, problem: str) -> None:
    """Another kind of body, another boundary, a form cut off or without end in its parts."""
    with pytest.raises(MalformedWebhookError, match=rf"^sendgrid: {problem}$"):
        ADAPTER.read(posted(body, kind))


@given(st.dictionaries(st.sampled_from([*SAMPLE, "email"]), st.binary() | st.text(st.characters(codec="utf-8"))))
def test_any_field_may_hold_anything(fields: dict[str, str | bytes]) -> None:
    """No content of a form makes reading raise anything but MalformedWebhookError, and reading says the same twice."""
    mail = posted(form(SAMPLE | fields))
    try:
        meaning = ADAPTER.read(mail)
    except MalformedWebhookError:
        return
    assert meaning == ADAPTER.read(mail)
    assert isinstance(meaning, Inbound | Ignored)
    assert len(meaning.delivery_key.encode()) < 2704
    assert "\0" not in meaning.delivery_key


ODD = rb"""Content-Type: multipart/mixed; boundary=m
Content-Type: text/plain; charset*=utf-8''%ff
Content-Type: \xff/x; boundary*0=a; boundary*2=b; charset=\xff
Content-Disposition: \xff; filename*=x'y'z
Content-Transfer-Encoding: base64
Content-Transfer-Encoding: x-uuencode
Message-ID: \xff\xfe
Date: \xff
--m

--m--
begin 644 a
abc=\xff
""".replace(rb"\xff", b"\xff").splitlines(keepends=True)
odd_mails = st.lists(st.sampled_from([*ODD, b"\r"]), max_size=12).map(b"".join)


@given(odd_mails | st.binary())
@example(b"Message-ID: <\0>\n\nYes")
def test_any_mail_can_be_whole(mail: bytes) -> None:
    """No bytes of a mail make reading raise, however broken its headers, character sets and parts are."""
    meaning = ADAPTER.read(raw(mail))
    kept = f"{meaning.delivery_key} {meaning.text if isinstance(meaning, Inbound) else ''}"
    assert clean(kept) == kept


def test_the_form_parser_loads_at_the_first_read_alone() -> None:
    """Functions that take no mail start without it."""
    code = "import leadjobs.channels.sendgrid, sys; print('python_multipart' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
