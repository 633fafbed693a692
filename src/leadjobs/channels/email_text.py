"""What a person wrote in an e-mail, without the history below it, the quotes and the markup.

The marks of quoted history are those that the common mail programs put there: ">" lines, "On ... wrote:", dividers such
as "-----Original Message-----", and Outlook's "From: ... Sent: ... To: ... Subject: ..." block, in the languages that
write them most.  What we cut matters twice: our own words must be neither scored nor read as a request to stop.

For whole mails, as Postmark and SendGrid hand them on, also what addresses and headers tell: whose they are, and
whether a person wrote them.
"""

import html as entities
import re
from collections.abc import Callable
from html.parser import HTMLParser

Header = Callable[[str], str | None]
"""The first header of a (lower case) name, None where there is none."""

_LONGEST_KEY = 400  # bytes of a sender's making: longer than any honest Message-ID, and shorter than an index refuses
_DAEMONS = frozenset({"mailer-daemon", "postmaster", "mail-daemon"})

# A name starts a line or a sentence: were each word a start, a hostile mail would cost seconds.
_NAME = r"(?:(?m:^)|(?<=[.!?。！？\n][\s\"'(])|(?<=[。！？]))\w[^\n<>.!?。！？]{0,60}<[^\n<>]{3,100}>"
_DAY = r"(?:\w{2,7}\.?,? )?\d{1,2}\.? \w{3,9}\.? (?:19|20)\d\d"
# The address may stand on a line of its own.
_COLON, _PERHAPS_A_NAME = " ?[:：]", r"(?: ?:|\b[^\n]{2,150}(?:(?<=<)\n[^\s<>]{3,100}>)?:)"
# (what an attribution starts with, its verb, what ends it), for example "On Sun, 22 Nov 2026 Sam <sam@x> wrote:".
_ATTRIBUTIONS = (
    (r"(?:On|At(?= \d{4}-))\b", "wrote", _COLON),
    (r"Le\b", r"a\sécrit", _COLON),
    (r"El\b", "escribió", _COLON),
    (r"Il\b", r"ha\sscritto", _COLON),
    (r"Em\b", "escreveu", _COLON),
    (r"Am\b", r"(?:schrieb|Folgendes\sgeschrieben)", _PERHAPS_A_NAME),
    (r"Op\b", r"(?:schreef|het\svolgende\sgeschreven)", _PERHAPS_A_NAME),
    (r"Den\b", "skrev", _PERHAPS_A_NAME),
    (r"W dniu\b", r"(?:napisał(?:\(?a\)?)?|pisze)", _COLON),
    (r"Wiadomość napisana przez\b", "w dniu", _PERHAPS_A_NAME),
    (r"在", "写道", _COLON),
    (rf"{_NAME} ?于", "写道", _COLON),
    (rf"{_NAME} kirjoitti(?= \d)", "(?:klo|kello)", _PERHAPS_A_NAME),
    (rf"{_NAME} (?:schrieb|schreef|skrev)(?= (?:am|op|den) )", "(?:am|op|den)", _PERHAPS_A_NAME),
    # A day alone is how anybody may begin: here the address must stand, too.
    (_DAY, r"(?<=[>)])\s(?:napisał(?:\(?a\)?)?|kirjoitti)", _COLON),
    (_DAY, "skrev", r" [^\n]{1,150}[>)]:"),
)
# Never across an empty line, and from the last such beginning on: "On Tuesday is fine.  On Sun ... wrote:" keeps
# Tuesday.  Zoho has dashes at both ends, and no colon.  A verb is a whole word, which in Chinese nothing shows.
_ATTRIBUTION = re.compile(
    r"(?:-{3,9} ?)?\b(?:"
    + "|".join(
        rf"{start}(?:(?!\n\s*\n|\b{start})[\s\S]){{0,300}}?(?<![^\W\d\u4e00-\u9fff]){verb}(?:{end}| ?-{{3,9}})"
        for start, verb, end in _ATTRIBUTIONS
    )
    + ")"
)
_DATE_OR_ADDRESS = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|@|\b\d{1,2}[./]\d{1,2}[./]\d\d\b")
_OF_A_PERSON_SPEAKING = re.compile(
    r"\b(?i:you|i|we|he|she|they|it)\s+wrote ?:$|"
    r"\b(?:schrieb|schreef|skrev) (?:ich|du|wir|er|sie|ik|jij|je|wij|hij|zij|ze|jag|jeg|vi|ni|dere|han|hon|hun)\b|"
    r"\b(?:habe|haben|hast|hat er|heb|hebt|hebben|heeft hij) [\s\S]*\b(?:geschrieben|geschreven) ?:$|"
    r"^[^-][\s\S]*-$"  # a dash is Zoho's only where others stand before it
)

_DIVIDER = re.compile(
    r"^[-_* ]{2,}(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine|message original|"
    r"mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|ursprungligt meddelande|"
    r"oprindelig (?:meddelelse|besked)|opprinnelig melding|oryginalna wiadomość|wiadomość oryginalna|"
    r"alkuperäinen viesti|邮件原件|原始邮件|原始郵件|forwarded message|forwarded by [^\n]{1,200}|"
    r"reply above this line)[-_* ]*$|^begin forwarded message:$|"
    # Notes on the web
    rf"^-{{3,9}}[^-\n][^\n]{{0,150}}?\b(?:{'|'.join(verb for _, verb, _ in _ATTRIBUTIONS)}) ?: ?-{{3,9}}$",
    re.IGNORECASE,
)

# What mail programs call the sender, the time of sending, the date, the recipient and the subject.
_HEADERS = (
    ("from", "sent", "date", "to", "subject"),
    ("von", "gesendet", "datum", "an", "betreff"),
    ("de", "envoyé", "date", "à", "objet"),
    ("de", "enviad[oa](?: el| em)?", "fecha|data", "para", "asunto|assunto"),
    ("da", "inviato", "data", "a", "oggetto"),
    ("van", "verzonden", "datum", "aan", "onderwerp"),
    ("från", "skickat", "datum", "till", "ämne"),
    ("fra", "sendt", "dato", "til", "emne"),
    ("od", "wysłan[oey]", "data", "do", "temat"),
    ("lähettäjä", "lähetetty", "päivämäärä|pvm", "vastaanottaja", "aihe"),
    ("发件人|寄件者|寄件人", "发送时间|寄件日期|傳送時間", "日期", "收件人|收件者", "主题|主旨"),
)
_FROM, _SENT, _DATE_LINE, _TO, _SUBJECT = (
    re.compile(rf"^[* ]*(?:{'|'.join(names)})[* ]?[:：]", re.IGNORECASE | re.MULTILINE)
    for names in zip(*_HEADERS, strict=True)
)
# From the last "From:" on, as above.
_FLAT_HEADERS = re.compile(r"\bFrom: (?:(?!From: )[^\n]){1,200}? Sent: (?:(?!Sent: )[^\n]){1,200}? (?:To|Subject): ")
# What a mail program says of itself: the device it runs on, or that its unsubscribe button was pressed.
_PROGRAM = re.compile(
    r"^(?:(?:sent from (?:outlook|yahoo|mail for)|get outlook for )[^\n]{0,60}|"
    r"sent from my [^\s.:!?]+(?: [^\s.:!?]+){0,5}\.?|"
    r"this message was automatically generated by gmail\.?|"
    r"apple mail sent this email to unsubscribe from [^\n]{1,500})$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^[-_=* ]{5,}$")

_MOST = 500_000  # characters that are read: nobody writes more, and a hostile mail must not cost seconds
_HEADER_LINES = 10  # Outlook's block has at most From, Sent, To, Cc, Subject, and empty lines when it was HTML.


def own_words(text: str) -> str:
    """What is left of an e-mail's text when all quoted history is cut; empty where nothing is.

    Answers written between or below quoted lines are kept.  Only the first 500,000 characters are read.
    """
    plain = text[:_MOST].replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").replace("\u200b", "")
    # What a quoted line says no longer matters; that it is one tells how an attribution before it is meant.
    marked = "\n".join(">" if line.lstrip().startswith(">") else line.rstrip() for line in plain.split("\n"))
    lines = _above_history(_without_attributions(marked).split("\n"))
    kept = "\n".join(line for line in lines if line != ">" and not _PROGRAM.match(line.strip()))
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
    if header("x-apple-unsubscribe"):  # a person pressed its button
        return False
    # Parameters and comments may follow the word.
    submitted = re.split(r"[\s;(]", (header("auto-submitted") or "no").strip().lower(), maxsplit=1)[0]
    autoreply = (header("x-autoreply") or "no").strip().lower()
    precedence = (header("precedence") or "").strip().lower().replace("-", "_")
    return submitted != "no" or autoreply != "no" or precedence == "auto_reply"


def _without_attributions(text: str) -> str:
    kept: list[str] = []
    start = 0
    for found in _ATTRIBUTION.finditer(text):
        if not _DATE_OR_ADDRESS.search(found[0]) or _OF_A_PERSON_SPEAKING.search(found[0]):
            continue
        above, beside = text[start : found.start()], text[found.end() :].partition("\n")[0]
        if beside.strip() and "@" not in found[0] and not "".join([*kept, above]).strip():
            continue  # a person who tells what somebody wrote: nobody sends a mail without words
        kept.append(above)
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
    is_sent_first = _SENT.match(lines[0]) is not None  # as GMX puts it
    if not is_sent_first and not _FROM.match(lines[0]):
        return False
    below = "\n".join(lines[1:])
    if is_sent_first:
        return all(header.search(below) for header in (_FROM, _TO, _SUBJECT))
    # From, to and date are what a person may write who asks for a journey.
    return bool((_SENT.search(below) and _TO.search(below)) or (_DATE_LINE.search(below) and _SUBJECT.search(below)))


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
