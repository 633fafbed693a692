"""Who must not be pursued: one rule, for one lead in Python and for many in SQL."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete, select
from sqlalchemy.orm import Session

from leadjobs.leads.standing import DISQUALIFYING_TAGS, disqualified_by, is_disqualified
from leadjobs.leads.tables import Lead, Workspace
from leadjobs.store.url import sqlalchemy_url

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ({}, None),
        ({"opted_out_at": NOON, "opted_out_why": "said stop"}, "said stop"),
        ({"opted_out_at": NOON, "opted_out_why": None}, "opted out"),
        ({"opted_out_at": NOON, "opted_out_why": "said stop", "bounced_at": NOON}, "said stop"),
        ({"opted_out_why": "said stop, and took it back"}, None),
        ({"bounced_at": NOON}, "their address bounced"),
        ({"bounced_at": NOON, "sentiment_tag": "Blacklist"}, "their address bounced"),
        ({"sentiment_tag": "Blacklist"}, "Blacklist"),
        ({"sentiment_tag": "\u00a0OPT OUT\n"}, "\u00a0OPT OUT\n"),
        ({"sentiment_tag": "interested"}, None),
        ({"sentiment_tag": "not blacklisted"}, None),
        ({"sentiment_tag": ""}, None),
    ],
)
def test_why_a_lead_must_not_be_pursued(known: dict[str, object], why: str | None) -> None:
    """An opt-out, a bounce, or a tag that somebody put there, in this order."""
    assert why == disqualified_by(Lead(**known))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(sqlalchemy_url(url))
    with Session(engine) as session, session.begin():
        session.add(Workspace(id=1, name="Acme"))
    yield engine
    engine.dispose()


SPACE = st.text(st.characters(categories=["Zs", "Zl", "Zp", "Cc"], exclude_characters="\0"), max_size=2)
CASED = st.sampled_from(sorted(DISQUALIFYING_TAGS)).flatmap(
    lambda tag: st.tuples(*(st.sampled_from([letter, letter.upper()]) for letter in tag)).map("".join)
)
TAG = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | CASED
SPACED = st.tuples(SPACE, CASED, SPACE).map("".join)
LEAD = st.fixed_dictionaries(
    {
        "sentiment_tag": TAG | SPACED,
        "opted_out_at": st.none() | st.just(NOON),
        "opted_out_why": st.none() | st.sampled_from(["", "said stop"]),
        "bounced_at": st.none() | st.just(NOON),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LEAD, max_size=40))
@example([{"sentiment_tag": f"blac{letter}list"} for letter in "kK\u212a"])
@example([{"sentiment_tag": f"un{letter}ubscribe"} for letter in "sS\u017f"])
@example([{"sentiment_tag": f"{chr(point)}bounce"} for point in (*range(1, 33), *range(127, 161), 0x200B, 0x3000)])
@example([{"sentiment_tag": "optout"}, {"sentiment_tag": "opt\u00a0out"}, {"sentiment_tag": "BOUNCED\u0307"}])
def test_sql_and_python_agree_on_everybody(engine: Engine, known: list[dict[str, object]]) -> None:
    """Whatever a tag is made of, and whatever else is known."""
    with Session(engine) as session:
        session.execute(delete(Lead))
        session.add_all([Lead(workspace_id=1, **columns) for columns in known])
        session.flush()
        found = session.execute(select(Lead, is_disqualified())).all()
        assert len(known) == len(found)
        assert [] == [lead.sentiment_tag for lead, is_out in found if is_out is not (disqualified_by(lead) is not None)]
