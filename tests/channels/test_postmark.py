"""Postmark: mail to an inbound address, and what of it a person wrote."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.channels.reader import reader, reasons

from leadjobs.channels.postmark import Postmark
from leadjobs.errors import BadSignatureError, MalformedWebhookError
from leadjobs.leads.inbound import Adapter, Channel, Delivery, Identity, Inbound
from leadjobs.web.signatures import Secrets

SAMPLES = Path(__file__).parents[1] / "samples/webhooks"
MAIL = (SAMPLES / "postmark_inbound.json").read_bytes()
AUTH: str = json.loads((SAMPLES / "_index.json").read_text())["samples"]["postmark_inbound.json"]["auth"]["headers"][
    "Authorization"
]
SECRET = "test-postmark"
ADAPTER: Adapter = Postmark(Secrets.parse(SECRET))
URL = "https://ops.example.test/api/webhooks/postmark"
ID, RFC_ID = "73e6d360-66eb-11e1-8e72-a8904824019b", "<CAJ9x+reply-77@mail.brightsmile.example>"


def delivery(body: bytes = MAIL, *, url: str = URL, authorization: str = AUTH) -> Delivery:
    return Delivery(source="postmark", url=url, headers={"authorization": authorization}, body=body)


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


def changed(**fields: object) -> Delivery:
    """The sample with fields set; ``...`` removes one."""
    mail = {name: value for name, value in (json.loads(MAIL) | fields).items() if value is not ...}
    return delivery(json.dumps(mail).encode())


def with_header(name: str, value: str) -> Delivery:
    mail: dict[str, Any] = json.loads(MAIL)
    return changed(Headers=[*mail["Headers"], {"Name": name, "Value": value}])


read = reader(ADAPTER, Inbound)
reason = reasons(ADAPTER)


@pytest.mark.parametrize("setting", [SECRET, f"new,{SECRET}", f"{SECRET}\n", f" {SECRET} \r\n,old"])
def test_the_password_and_the_token_verify(setting: str) -> None:
    """The sample's own credentials pass, as do any other user name and a token in the address."""
    adapter = Postmark(Secrets.parse(setting))
    adapter.verify(delivery())
    adapter.verify(delivery(authorization=basic(f"anyone:{SECRET}")))
    adapter.verify(delivery(authorization="", url=f"{URL}?token={SECRET}"))


@pytest.mark.parametrize("setting", ["other", "", None, ",", SECRET[:-1], f"{SECRET}x", f"leadjobs:{SECRET}"])
def test_no_other_secret_verifies(setting: str | None) -> None:
    """A wrong secret refuses, and so does none, even an empty password."""
    adapter = Postmark(Secrets.parse(setting))
    for authorization in (AUTH, basic("leadjobs:"), basic("leadjobs:None"), ""):
        with pytest.raises(BadSignatureError):
            adapter.verify(delivery(authorization=authorization, url=f"{URL}?token="))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        AUTH[:-6],
        AUTH.lower(),
        AUTH.replace("Basic", "Bearer"),
        basic(SECRET),
        basic(f"{SECRET}:x"),
        "Basic é",
        SECRET,
    ],
)
def test_missing_or_altered_credentials_are_refused(authorization: str) -> None:
    """Another scheme, the secret as the user name, one byte more or less: no proof."""
    with pytest.raises(BadSignatureError):
        ADAPTER.verify(delivery(authorization=authorization))


def test_every_character_of_the_password_counts() -> None:
    """No changed byte is overlooked."""
    for at in range(len(SECRET)):
        wrong = SECRET[:at] + chr(ord(SECRET[at]) ^ 1) + SECRET[at + 1 :]
        with pytest.raises(BadSignatureError):
            ADAPTER.verify(delivery(authorization=basic(f"leadjobs:{wrong}")))


def test_a_reply_is_read() -> None:
    """The sample is one reply, under Postmark's id as a delivery and under the mail's own as a message."""
    assert ADAPTER.read(delivery()) == Inbound(
        source="postmark",
        tenant_keys=("reply@in.acme-outreach.example", "in.acme-outreach.example"),
        delivery_key=ID,
        message_key=RFC_ID,
        channel=Channel.EMAIL,
        identities=(Identity.email("maya.ortiz@brightsmile.example"),),
        text="Yes, happy to talk.",
        subject="Re: Quick question",
        sender="maya.ortiz@brightsmile.example",
        recipient="reply+act_01@in.acme-outreach.example",
        sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("recipient", "tenants"),
    [
        ("Reply+Act_01@In.Acme.example", ("reply@in.acme.example", "in.acme.example")),
        ("reply@in.acme.example", ("reply@in.acme.example", "in.acme.example")),
        ("a+b+c@in.acme.example", ("a@in.acme.example", "in.acme.example")),
        (" hash@inbound.example ", ("hash@inbound.example", "inbound.example")),
    ],
)
def test_the_workspace_is_named_by_the_address(recipient: str, tenants: tuple[str, ...]) -> None:
    """The address without its hash first, then its domain, in lower case."""
    assert ADAPTER.read(changed(OriginalRecipient=recipient)).tenant_keys == tenants


@pytest.mark.parametrize("recipient", ["", "nobody", "@domain.example", "user@"])
def test_a_recipient_that_is_no_address_is_malformed(recipient: str) -> None:
    """Without an address there is no workspace."""
    with pytest.raises(MalformedWebhookError, match=r"^postmark: OriginalRecipient is not an e-mail address$"):
        ADAPTER.read(changed(OriginalRecipient=recipient))


@pytest.mark.parametrize(
    ("stripped", "text", "html", "expected"),
    [
        ("Yes", "Yes\n\n> Hi", "<p>no</p>", "Yes"),
        ("", "Sure.\n\nOn Sun, 22 Nov 2026 at 10:00, Sam <s@x.example> wrote:\n> Hi", "<p>no</p>", "Sure."),
        (None, None, "<p>From the <b>HTML</b></p><blockquote>Hi</blockquote>", "From the HTML"),
        ("> Hi", "> Hi", "<p>Only here</p>", "Only here"),
        ("Yes\0", "", "", "Yes"),
    ],
)
def test_the_text_is_what_they_wrote(stripped: str | None, text: str | None, html: str | None, expected: str) -> None:
    """Postmark's own stripped text first, then the text, then the HTML; never the history."""
    assert read(changed(StrippedTextReply=stripped, TextBody=text, HtmlBody=html)).text == expected


def test_a_mail_without_words_is_ignored() -> None:
    """An attachment alone cannot be scored."""
    assert reason(changed(StrippedTextReply="", TextBody="> Hi", HtmlBody="")) == "no words of their own"


OURS = [
    "Re: unsubscribe",
    "Re: Stop sending cold emails",
    "AW: Please stop the emails",
    "Fwd: Unsubscribe",
    "回复：unsubscribe",
]


@pytest.mark.parametrize("subject", [*OURS, "Your offer", "How do customers unsubscribe?", "", None])
def test_a_subject_that_asks_for_nothing_is_no_reply(subject: str | None) -> None:
    """A subject may be our own: where there are no words, it counts only if it asks us to stop."""
    assert reason(changed(Subject=subject, StrippedTextReply="", TextBody="", HtmlBody="")) == "no words of their own"


def test_words_come_before_the_subject() -> None:
    """Who writes something is heard by what they write."""
    assert read(changed(Subject="unsubscribe")).text == "Yes, happy to talk."


def test_apples_unsubscribe_button_is_pressed_by_a_person() -> None:
    """It says of its mail that a machine sent it."""
    mail: dict[str, Any] = json.loads(MAIL)
    headers = [{"Name": "Auto-Submitted", "Value": "auto-replied"}, {"Name": "X-Apple-Unsubscribe", "Value": "true"}]
    pressed = changed(
        Subject="unsubscribe", StrippedTextReply="", TextBody="", HtmlBody="", Headers=mail["Headers"] + headers
    )
    assert read(pressed).text == "unsubscribe"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Auto-Submitted", "auto-replied", "automated reply"),
        ("auto-submitted", "Auto-Generated; x=1", "automated reply"),
        ("Auto-Submitted", "no", None),
        ("Auto-Submitted", "No (a comment)", None),
        ("Auto-Submitted", "NO ; x=1", None),
        ("Auto-Submitted", ";", "automated reply"),
        ("X-Autoreply", "yes", "automated reply"),
        ("X-AutoReply", "no", None),
        ("Precedence", "auto_reply", "automated reply"),
        ("Precedence", "Auto-Reply", "automated reply"),
        ("Precedence", "bulk", None),
        ("X-Auto-Response-Suppress", "All", None),
    ],
)
def test_automated_replies_are_told_by_their_headers(name: str, value: str, expected: str | None) -> None:
    """A machine's answer is no reply of the lead; a person's mail that says it is none of these is."""
    assert reason(with_header(name, value)) == expected


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("MAILER-DAEMON@mx.example", "sent by a mail system"),
        ("postmaster@brightsmile.example", "sent by a mail system"),
        ("", "the sender has no address"),
        ("undisclosed", "the sender has no address"),
        ("postmaster.jones@brightsmile.example", None),
    ],
)
def test_mail_systems_are_no_leads(sender: str, expected: str | None) -> None:
    """Bounces and mail without a sender are kept, and go no further."""
    assert reason(changed(FromFull={"Email": sender})) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ...,
        [{"Name": "message-id", "Value": ""}],
        [{"Name": "Message-ID", "Value": "<" + "x" * 500 + ">"}],
        [{"Name": "Message-ID", "Value": "😀" * 101}],
    ],
)
def test_without_a_usable_message_id_postmarks_own_names_the_message(headers: object) -> None:
    """The message has a key in any case, and one that an index can hold."""
    assert read(changed(Headers=headers)).message_key == ID


def test_the_same_mail_delivered_twice_is_one_message() -> None:
    """Two deliveries with ids of their own, one Message-ID: one message."""
    one, other = read(delivery()), read(changed(MessageID="another"))
    assert one.message_key == other.message_key
    assert one.delivery_key != other.delivery_key


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Sun, 22 Nov 2026 10:00:00 +0100", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("22 Nov 2026 10:00:00 -0000", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("Sun, 22 Nov 2026 10:00:00 GMT", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (["x"], None),
        ("2026-11-22", None),
        ("Sun, 99 Nov 2026 10:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:00:00 -1400", None),
        ("soon", None),
        ("", None),
        (None, None),
        (..., None),
    ],
)
def test_the_date_is_in_utc_or_unknown(date: object, moment: datetime | None) -> None:
    """Mail programs write what they like, and Postmark hands it on; an unreadable date is None."""
    assert read(changed(Date=date)).sent_at == moment


@pytest.mark.parametrize("name", ["MessageID", "FromFull", "OriginalRecipient"])
def test_half_a_mail_names_the_field(name: str) -> None:
    """A needed field that is missing, null or of another type is named."""
    for value, problem in ((..., "is missing"), (None, "is null"), (["x"], "should be a valid ")):
        with pytest.raises(MalformedWebhookError, match=rf"^postmark: {name} {problem}"):
            ADAPTER.read(changed(**{name: value}))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"FromFull": {}}, r"FromFull\.Email is missing"),
        ({"Headers": [{"Name": "A"}, {"Value": "x"}]}, r"Headers\[1\]\.Name is missing"),
        ({"Headers": [{"Name": "A", "Value": 1}]}, r"Headers\[0\]\.Value should be"),
        ({"Headers": "x"}, r"Headers should be"),
        ({"TextBody": 5}, r"TextBody should be"),
        ({"Subject": {}}, r"Subject should be"),
        ({"MessageID": ""}, r"MessageID is empty"),
    ],
)
def test_the_path_to_the_field_is_given(fields: dict[str, Any], path: str) -> None:
    """Fields inside others are named with their whole path."""
    with pytest.raises(MalformedWebhookError, match=rf"^postmark: {path}"):
        ADAPTER.read(changed(**fields))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"From=x", b"\0"])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    """Anything else than an object is malformed."""
    with pytest.raises(MalformedWebhookError, match=r"^postmark: the body is not "):
        ADAPTER.read(delivery(body))


def test_the_subject_may_be_missing() -> None:
    """A mail without a subject is a mail."""
    assert read(changed(Subject="")).subject is None
    assert read(changed(Subject=...)).subject is None
