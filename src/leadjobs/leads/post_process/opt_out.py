"""Does a reply ask us to stop?  Fixed rules, no model: a request to stop must be heard every time, and explained.

Two kinds of rule, whose words are in opt_out_rules.py.  *Keywords* are whole messages: the words on which carriers
stop delivery (the CTIA's list, and those of the FCC's revocation rule of 2025).  *Requests* are clauses that ask for it
in so many words: a clause must be such a request from its first word to its last, with nothing but courtesies around
it.  So "can you stop by on Tuesday?" and "take me off your list of maybes" match nothing, and no word counts by itself:
*spam*, *blocked*, *rejected* and *stop* are everyday words of people who are about to buy.

Where a reply is in two minds ("don't email me, call me"; "if you are an agency, remove me from your list") there is no
clear request: these rules stay silent, and the model and people read it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from leadjobs.leads.inbound import Channel, Consent
from leadjobs.leads.post_process.opt_out_rules import (
    BARE,
    CARRIER_WORDS,
    REMOVAL,
    SILENCE,
    START_WORDS,
    VOCABULARY,
    WHOLE,
    WHOLE_QUESTION,
)

# ---- the rules, compiled ---------------------------------------------------------------------------------------------

_AT_MOST: Final = "{0,4}"  # of what may come again and again: words that can be read in two ways cost twice for each


def _pattern(rule: str) -> str:
    """The regular expression of a rule; each word takes the space behind it along."""
    return "".join(_place(place) for place in rule.split())


def _place(place: str) -> str:
    if place == "...":
        return ".*"
    how_often = place[-1] if place[-1] in "?*" else ""
    words = place.removesuffix(how_often).split("|")
    return f"(?:{'|'.join(map(_choice, words))}){_AT_MOST if how_often == '*' else how_often}"


def _choice(word: str) -> str:
    if word.isupper():
        return "|".join(_pattern(rule) for rule in VOCABULARY[word])
    return word.replace("_", " ") + " "


@cache
def _compiled(rules: tuple[str, ...]) -> re.Pattern[str]:
    # At the first use: it takes a tenth of a second for all rules together, and who hears of no reply does not pay it.
    return re.compile("|".join(_pattern(rule) for rule in rules))


# ---- what makes a request unclear -----------------------------------------------------------------------------------

_WAYS = "call|text|phone|ring|whatsapp|message|email|ping|dm|contact|reach|try|send"
_MEDIA = "emails?|emailing|texts?|texting|phone|calls?|calling|a call|sms|whatsapp"
_WANTED = "demo|trial|quote|proposal|pricing|price|offer|deal|contract|meeting|appointment|call|chat|brochure|updates"
_ADVERBS = "(?:(?:would|do|just|still|really|very|quite|also|only) )*"
_COURTESY = "(?:(?:please|but|and|do|just|still|also|you can|better|rather|instead|feel free to) )*"
_OTHER = "(?:my|our) (?:new|other|right|correct|current)"
# "Email me again", "send me a confirmation", "tell me how you got my address" and "give me a break" offer nothing.
_NO_MORE = r"(?!.*\b(?:again|one more time|no more|never|confirm|confirms|confirmation|done|got|gave|found|break)\b)"
_THREAT = re.compile(
    r"\b(?:sue|police|harass\w*|legal action|my (?:lawyer|attorney|solicitor)|report (?:you|this|it))\b"
)
_STAYS = re.compile(  # wants to be written to in another way, elsewhere, or about something else
    rf"{_NO_MORE}(?:{_COURTESY}(?:"
    r"(?:keep|continue) (?:to |on )?(?:the|me|us|in|emailing|mailing|sending|texting|messaging|calling|writing)\b.*|"
    r"stay (?:in touch|on)\b.*|"
    rf"(?:(?!your )\w+ )?(?:{_MEDIA}) (?:works?|(?:is|are|works?) (?:still )?"
    r"(?:fine|ok|okay|good|great|better|best|welcome)\b.*)|"
    r"(?:i|we|id|wed) (?:would )?(?:prefer|rather) "
    rf"(?:(?:to )?(?:talk|speak|meet|call|text)|(?:(?:the|your|by) )?(?:{_MEDIA}))\b.*|"
    rf"(?:call|text|phone|ring|whatsapp|email|reach) (?:me|us|{_OTHER})\b.*|"
    r"(?:call|text|phone|ring|email|write|contact|try)(?: to)? this (?:number|address)\b.*|"
    r"(?:send|give|show) (?:me|us) (?:the|a|your|more)\b.*|"
    r"(?:use|try|update|replace|import) (?:my|our|this|the)\b.*|"
    r"(?:add|put (?=me|us|my|our|this))\b(?!.*\b(?:do not|dont|black ?list)\b).*)|"
    rf"(?:i|we|id|wed) {_ADVERBS}(?:like|love|want|need) (?:\w+ ){{0,4}}(?:{_WANTED})\b.*|"
    rf"(?:im|i am|were|we are) {_ADVERBS}interested\b.*|"
    rf".*\b(?:{_OTHER}|a new) (?:\w+ )?(?:one|number|email|address|phone|cell)\b.*\bthis (?:number|address)\b.*|"
    r"(?=.* instead$).*\b(?:use|try|call|phone|ring|text|email|write|send|contact)\b.*|"
    r".*\blets (?:keep )?(?:meet|talk|talking|chat|speak|schedule|book)\b.*)"
)
_TALKS_ON = re.compile(  # offers a way or a meeting, asks for something, or promises to write
    rf"{_NO_MORE}(?:{_COURTESY}(?:"
    rf"(?:{_WAYS}) (?:me|us|my)\b.*|(?:here is|heres) (?:my|our|the)\b.*|"
    rf"(?:ill|i will|well|we will) (?:(?:{_WAYS}) (?:you|back|later)|be in touch|get back)\b(?!.* if\b).*)|"
    r"(?:(?:just|please|then) )*(?:call|ring|phone|talk|speak|meet|"
    r"(?:talk|speak|meet) (?:to|with|on|over|by|me|us)\b.*|"
    r"(?:send|give|show) (?:the|a|an|more)\b.*|send (?:it|them|these|this|everything) to (?!some|any).*|"
    r"tell (?:me|us) (?:more|about|what|when)\b.*|sign (?:me|us) up\b.*|pick up\b.*|answer (?:me|my|us|our|the)\b.*|"
    r"start (?:calling|texting|emailing|over)\b.*|come (?:by|over|and see|to (?:the|my|our))\b.*|"
    r"(?:book|visit|schedule) (?:me|us|my|our|a|the)\b.*)|"
    r".*\b(?:lets|can we|shall we|could we) (?:meet|talk|chat|speak|call|schedule|book)\b.*|"
    r".*\bsigned (?:the|your) (?:contract|offer|order|quote|proposal)\b.*)"
)
_CONDITION = re.compile(
    r"(?:and |but |only |not |even |or )?(?:if(?! you (?:would|could)\b| possible)|unless|until|till|except|in case|"
    r"whenever|when(?! i (?:said|say|asked)))\b"
)
_TIME = re.compile(
    r"(?:at least )?(?:not )?(?:(?:on|at|in|during|over) .*\b(?:weekends?|nights?|work|hours|\w+days?|holidays?|lunch|"
    r"mornings?|evenings?|meetings?|shift|noon|\d+ ?[ap]m)|(?:before|after) \d+(?: ?[ap]m)?|while .*|for now|today|"
    r"tomorrow|tonight|weekends|(?:this|next) (?:week|month|quarter)|late at night|(?:\w+ )?\w+s only|"
    r"(?=.* now$)(?:.* )?(?:do not|dont)\b.*|its .*\b\d+ ?[ap]m|"
    r"(?:im|i am) (?:driving|away|at work|in (?:a|the|class|court|surgery)\b.*|"
    r"on (?:a|the phone|holiday|vacation|leave|shift)\b.*))"
)
_QUOTING = re.compile(  # the words before words that are only mentioned
    r"(?:.* )?(?:says?|said|saying|tells?|telling|told|writes?|wrote|repl(?:y|ies|ied|ying)|respond(?:s|ed)?|types?|"
    r"texts?|asks?|asked|asking|complain(?:s|ed|ing)?|like|eg|example|subject|phrase|words?|button|link|titled|called)"
    r"(?: us| them| you)?"
)
_OWN_REQUEST = re.compile(
    r"(?:.* )?(?:i|ive|i have|we|weve|we have|do i have to|must i) (?:\w+ )?"
    r"(?:say|said|asked?|told|wrote|write)(?: you)?"
)
_NEGATED = re.compile(
    r"\b(?:do not|dont|never|would not|wouldnt|should not|shouldnt|will not|wont|cannot|cant|not to)\b"
)
_ASKED = re.compile(
    r"\b(?:please|pls|plz|kindly|(?:can|could|will|would) (?:you|u|someone|it be)|(?:can|could|may) (?:i|we)|"
    r"how|where|what|is there a way)\b"
)
_STATED = re.compile(r"(?:i|we|id|wed|im|ive|weve) ")

# ---- taking a message apart -----------------------------------------------------------------------------------------

_NEAR_TOP = 3  # sentences; deeper down, a lone "Unsubscribe" is the foot of the sender's own newsletter
_MOST, _MOST_SENTENCES = 50_000, 500  # characters and sentences that are read: a hostile mail must not cost seconds
_SHORT_INTRODUCTION = 2  # words before a colon: "short answer: ..."
_LONGEST_CLAUSE = 200
_LONGEST_KEYWORD = 120  # longer messages are none, and need no compiled rules
_LONGEST_QUOTE = 80
_MOST_NAMED = 5
_WRAPPED = re.compile(r"(?m)^([^\n]{60,}[^\n.!?:])\n(?=[^\n\s])")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_JOINT = re.compile(
    r"(\s*[,;:()\u2013\u2014]+(?:\s+(?:and|but|so|&)\b)?\s*|\s+-+\s+|"
    r"\s+(?:and|but|so(?! (?:late|early|often|much|many|frequently|kind|good)\b)|&)\s+)",
    re.IGNORECASE,
)
_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb'
_QUOTATION = re.compile(f"[{_QUOTES}][^{_QUOTES}\n]*[{_QUOTES}]")
# An address or a number that is spelled out, with what it is called.
_CALLED = r"(?:\b(?:the|this|my) (?:following )?(?:e-?mail |phone )?(?:address|e-?mail|number):? |: )?"
_ADDRESS = re.compile(rf"{_CALLED}(?<![\w.+-])[\w.+-]{{1,64}}@[\w.-]{{1,200}}", re.IGNORECASE)
_NUMBER = re.compile(rf"{_CALLED}(?<![\w+(])\+?\(?\d[\d ().-]{{5,18}}\d(?!\w)", re.IGNORECASE)
_NAME = r"[^\W\d_a-z][\w'.]*"
_SIGNATURE = re.compile(rf"(?: [-~\u2013\u2014]+|\n) ?-? ?{_NAME}(?: {_NAME}){{0,2}}$")
_WHO_IS_THIS = re.compile(r"\bwho(?:'s|\u2019s|s| is) this\s*\?+", re.IGNORECASE)
_OF_ANOTHER_MAIL = re.compile(  # what mail programs put before the subject of an answer, or of a mail that goes on
    r"(?:re|r|aw|sv|vs|antw|odp|res|fwd?|wg|tr|rv|vl|pd|doorst|回复|答复|回覆|转发|轉寄)(?:\[\d+\])? ?[:：]",
    re.IGNORECASE,
)
_ENDINGS = f" !?.){_QUOTES}"


@dataclass(frozen=True, slots=True)
class _Clause:
    """A part of a sentence, as written and as matched; ``joint`` stands between it and the clause before."""

    written: str
    words: str
    joint: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One sentence or line."""

    written: str
    words: str
    is_question: bool
    clauses: tuple[_Clause, ...]
    stays: bool
    talks_on: bool


def _sentences(text: str) -> Iterator[_Sentence]:
    parts = _BETWEEN_SENTENCES.split(_WRAPPED.sub(r"\1 ", text), maxsplit=_MOST_SENTENCES)[:_MOST_SENTENCES]
    for written in filter(plain, parts):
        # What is quoted is talked about, not asked for; unless there is nothing but the quotation.
        spoken = _QUOTATION.sub(" quotation ", written.strip(f" .!{_QUOTES}"))
        spoken = _named(spoken)
        pieces = ["", *_JOINT.split(spoken)]
        clauses = tuple(
            _Clause(piece.strip(), plain(piece), joint.strip().lower())
            for joint, piece in zip(pieces[::2], pieces[1::2], strict=True)
            if plain(piece)
        )
        threatens = any(_THREAT.search(clause.words) for clause in clauses)
        yield _Sentence(
            written=written,
            words=plain(_SIGNATURE.sub("", spoken)),
            is_question="?" in written[len(written.rstrip(_ENDINGS)) :],
            clauses=clauses,
            stays=not threatens and any(_STAYS.fullmatch(clause.words) for clause in clauses),
            talks_on=not threatens and any(_TALKS_ON.fullmatch(clause.words) for clause in clauses),
        )


def _named(text: str) -> str:
    """The text with the first addresses and numbers called so: which one it is, nobody need know."""
    return _NUMBER.sub(" this number", _ADDRESS.sub(" this address", text, _MOST_NAMED), _MOST_NAMED)


def plain(text: str) -> str:
    """The words alone: lower case, without apostrophes and punctuation, one space between them."""
    folded = re.sub("['\u2018\u2019`\u00b4]", "", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.sub(r"[\W_]+", " ", folded.replace("e-mail", "email")).split())


# ---- the answers ----------------------------------------------------------------------------------------------------


def asks_to_stop(text: str, channel: Channel, consent: str | None) -> str | None:
    """Why a message asks us to stop, by the provider's own word or by its text; None where it does not."""
    if consent == Consent.STOPPED:
        return "the provider says that they opted out"
    return opt_out_in(text, channel)


def opt_out_in(text: str, channel: Channel) -> str | None:
    """Why this reply is a request to stop, in plain words, or None where it is none.

    ``text`` holds the sender's own words; lines quoted with ">" are skipped in any case.  The reason quotes the words
    that asked: ``asked to stop: 'STOP'``.
    """
    lines = (" ".join(line.split()) for line in text[:_MOST].splitlines() if not line.lstrip().startswith(">"))
    own = "\n".join(lines).strip()
    if keyword := _keyword_in(own, channel):
        return _asked("to stop", keyword)
    sentences = tuple(_sentences(own))
    for number, sentence in enumerate(sentences):
        near = sentences[max(0, number - 1) : number + 2]
        stays = any(one.stays for one in near)
        talks_on = stays or any(one.talks_on for one in near)
        is_plain_bare = number < _NEAR_TOP and not talks_on and not sentence.is_question
        if is_plain_bare and _is(BARE, sentence.words):
            return _asked("to stop", sentence.written)
        if not stays and (request := _request_in(sentence, talks_on=talks_on)):
            return _asked("to stop", request)
    return None


def request_in(subject: str | None) -> str:
    """The subject of a mail where it asks us to stop, else nothing: an unsubscribe button sends no other words.

    One that answers or forwards a mail is of that mail, and may be ours.
    """
    asked = (subject or "").strip()
    return asked if not _OF_ANOTHER_MAIL.match(asked) and opt_out_in(asked, Channel.EMAIL) else ""


def opt_in_in(text: str, channel: Channel) -> str | None:
    """Why this reply takes an earlier request to stop back, or None where it does not.

    Only the carriers' own words do, as a whole text message: a YES may answer any question.
    """
    if channel is Channel.SMS and "?" not in text and plain(text) in START_WORDS:
        return _asked("to start again", text)
    return None


def _is(rules: tuple[str, ...], words: str) -> bool:
    return len(words) <= _LONGEST_CLAUSE and _compiled(rules).fullmatch(f"{words} ") is not None


def _keyword_in(text: str, channel: Channel) -> str | None:
    """The message, or what stands above its signature, if it is a keyword."""
    text = _WHO_IS_THIS.sub("who is this", text)
    is_question = "?" in text
    if channel is Channel.SMS and not is_question and plain(text) in CARRIER_WORDS:
        return text
    above = text.partition("\n\n")[0]
    if "!" in above:  # "Stop!" and a line below it may well be delight.
        parts = [text]
    else:
        parts = [text, above, *(_SIGNATURE.sub("", part) for part in (text, above) if len(part) <= _LONGEST_CLAUSE)]
    rules = WHOLE_QUESTION if is_question else WHOLE
    return next((part for part in parts if len(words := plain(part)) <= _LONGEST_KEYWORD and _is(rules, words)), None)


def _request_in(sentence: _Sentence, *, talks_on: bool) -> str | None:
    """The clause of the sentence that clearly asks us to stop, as written."""
    before: _Clause | None = None
    for clause in sentence.clauses:
        is_removal = _is(REMOVAL, clause.words)
        if is_removal or (not talks_on and _is(SILENCE, clause.words)):
            unclear = (
                _is_conditional(sentence, is_removal=is_removal)
                or _is_reported(clause, before)
                or _is_negated(clause, before)
            )
            is_asked = not sentence.is_question or _ASKED.search(clause.words) or _STATED.match(clause.words)
            if is_asked and not unclear:
                return clause.written
        before = clause
    return None


def _is_conditional(sentence: _Sentence, *, is_removal: bool) -> bool:
    return any(
        _CONDITION.match(clause.words) or (not is_removal and _TIME.fullmatch(clause.words))
        for clause in sentence.clauses
    )


def _is_reported(clause: _Clause, before: _Clause | None) -> bool:
    if before is None or _OWN_REQUEST.fullmatch(before.words):
        return False
    is_introduced = clause.joint.startswith(":") and len(before.words.split()) > _SHORT_INTRODUCTION
    return is_introduced or _QUOTING.fullmatch(before.words) is not None


def _is_negated(clause: _Clause, before: _Clause | None) -> bool:
    """True for the second half of "don't give up and remove me from your list"."""
    is_joined = before is not None and clause.joint.endswith(("and", "&")) and bool(_NEGATED.search(before.words))
    return is_joined and not _ASKED.search(clause.words)


def _asked(what: str, written: str) -> str:
    words = " ".join(written.split()).strip(f" .,;!{_QUOTES}")
    return f"asked {what}: '{words if len(words) <= _LONGEST_QUOTE else words[:_LONGEST_QUOTE] + '...'}'"
