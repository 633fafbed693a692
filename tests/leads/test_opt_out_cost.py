"""What a hostile text costs: requests to stop are looked for in the webhook itself, on the event loop."""

import subprocess
import sys

import pytest

LOOK = "import sys; from leadjobs.leads.post_process.opt_out import opt_out_in; opt_out_in(sys.stdin.read(), 'email')"


@pytest.mark.parametrize("phrase", ["hi", "no thanks", "dear sir hi team ok", "im not interested", "my number address"])
def test_words_that_can_be_read_in_two_ways_do_not_cost_twice_for_each(phrase: str) -> None:
    """Before there was a bound, 24 times "hi" took twelve seconds and 40 would have taken days; now it is no matter."""
    clause = " ".join([phrase] * (190 // (len(phrase) + 1)))
    mail = f"{clause}. {clause} zebra. " * 100
    subprocess.run([sys.executable, "-c", LOOK], input=mail, text=True, check=True, timeout=20)
