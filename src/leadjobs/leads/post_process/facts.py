"""How else a person can be reached, in their own words: fixed rules, no model, no I/O.

What is found is a *fact*, never an identity of the lead.  Anybody can write anybody's address or number into a message;
if deliveries were matched by those, a stranger could have another person's replies filed under a lead of theirs, or
have that person opted out.

The rules would rather miss a fact than take a price, a date or an order number for a telephone number.  Which numbers
exist is known to Google's libphonenumber (its Python port ``phonenumbers``); a number without a country code counts
only where the caller names a region.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from leadjobs.leads.fact import MAX_VALUE_CHARS, Fact, FactKind
from leadjobs.leads.inbound import Identity

MAX_CHARS: Final = 20_000
"""How much of a text is read: longer ones are pasted, and a stranger's text must not cost seconds."""

MAX_OF_A_KIND: Final = 5
"""How many facts of one kind a text can have."""

_MAX_NUMBERS = 50  # telephone numbers looked at in one text
_MAX_TRIES = 100  # rows of digits that turn out to be none


def facts_in(text: str, *, region: str | None = None) -> tuple[Fact, ...]:
    """The facts in a text, by kind and then as they come, each once.

    ``region`` is the country (``region_of``) whose numbers may be written without a country code.

    >>> [fact.value for fact in facts_in("Ring +1 (415) 555-2671 or https://calendly.com/maya/30min.")]
    ['+14155552671', 'calendly.com/maya/30min']
    """
    text = text[:MAX_CHARS]
    without_links = _LINK.sub(_GAP, text)  # an address's own digits and @ signs are no facts
    found = dict.fromkeys(
        [
            *_emails(without_links),
            *_phones(_EMAIL.sub(_GAP, without_links), region),
            *filter(None, (_fact_of_link(link[0]) for link in _LINK.finditer(text))),
        ]
    )
    return tuple(fact for kind in FactKind for fact in islice((f for f in found if f.kind is kind), MAX_OF_A_KIND))


def region_of(number: str) -> str | None:
    """The country of an international telephone number, as ``facts_in`` takes it; None where that cannot be told.

    >>> region_of("+14155552671")
    'US'
    """
    import phonenumbers  # noqa: PLC0415  most texts have no number in them

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return None


_GAP = " | "  # in place of what was taken out: no number goes across it


# ---- e-mail addresses -----------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])(?P<mailbox>[A-Za-z0-9_][A-Za-z0-9._%+'-]{0,63})"
    r"@(?:[A-Za-z0-9-]{1,63}\.){1,4}(?P<top>[A-Za-z]{2,24})(?!\w|-\w)"
)
_NOBODY = re.compile(r"(?:no|do-?not|never)[._-]?reply|mailer-daemon|postmaster|bounces?\b", re.IGNORECASE)
_PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "tif", "tiff"})


def _emails(text: str) -> Iterator[Fact]:
    """Addresses that a person may read; ``logo@2x.png`` is a picture's name."""
    for found in _EMAIL.finditer(text):
        if found["top"].lower() not in _PICTURES and not _NOBODY.match(found["mailbox"]):
            yield Fact(FactKind.EMAIL, Identity.email(found[0]).value)


# ---- telephone numbers ----------------------------------------------------------------------------------------------

_SEVEN_DIGITS = re.compile(r"\d(?:[^\d\n]{0,4}\d){6}")
_FAX = re.compile(r"(?<![a-z])(?:tele)?(?:fax|f[.:])[^\d+\n]{0,12}$", re.IGNORECASE)
_DATE = re.compile(
    r"(?:\d{4}([./-])\d{1,2}\1\d{1,2}|\d{1,2}([./-])\d{1,2}\2(?:\d{4}|\d{2})|\d{1,2} \d{1,2} (?:19|20)\d\d)(?=$|[\s,;])"
)
_AMOUNT = re.compile(r"\d{1,2}([ .,'\u2019])\d{3}(?:\1\d{3})+$")  # 20 112 026
_CURRENCY = r"(?:[$€£¥₹%]|(?:usd|eur|gbp|chf|sek|nok|dkk|kr|cad|aud|inr|rs)\b)"
_MONEY_BEFORE = re.compile(rf"(?<![a-z]){_CURRENCY}\.?\s?$", re.IGNORECASE)
_MONEY_AFTER = re.compile(rf"\s?{_CURRENCY}", re.IGNORECASE)
_OTHER_NUMBER = re.compile(
    r"(?:#|(?<![a-z])(?:order|invoice|inv|ref|reference|account|acct|ticket|case|claim|policy|po|vat|ein|tax|tin|npi"
    r"|licen[cs]e|id|iban|sku|tracking|serial|model|part|batch|contract|customer|registration|reg|quote|confirmation"
    r"|booking|zip|isbn|abn|siret|siren|meeting|passcode)\b)"
    r"(?:\s+(?:number|no|nr|num|code|id|is|was))*[\s:#.-]*$",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(
    r"(?<![a-z])(?:call|phone|tel|telephone|mob|mobile|cell|text|sms|whatsapp|ring|reach|dial|direct|line|number|[mtpcdo]:)"
    r"[^\d\n]{0,30}$",
    re.IGNORECASE,
)


def _phones(text: str, region: str | None) -> Iterator[Fact]:
    """Numbers that exist, in the form +14155552671; no faxes, and nothing that only looks like one."""
    if not _SEVEN_DIGITS.search(text):
        return
    from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher, format_number  # noqa: PLC0415

    matches = PhoneNumberMatcher(text, region, Leniency.VALID, _MAX_TRIES)
    for match in islice(matches, _MAX_NUMBERS):
        written = match.raw_string
        before = text[max(0, match.start - 40) : match.start].rpartition("\n")[2]
        after = text[match.end : match.end + 8].partition("\n")[0]
        is_international = written.lstrip("(").startswith(("+", "\uff0b"))  # and a full-width plus
        if not _FAX.search(before) and (is_international or _is_national(written, before, after)):
            yield Fact(FactKind.PHONE, format_number(match.number, PhoneNumberFormat.E164))


def _is_national(written: str, before: str, after: str) -> bool:
    """Is a number without a country code meant to be called?  Digits in a row only where something says so."""
    if _DATE.match(written) or _AMOUNT.match(written):
        return False
    if _MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after) or _OTHER_NUMBER.search(before):
        return False
    is_alone = not before.strip() and not after.strip(" .!")
    return not written.isdigit() or written.startswith("0") or is_alone or _TELEPHONE.search(before) is not None


# ---- links ----------------------------------------------------------------------------------------------------------

_BOOKING = re.compile(
    r"(?:(?:app\.)?(?:calendly|cal|savvycal|tidycal|koalendar)\.com|zcal\.co|calendar\.app\.google|book\.ms"
    r"|meetings(?:-\w+)?\.hubspot\.com|[\w-]+\.chilipiper\.com|scheduler\.zoom\.us|(?:app|go)\.oncehub\.com"
    r"|app\.reclaim\.ai/m|app\.usemotion\.com/meet|doodle\.com/bp|[\w-]+\.pipedrive\.com/scheduler"
    r"|calendar\.google\.com/calendar/(?:u/\d+/)?(?:r/)?appointments"
    r"|outlook\.office(?:365)?\.com/(?:bookwithme|book|owa/calendar))/[^/]"
    r"|[\w-]+\.(?:youcanbook\.me|acuityscheduling\.com|zohobookings\.com|as\.me)(?:/|$)",
    re.IGNORECASE,
)
_BARE = r"(?:www\.|(?:[a-z0-9-]{1,63}\.)?(?:linkedin|calendly|cal|savvycal|tidycal|hubspot|chilipiper)\.com/)"
_LINK = re.compile(
    rf"(?:https?://|(?<![\w@./-])(?={_BARE}))[^\s<>\"`{{}}|\\^\[\]\u00ad\u200b-\u200f\u2060\ufeff]{{4,2000}}",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:[\w-]{1,63}\.)+(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})")
_PROFILE = re.compile(r"/(?:in|pub)/[^/]+")
_NO_WEBSITE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|bmp|ico|tiff?|css|js|ics)$"
    r"|unsubscri|opt-?out|email-?preferences|manage-?preferences|safelinks|urldefense|list-manage"
    r"|^(?:clicks?|track|tracking|trk|open|links?|lnks?|e|t|url\d*)\."
    r"|/(?:track|tracking|trk|clicks?|open|pixel|beacon|wf)(?:/|$)",
    re.IGNORECASE,
)
# What mail programs, meetings and shared pages add to everybody's messages.
_NOT_THEIRS = frozenset(
    {
        "aka.ms",
        "avast.com",
        "cal.com",
        "calendly.com",
        "goo.gl",
        "google.com",
        "linkedin.com",
        "lnkd.in",
        "microsoft.com",
        "office.com",
        "office365.com",
        "onelink.me",
        "proton.me",
        "w3.org",
        "yahoo.com",
        "zoom.us",
    }
)


def _fact_of_link(link: str) -> Fact | None:
    """What an address is, or None: no page of theirs, or no address at all."""
    link = link.rstrip(".,;:!?'*_~)")
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
    except ValueError:
        return None
    host, path = parts.netloc.lower().partition(":")[0], parts.path.rstrip("/")
    if not _HOST.fullmatch(host):  # nor with a user name in it
        return None
    place = f"{host.removeprefix('www.')}{path}"
    if f".{host}".endswith(".linkedin.com") and (profile := _PROFILE.match(path)):
        return _link_fact(FactKind.LINKEDIN_PROFILE, Identity.linkedin_profile(f"linkedin.com{profile[0]}").value)
    if _BOOKING.match(place):
        return _link_fact(FactKind.BOOKING_LINK, f"{place}?{parts.query}" if parts.query else place)
    is_page = not _NO_WEBSITE.search(place) and not _NO_WEBSITE.search(parts.query)
    is_theirs = _NOT_THEIRS.isdisjoint(_domains(host))
    return _link_fact(FactKind.WEBSITE, place) if is_page and is_theirs else None


def _domains(host: str) -> Iterator[str]:
    """The host, and every domain it lies in."""
    while host:
        yield host
        host = host.partition(".")[2]


def _link_fact(kind: FactKind, value: str) -> Fact | None:
    return Fact(kind, value) if len(value) <= MAX_VALUE_CHARS else None
