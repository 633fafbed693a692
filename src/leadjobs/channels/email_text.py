"""What a person wrote in an e-mail, without the history below it, the quotes and the markup.

The marks of quoted history are those that the common mail programs put there: ">" lines, "On ... wrote:", dividers such
as "-----Original Message-----", and Outlook's "From: ... Sent: ... To: ... Subject: ..." block, in the languages that
write them most.  What we cut matters twice: our own words must be neither scored nor read as a request to stop.

For whole mails, as Postmark and SendGrid hand them on, also what addresses and headers tell: whose they are and whether
a person wrote them.
"""

import html as entities
import re
from collections.abc import Callable
from html.parser import HTMLParser

Header = Callable[[str], str | None]
"""The first header of a (lower case) name, None where there is none."""

_LONGEST_KEY = 400  # bytes of a sender's making: longer than any honest Message-ID, and shorter than an index refuses
_DAEMONS = frozenset({"mailer-daemon", "postmaster", "mail-daemon"})

# (the word an attribution starts with, what it ends with), for example "On Sun, 22 Nov 2026 Sam <sam@x> wrote:".
_ATTRIBUTIONS = (
    ("On", r"\bwrote ?:"),
    ("Le", r"\ba écrit ?:"),
    ("El", r"\bescribió ?:"),
    ("Il", r"\bha scritto ?:"),
    ("Em", r"\bescreveu ?:"),
    ("Am", r"\bschrieb\b[^\n]{2,150}:"),
    ("Op", r"\bschreef\b[^\n]{2,150}:"),
    ("Den", r"\bskrev\b[^\n]{0,150}:"),
)
# Never across an empty line, and from the last such word on: "On Tuesday is fine.  On Sun ... wrote:" keeps Tuesday.
_ATTRIBUTION = re.compile(
    "|".join(rf"(?:\b{word}\b(?:(?!\n\s*\n|\b{word}\b)[\s\S]){{4,300}}?{end})" for word, end in _ATTRIBUTIONS)
)
_DATE_OR_ADDRESS = re.compile(r"\b(?:19|20)\d\d\b|@|\b\d{1,2}[./]\d{1,2}[./]\d\d\b")
_OF_A_PERSON_SPEAKING = re.compile(r"\b(?:you|i|we|he|she|they|it)\s+wrote ?:$", re.IGNORECASE)

_DIVIDER = re.compile(
    r"^[-_* ]{2,}(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine|message original|"
    r"mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|forwarded message|"
    r"forwarded by [^\n]{1,200}|reply above this line)[-_* ]*$|^begin forwarded message:$",
    re.IGNORECASE,
)
_FROM = re.compile(r"^[* ]*(?:from|von|de|da|van|från)[* ]?:", re.IGNORECASE)
_SENT = re.compile(
    r"^[* ]*(?:sent|date|gesendet|datum|envoyé|enviado|enviada|inviato|data|fecha|verzonden|skickat)[* ]?:",
    re.IGNORECASE | re.MULTILINE,
)
_TO = re.compile(
    r"^[* ]*(?:to|subject|an|betreff|à|objet|para|asunto|assunto|a|oggetto|aan|onderwerp|till|ämne)[* ]?:",
    re.IGNORECASE | re.MULTILINE,
)
_FLAT_HEADERS = re.compile(r"\bFrom: [^\n]{1,200}? Sent: [^\n]{1,200}? (?:To|Subject): ")
_DEVICE = re.compile(r"^(?:sent from (?:my |outlook|yahoo|mail for)|get outlook for )[^\n]{0,60}$", re.IGNORECASE)
_RULE = re.compile(r"^[-_=* ]{5,}$")

_MOST = 500_000  # characters that are read: nobody writes more, and a hostile mail must not cost seconds
_HEADER_LINES = 8  # Outlook's block has at most From, Sent, To, Cc, Subject, and empty lines when it was HTML.


def own_words(text: str) -> str:
    """What is left of an e-mail's text when all quoted history is cut; empty where nothing is.

    Answers written between or below quoted lines are kept.  Only the first 500,000 characters are read.
    """
    plain = text[:_MOST].replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").replace("\u200b", "")
    # What a quoted line says no longer matters; that it is one tells how an attribution before it is meant.
    marked = "\n".join(">" if line.lstrip().startswith(">") else line.rstrip() for line in plain.split("\n"))
    lines = _above_history(_without_attributions(marked).split("\n"))
    kept = "\n".join(line for line in lines if line != ">" and not _DEVICE.match(line.strip()))
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


def html_to_text(html: str) -> str:
    """The visible text of an HTML e-mail, a line for each block; quoted blocks become ``> `` lines.

    Only the first 500,000 characters are read.
    """
    html = html[:_MOST]
    reader = _Reader()
    try:
        # The last tag makes the reader hand over all text; close() would too, but takes quadratic time on bad markup.
        reader.feed(html + "<br>")
    except AssertionError:  # the standard library's word for a marked section it does not know
        return entities.unescape(re.sub(r"<[^<>]*>", " ", html)).strip()
    return reader.text()


def from_mail_system(address: str) -> bool:
    """True if the address is one that only machines write from: bounces and delivery reports."""
    return address.strip().lower().partition("@")[0] in _DAEMONS


def mailbox_keys(address: str) -> tuple[str, ...]:
    """The tenant keys of an address of ours: without what follows its plus sign, then its domain; none of what is none.

    >>> mailbox_keys("Reply+act_01@in.acme.example")
    ('reply@in.acme.example', 'in.acme.example')
    """
    mailbox, at, domain = address.strip().lower().rpartition("@")
    return (f"{mailbox.partition('+')[0]}@{domain}", domain) if mailbox and at and domain else ()


def message_id(header: Header) -> str | None:
    """The mail's own Message-ID; None where it has none, or one too long for a key."""
    found = (header("message-id") or "").strip()
    return found if 0 < len(found.encode()) <= _LONGEST_KEY else None


def why_no_reply(sender: str, header: Header) -> str | None:
    """Why no person wrote this mail, in plain words; None where nothing says so."""
    if "@" not in sender:
        return "the sender has no address"
    if from_mail_system(sender):
        return "sent by a mail system"
    return "automated reply" if _is_automated(header) else None


def _is_automated(header: Header) -> bool:
    """True if a header says so: RFC 3834's Auto-Submitted, or what programs used before and beside it."""
    # Parameters and comments may follow the word.
    submitted = re.split(r"[\s;(]", (header("auto-submitted") or "no").strip().lower(), maxsplit=1)[0]
    autoreply = (header("x-autoreply") or "no").strip().lower()
    precedence = (header("precedence") or "").strip().lower().replace("-", "_")
    return submitted != "no" or autoreply != "no" or precedence == "auto_reply"


def _without_attributions(text: str) -> str:
    kept, start = [], 0
    for found in _ATTRIBUTION.finditer(text):
        if not _DATE_OR_ADDRESS.search(found[0]) or _OF_A_PERSON_SPEAKING.search(found[0]):
            continue
        kept.append(text[start : found.start()])
        start = found.end()
        # Quoted lines follow: they go by themselves, and an answer below them stays.  Otherwise all below is history.
        if not text[start:].lstrip().startswith(">"):
            return "".join(kept)
    return "".join([*kept, text[start:]])


def _above_history(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if _DIVIDER.match(line.strip()) or _is_header_block(lines[number : number + _HEADER_LINES]):
            return _without_rule(lines[:number])
        if flat := _FLAT_HEADERS.search(line):
            return [*lines[:number], line[: flat.start()].rstrip()]
    return lines


def _without_rule(lines: list[str]) -> list[str]:
    """The lines without the rule that Outlook draws above its block."""
    end = len(lines)
    while end and (not lines[end - 1] or _RULE.match(lines[end - 1])):
        end -= 1
    return lines[:end]


def _is_header_block(lines: list[str]) -> bool:
    if not _FROM.match(lines[0]):
        return False
    below = "\n".join(lines[1:])
    return bool(_SENT.search(below) and _TO.search(below))


class _Reader(HTMLParser):
    """Collects the text of an HTML document, line by line."""

    _UNSEEN = frozenset({"script", "style", "title", "template", "noscript"})
    _BLOCKS = re.compile(
        r"address|article|aside|blockquote|body|br|center|d[dlt]|div|footer|form|h[1-6]|header|hr|html|li|main|ol|p|pre|"
        r"section|table|tbody|t[dhr]|tfoot|thead|ul"
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._unseen: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in self._UNSEEN and self._unseen is None:
            self._unseen = tag
        if tag == "body":  # a document that never closes its head still has a body to read
            self._unseen = None
        if self._BLOCKS.fullmatch(tag):
            self._end_line(empty_too=tag == "br")
        if tag == "blockquote":
            self._quotes += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = None
        if self._BLOCKS.fullmatch(tag):
            self._end_line(empty_too=False)
        if tag == "p":
            self._lines.append("")
        if tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)

    def handle_data(self, data: str) -> None:
        if self._unseen is None:
            self._line.append(data)

    def text(self) -> str:
        self._end_line(empty_too=False)
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip()

    def _end_line(self, *, empty_too: bool) -> None:
        line = " ".join("".join(self._line).split())
        self._line = []
        if line or empty_too:
            self._lines.append(f"> {line}" if self._quotes else line)
