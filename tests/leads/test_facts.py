"""Facts in what people write: what is taken for a number, an address or a page, and what is not."""

import subprocess
import sys
import time
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from leadjobs.leads.fact import Fact, FactKind, FactOrigin
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.post_process.facts import MAX_OF_A_KIND, facts_in, region_of
from leadjobs.leads.post_process.keep_facts import note_facts
from leadjobs.leads.sessions import Sessions

SIGNATURE = """Sounds good, ring me on Tuesday: (415) 555-2671.
Or pick a time: <https://calendly.com/maya-ortiz/30min?month=2026-11>.

Maya Ortiz | Practice manager
BrightSmile Dental, 12 Market St, San Francisco, CA 94105
T: +1 415.555.2671  F: +1 415.555.2672
Maya.Ortiz@BrightSmile.example | www.BrightSmile.example
https://www.linkedin.com/in/Maya-Ortiz-DDS/?trk=signature
Virus-free. www.avast.com"""


def of(kind: FactKind, text: str, region: str | None = None) -> list[str]:
    return [fact.value for fact in facts_in(text, region=region) if fact.kind is kind]


def test_a_signature_is_read() -> None:
    """Every kind at once: each fact once, in one spelling; no fax, no address of the mail program's."""
    assert (
        Fact(FactKind.EMAIL, "maya.ortiz@brightsmile.example"),
        Fact(FactKind.PHONE, "+14155552671"),
        Fact(FactKind.WEBSITE, "brightsmile.example"),
        Fact(FactKind.LINKEDIN_PROFILE, "linkedin.com/in/maya-ortiz-dds"),
        Fact(FactKind.BOOKING_LINK, "calendly.com/maya-ortiz/30min?month=2026-11"),
    ) == facts_in(SIGNATURE, region="US")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Call me on +44 20 7946 0958", "+442079460958"),
        ("+14155552671", "+14155552671"),
        ("tel:+1-415-555-2671", "+14155552671"),
        ("(+44) 20 7946 0958", "+442079460958"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("Maya | +1.415.555.2671 | BrightSmile", "+14155552671"),
        ("It's +1 415-555-2671.", "+14155552671"),
        ("+1 415-555-2671 ext. 204", "+14155552671"),
        ("\uff0b1 415 555 2671", "+14155552671"),
    ],
)
def test_an_international_number_needs_no_region(text: str, number: str) -> None:
    """A country code says whose number it is, however the rest is spaced."""
    assert [number] == of(FactKind.PHONE, text)


@pytest.mark.parametrize(
    ("region", "text", "number"),
    [
        ("US", "Call 415-555-2671", "+14155552671"),
        ("US", "(415) 555-2671", "+14155552671"),
        ("US", "415.555.2671", "+14155552671"),
        ("US", "my cell is 4155552671 after 2", "+14155552671"),
        ("US", "c: 4155552671", "+14155552671"),
        ("US", "Sure!\n4155552671\nMaya", "+14155552671"),
        ("US", "1-800-356-9377", "+18003569377"),
        ("GB", "I am on 07911123456 all day", "+447911123456"),
        ("GB", "020 7946 0958", "+442079460958"),
        ("FR", "01 42 68 53 00", "+33142685300"),
        ("DE", "0151 23456789", "+4915123456789"),
        ("ES", "612 345 678", "+34612345678"),
        ("DK", "20 11 20 26", "+4520112026"),
    ],
)
def test_a_number_without_its_country_needs_a_region(region: str, text: str, number: str) -> None:
    """People write their numbers as at home: known with their country, not guessed without."""
    assert [number] == of(FactKind.PHONE, text, region)
    assert [] == of(FactKind.PHONE, text)


@pytest.mark.parametrize(
    ("region", "text"),
    [
        ("US", "$4,155,552,671"),
        ("US", "It cost $ 4155552671"),
        ("US", "call it 4155552671 USD"),
        ("US", "call about order 4155552671"),
        ("US", "Order #415-555-2671"),
        ("US", "Invoice no. 415 555 2671"),
        ("US", "PO# 4155552671"),
        ("US", "ref: 415.555.2671"),
        ("US", "account number is 415 555 2671"),
        ("US", "Meeting ID: 415 555 2671"),
        ("US", "we did 2125551234 scans"),
        ("US", "NPI 1234567893"),
        ("US", "4111 1111 1111 1111"),
        ("US", "123-45-6789"),
        ("US", "192.168.100.200"),
        ("US", "37.774900, -122.419400"),
        ("US", "550e8400-e29b-41d4-a716-446655440000"),
        ("US", "Tracking 1Z999AA10123456784"),
        ("US", "1732270000"),
        ("US", "94105-1234"),
        ("US", "2026-11-22 10:00"),
        ("DE", "DE89 3704 0044 0532 0130 00"),
        ("DE", "ISBN 978-3-16-148410-0"),
        ("GB", "20-30 seats at 1,250 each, 10,000 - 20,000 a year"),
        ("DK", "20.11.2026"),
        ("DK", "call on 20-11-2026, 10.30"),
        ("DK", "20 11 2026"),
        ("DK", "call on 2026.11.20"),
        ("DK", "kr 20112026"),
        ("DK", "call for 20112026 kr"),
        ("DK", "we call 20 112 026 people"),
        (None, "415 555 2671"),
        (None, "+1 234"),
        (None, "+44 7700 900123"),  # set aside for films: nobody has it
        (None, "Fax +1 415 555 2672"),
        (None, "F: +1 415 555 2672"),
        (None, "https://x.example/+14155552671"),
        (None, "+1 415 https://x.example 555 2671"),
        (None, "+1 415 a@x.example 555 2671"),
    ],
)
def test_other_numbers_are_no_telephone_numbers(region: str | None, text: str) -> None:
    """Prices, dates, orders, ids, cards and fax machines cannot be called, nor can what a link runs through."""
    assert [] == of(FactKind.PHONE, text, region)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Maya@X.Example", "maya@x.example"),
        ("<maya+leads@x.co.uk>.", "maya+leads@x.co.uk"),
        ("'maya@x.example'", "maya@x.example"),
        ("o'brien@x.example", "o'brien@x.example"),
        ("mailto:maya@x.example", "maya@x.example"),
        ("邮箱maya@x.example", "maya@x.example"),
        ("maya@x.example-", "maya@x.example"),
        ("noreply@x.example", None),
        ("Do-Not-Reply@x.example", None),
        ("logo@2x.png", None),
        ("image001.png@01DA1B2C.3D4E5F60", None),
        ("https://x.example/?e=maya@x.example", None),
        ("maya@localhost, @maya, a@b, maya @ x.example", None),
    ],
)
def test_addresses_that_a_person_reads(text: str, address: str | None) -> None:
    """In lower case, without what stands around them; no pictures, no robots, nothing out of a link."""
    assert ([address] if address else []) == of(FactKind.EMAIL, text)


@pytest.mark.parametrize(
    ("link", "kind", "value"),
    [
        ("https://www.BrightSmile.example/Team/?utm_source=x#top", "website", "brightsmile.example/Team"),
        ("(see www.brightsmile.example).", "website", "brightsmile.example"),
        ("https://a.example:8080/x", "website", "a.example/x"),
        ("https://münchen.example", "website", "münchen.example"),
        ("https://x.example\u200b", "website", "x.example"),
        ("https://evillinkedin.com/in/maya", "website", "evillinkedin.com/in/maya"),
        ("linkedin.com/in/Maya", "linkedin_profile", "linkedin.com/in/maya"),
        ("uk.linkedin.com/in/maya/details/", "linkedin_profile", "linkedin.com/in/maya"),
        ("[Book](https://calendly.com/maya)", "booking_link", "calendly.com/maya"),
        ("cal.com/maya/15min", "booking_link", "cal.com/maya/15min"),
        ("https://meetings-eu1.hubspot.com/maya?uuid=3", "booking_link", "meetings-eu1.hubspot.com/maya?uuid=3"),
        ("https://acme.chilipiper.com/book/me/maya", "booking_link", "acme.chilipiper.com/book/me/maya"),
        ("https://calendar.app.google/AbC123", "booking_link", "calendar.app.google/AbC123"),
        (
            "https://calendar.google.com/calendar/u/0/appointments/schedules/AcZ",
            "booking_link",
            "calendar.google.com/calendar/u/0/appointments/schedules/AcZ",
        ),
        ("https://maya.youcanbook.me", "booking_link", "maya.youcanbook.me"),
    ],
)
def test_links_are_told_apart(link: str, kind: str, value: str) -> None:
    """A profile, a calendar, or a page of theirs, without scheme and what counts visitors."""
    assert (Fact(FactKind(kind), value),) == facts_in(link)


@pytest.mark.parametrize(
    "link",
    [
        "https://x.example/logo.PNG",
        "https://x.example/unsubscribe?u=1",
        "https://x.example/u?a=unsubscribe",
        "https://click.mail.x.example/abc",
        "https://x.example/track/open/1",
        "https://nam12.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx.example",
        "https://aka.ms/o0ukef",
        "https://calendar.google.com/calendar/event?eid=1",
        "https://www.linkedin.com/company/acme",
        "https://calendly.com",
        "http://localhost/x",
        "http://10.0.0.1/x",
        "https://[::1]/x",
        "https://user:secret@x.example",
        "https://a..b.example",
        "https://\u2100.example",
        "javascript:alert(1)",
        "node.js and e.g. this, tomorrow.Thanks",
        f"https://x.example/{'a' * 300}",
    ],
)
def test_what_is_no_page_of_theirs(link: str) -> None:
    """Pictures, trackers, programs, meetings, this machine, and what is no address."""
    assert () == facts_in(link)


def test_a_text_has_only_so_many_facts() -> None:
    """A list of addresses is no contact: the first few count."""
    many = " ".join(f"a{number}@x.example" for number in range(50))
    assert [f"a{number}@x.example" for number in range(MAX_OF_A_KIND)] == of(FactKind.EMAIL, many)


HOSTILE = [
    "1",
    "+",
    "+1 ",
    "+1 212 555 0100 ",
    "+99 212 555 0100 ",
    "415-555-2671 ",
    "20.11.2026 ",
    "1.2.3-4(5)",
    "(1",
    "12 34 56 78 90 ",
    "order # ",
    "fax ",
    "a",
    "a@",
    "a@b.co ",
    "a'",
    "a-",
    "a.",
    "http://",
    "http://a.b/ ",
    "www.",
    "linkedin.com/",
    "http://a.bc/unsubscr",
    " ",
    "\n",
]


@pytest.mark.parametrize("region", [None, "US", "DK"])
def test_hostile_text_costs_no_time(region: str | None) -> None:
    """Half a megabyte of anything: milliseconds of work each, where a search that walks back takes minutes."""
    for piece in HOSTILE:
        facts_in(piece * 2, region=region)  # what it loads is loaded
        text = (piece * (500_000 // len(piece) + 1))[:500_000]
        begun = time.thread_time()
        facts_in(text, region=region)
        assert time.thread_time() - begun < 1, piece


def test_a_text_without_a_number_loads_no_library() -> None:
    """Most replies have none: they do not pay for knowing every country's numbers."""
    module = "leadjobs.leads.post_process.facts"
    code = (
        f"import sys; from {module} import facts_in; facts_in('Call at 10:30?'); print('phonenumbers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False" == done.stdout.strip()


@pytest.mark.parametrize(
    ("number", "region"),
    [("+14155552671", "US"), ("+442079460958", "GB"), ("4155552671", None), ("", None), ("+999", None), ("x", None)],
)
def test_a_known_number_tells_the_region(number: str, region: str | None) -> None:
    """Only an international number that exists has a country."""
    assert region == region_of(number)


async def test_a_fact_is_kept_once_and_is_no_identity(
    sessions: Sessions, workspace: int, db: AsyncConnection[DictRow]
) -> None:
    """What is known already stays as it was noted first; a stranger's address in a message names nobody."""

    async def one(query: str, *params: Any) -> DictRow:
        row = await (await db.execute(query, params)).fetchone()
        assert row is not None
        return row

    lead = LeadId((await one("INSERT INTO lead (workspace_id) VALUES (%s) RETURNING id", workspace))["id"])
    add = (
        "INSERT INTO message (workspace_id, lead_id, channel, direction, source, message_key, body, sender, recipient,"
        " sent_at) VALUES (%s, %s, 'sms', 'inbound', 'test', %s, '', '', '', now()) RETURNING id"
    )
    first, second = [MessageId((await one(add, workspace, lead, key))["id"]) for key in ("1", "2")]
    facts = facts_in(SIGNATURE)
    async with sessions() as session:
        news = [
            await note_facts(session, lead, first, facts, FactOrigin.OWN_WORDS),
            await note_facts(session, lead, second, [*facts, *facts_in("+442079460958")], FactOrigin.OWN_WORDS),
            await note_facts(session, lead, second, (), FactOrigin.OWN_WORDS),
        ]
        await session.commit()

    assert [5, 1, 0] == news
    rows = await (await db.execute("SELECT kind, value, origin, message_id FROM lead_fact ORDER BY id")).fetchall()
    assert [first] * 5 + [second] == [row["message_id"] for row in rows]
    assert {"own_words"} == {row["origin"] for row in rows}
    assert 0 == (await one("SELECT count(*) AS n FROM lead_identity"))["n"]
