"""What others are shown: masked names, and the places of a list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadjobs.leads.views import IdentityView, masked


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("email", "maya.ortiz@brightsmile.example", "m***@brightsmile.example"),
        ("email", "m@brightsmile.example", "***@brightsmile.example"),
        ("email", '"m@o"@brightsmile.example', '"***@brightsmile.example'),
        ("email", "maya", "m***"),
        ("email", "", "***"),
        ("phone", "+447700900123", "+44*******123"),
        ("phone", "07700900123", "077*****123"),
        ("phone", "+12345678", "*********"),
        ("phone", "60777", "*****"),
        ("phone", "", ""),
        ("linkedin_profile", "linkedin.com/in/maya-ortiz", "linkedin.com/in/m***"),
        ("linkedin_profile", "maya-ortiz", "m***"),
        ("linkedin", "ACoAAB1x", "A***"),
        ("a_kind_of_tomorrow", "maya@brightsmile.example", "m***"),
    ],
)
def test_a_masked_name_tells_leads_apart_and_reaches_nobody(kind: str, value: str, shown: str) -> None:
    """The domain, the country and three digits stay; what is short or of no known kind shows hardly anything."""
    assert shown == masked(kind, value)
    assert shown == IdentityView(kind=kind, value=value).masked().value


@given(st.text("+0123456789", min_size=1, max_size=20))
def test_of_a_number_at_least_four_digits_are_hidden_or_all(number: str) -> None:
    """And the stars are as many as what they stand for."""
    shown = masked("phone", number)
    assert len(number) == len(shown)
    assert shown.count("*") >= min(4, len(number))
