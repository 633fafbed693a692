"""Texts in which a few phrases come again and again: a pattern that can read them in two ways takes for ever."""

import random
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from leadjobs.leads.post_process.opt_out_rules import VOCABULARY

SECONDS = 5.0  # within which any text is answered; on an idle machine it is a tenth of a second
SIZES = (30, 190, 190, 190, 1_000, 120_000)  # characters; what is read as one clause has 200 at the most
_PHRASES = (  # what people say before, after and around a request
    "hi", "hi there", "dear sir", "team", "ok", "no", "no thanks", "thanks", "please", "sorry", "and", "so", "now",
    "again", "asap", "stop", "stop it", "remove me", "not interested", "im not interested", "do not", "my number",
    "from your list",
)  # fmt: skip
_WORDS = sorted({word for rows in VOCABULARY.values() for row in rows for word in re.findall(r"[a-z]+", row)})
_MARKS = (  # of quoted history, of markup, of addresses, and of nothing at all
    "On ", "Am ", "Den ", "2026 ", "20 Nov 2026 ", "wrote:", "wrote", "schrieb ", "kirjoitti klo ", "From: ", "Sent: ",
    "To: ", "-----", "Original Message", "________", "> ", ">", "Sent from my ", "--\n", "<div>", "</div>", "<", "<!--",
    "&amp;", "&#", "<style>", "<blockquote>", "a@b.example ", "@", "Sam <sam@", "https://", "+44 ", ":", "?", "!", ".",
    ",", "'", '"', " ", "\t", "\n", "\n\n", "\r", "\u00a0", "\u200b", "é", "在", "写道", "x" * 61 + "\n",
)  # fmt: skip


def repeats(dice: random.Random) -> str:
    """One such text, as the dice say."""
    kinds = dice.choices((_PHRASES, _WORDS, _MARKS), (3, 1, 1), k=dice.choice((1, 1, 1, 2, 3)))
    between = dice.choice((" ", " ", " ", "", ". ", "\n"))
    once = between.join(dice.choice(kind) for kind in kinds) + between
    return once * (dice.choice(SIZES) // len(once)) + dice.choice(("", "zebra", "STOP", "?", "\n\nSam"))


@contextmanager
def alarm() -> Iterator[None]:
    """Break off what takes longer: a pattern at work heeds nothing but a signal."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"it took longer than {SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
