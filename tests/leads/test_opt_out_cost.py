"""What a hostile text costs: requests to stop are looked for in the webhook itself, on the event loop."""

import subprocess
import sys
import timeit
from time import process_time

import pytest

from leadjobs.leads.inbound import Channel
from leadjobs.leads.post_process.opt_out import opt_out_in

LOOK = "import sys; from leadjobs.leads.post_process.opt_out import opt_out_in; opt_out_in(sys.stdin.read(), 'email')"


@pytest.mark.parametrize("phrase", ["hi", "no thanks", "dear sir hi team ok", "im not interested", "my number address"])
def test_words_that_can_be_read_in_two_ways_do_not_cost_twice_for_each(phrase: str) -> None:
    """Before there was a bound, 24 times "hi" took twelve seconds and 40 would have taken days; now it is no matter."""
    clause = " ".join([phrase] * (190 // (len(phrase) + 1)))
    mail = f"{clause}. {clause} zebra. " * 100
    subprocess.run([sys.executable, "-c", LOOK], input=mail, text=True, check=True, timeout=20)


@pytest.mark.parametrize(
    "piece", ["call ", "dont ", "lets ", "a@b ", "the email: ", "1 2 ", "- A ", "A\n", "- A\n", "so ", "\n"]
)
@pytest.mark.parametrize("end", ["", " now", " instead"])
def test_a_long_text_costs_no_more_than_its_length(piece: str, end: str) -> None:
    """Whatever 50,000 characters repeat, in one clause or many."""
    text = (piece * 50_000)[:49_990] + end
    opt_out_in("hi", Channel.EMAIL)  # the first time takes longer
    assert min(timeit.repeat(lambda: opt_out_in(text, Channel.EMAIL), timer=process_time, number=1, repeat=3)) < 0.3
