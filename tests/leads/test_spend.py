"""What AI cost: sums that are exact, groups that add up, and a command line that shows them."""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from typer.testing import CliRunner, Result

from leadjobs.cli.ai import ai as ai_command
from leadjobs.errors import SchemaBehindError, SettingsError
from leadjobs.leads.ai.spend import Bill, By, Spend, newest_failures, read_bill
from leadjobs.store.connection import connect

WORKSPACE = (
    "INSERT INTO workspace (name) VALUES (%s) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id"
)
CALL = """
INSERT INTO ai_interaction (
    workspace_id, source, feature, prompt_version, api, model, call_no, max_output_tokens, price_version, status,
    input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd_micros, latency_ms, request_id, error,
    created_at
) VALUES (
    %(workspace_id)s, %(source)s, %(feature)s, 'v1', 'responses', %(model)s, 1, 400, '2026-11-22', %(status)s,
    %(input_tokens)s, %(cached_tokens)s, %(output_tokens)s, %(reasoning_tokens)s, %(cost_usd_micros)s, %(latency_ms)s,
    %(request_id)s, %(error)s, now() - make_interval(hours => %(hours_ago)s)
)
"""
SUCCEEDED: dict[str, Any] = {
    "workspace": "Acme",
    "source": "background-job/lead-scoring-post-process",
    "feature": "lead_scoring.score",
    "model": "gpt-5-nano",
    "status": "succeeded",
    "input_tokens": 1_000,
    "cached_tokens": 100,
    "output_tokens": 200,
    "reasoning_tokens": 150,
    "cost_usd_micros": 126,
    "latency_ms": 900,
    "request_id": "req_1",
    "error": None,
    "hours_ago": 1,
}
NO_BILL: dict[str, Any] = dict.fromkeys(
    ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd_micros")
)
ASKED = SUCCEEDED | NO_BILL | {"status": "asked", "latency_ms": None, "request_id": None}
REFUSED = SUCCEEDED | NO_BILL | {"status": "failed", "error": "ProviderRefusedError: OpenAI refused the request"}
INVALID = SUCCEEDED | {"status": "failed", "error": "InvalidAnswerError: reply is empty"}
TIMED_OUT = REFUSED | {"request_id": None, "error": "ProviderUnavailableError: it may have been billed"}


def keep(url: str, calls: Sequence[dict[str, Any]]) -> None:
    with psycopg.connect(url) as connection:
        for call in calls:
            row = connection.execute(WORKSPACE, [call["workspace"]]).fetchone()
            assert row is not None
            connection.execute(CALL, call | {"workspace_id": row[0]})


async def bill(url: str, by: By = By.WORKSPACE, *, days: int = 30, workspace: str | None = None) -> Bill:
    async with connect(url) as connection:
        return await read_bill(connection, by, days=days, workspace=workspace)


# The sums


async def test_a_bill_says_what_each_workspace_used_and_cost(url: str) -> None:
    """All counts, the dearest first, and the sum of all."""
    keep(url, [SUCCEEDED, INVALID, REFUSED, ASKED, SUCCEEDED | {"workspace": "Bolt", "cost_usd_micros": 253}])

    found = await bill(url)

    bolt, acme = found.lines
    assert ("Bolt", 1, Decimal("0.000253"), True) == (bolt.name, bolt.calls, bolt.cost_usd, bolt.cost_complete)
    expected = Spend(
        name="Acme",
        calls=4,
        succeeded=1,
        failed=2,
        without_end=1,
        input_tokens=2_000,
        cached_tokens=200,
        output_tokens=400,
        reasoning_tokens=300,
        cost_usd=Decimal("0.000252"),
        cost_complete=False,
        p95_latency_ms=900,
    )
    assert expected == acme
    assert (None, 5, 3_000, Decimal("0.000505"), False) == (
        found.total.name,
        found.total.calls,
        found.total.input_tokens,
        found.total.cost_usd,
        found.total.cost_complete,
    )


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.WORKSPACE, {"Acme", "Bolt"}),
        (By.FEATURE, {"lead_scoring.score", "reply.draft"}),
        (By.MODEL, {"gpt-5-nano", "gpt-6-luna"}),
        (By.SOURCE, {"background-job/lead-scoring-post-process", "cli"}),
    ],
)
async def test_calls_are_summed_up_by_what_is_asked_for(url: str, by: By, names: set[str]) -> None:
    """One line for each, and the same total."""
    other = {"workspace": "Bolt", "feature": "reply.draft", "model": "gpt-6-luna", "source": "cli"}
    keep(url, [SUCCEEDED, SUCCEEDED, SUCCEEDED | other])

    found = await bill(url, by)

    assert names == {line.name for line in found.lines}
    assert [2, 1] == [line.calls for line in found.lines]
    assert (3, by) == (found.total.calls, found.by)


async def test_days_are_utc_and_the_newest_comes_first(url: str, db: AsyncConnection[DictRow]) -> None:
    """Half past midnight is the new day wherever the server stands, and a cheap day is not moved down."""
    keep(url, [SUCCEEDED | {"hours_ago": hours} for hours in (24, 48, 48)])
    await db.execute("UPDATE ai_interaction SET created_at = date_trunc('day', created_at, 'UTC') + interval '30 min'")
    await db.execute(f"ALTER DATABASE {db.info.dbname} SET timezone = 'Pacific/Honolulu'")
    days = "SELECT ((now() AT TIME ZONE 'UTC')::date - ago)::text AS day FROM unnest(ARRAY[1, 2]) AS ago"
    yesterday, before = [row["day"] for row in await (await db.execute(days)).fetchall()]

    found = await bill(url, By.DAY)

    assert [(yesterday, 1), (before, 2)] == [(line.name, line.calls) for line in found.lines]


async def test_the_databases_clock_says_what_is_too_old(url: str) -> None:
    """What is older than the days asked for is in no line and no sum."""
    keep(url, [SUCCEEDED | {"hours_ago": hours} for hours in (1, 23, 25, 24 * 29, 24 * 31)])

    assert [2, 4, 5] == [(await bill(url, days=days)).total.calls for days in (1, 30, 365)]


async def test_one_workspaces_bill_holds_nobody_elses_calls(url: str) -> None:
    """Lines and total are that workspace's alone."""
    keep(url, [SUCCEEDED, SUCCEEDED | {"workspace": "Bolt"}, SUCCEEDED | {"workspace": "Bolt", "model": "gpt-6-luna"}])

    found = await bill(url, By.MODEL, workspace="Bolt")

    assert (["gpt-5-nano", "gpt-6-luna"], 2, "Bolt") == (
        [line.name for line in found.lines],
        found.total.calls,
        found.workspace,
    )


async def test_without_calls_the_bill_is_nothing(url: str) -> None:
    """No line, zeros, and nothing that is missing."""
    found = await bill(url)

    assert () == found.lines
    assert (0, Decimal(0), True, None) == (
        found.total.calls,
        found.total.cost_usd,
        found.total.cost_complete,
        found.total.p95_latency_ms,
    )


async def test_an_unknown_workspace_is_an_error_not_an_empty_bill(url: str) -> None:
    """A name with a slip of the pen would otherwise look like somebody who spent nothing."""
    keep(url, [SUCCEEDED])
    async with connect(url) as connection:
        with pytest.raises(SettingsError, match=r"no workspace 'acme': `leadjobs workspaces list`"):
            await read_bill(connection, By.DAY, days=30, workspace="acme")
        with pytest.raises(SettingsError, match="no workspace 'acme'"):
            await newest_failures(connection, days=30, workspace="acme")


@pytest.mark.parametrize(
    "call",
    [
        ASKED,
        TIMED_OUT,
        SUCCEEDED | {"cost_usd_micros": None},
        INVALID | {"cost_usd_micros": None},
        SUCCEEDED | NO_BILL,
    ],
    ids=["no end", "timed out", "no price", "failed, no price", "no usage"],
)
async def test_a_cost_that_may_be_more_says_so(url: str, call: dict[str, Any]) -> None:
    """Complete is what is priced, and what the provider refused without a bill; all else is a lower bound."""
    keep(url, [SUCCEEDED, INVALID, REFUSED])
    assert (await bill(url)).total.cost_complete

    keep(url, [call])
    assert not (await bill(url)).total.cost_complete


async def test_costs_are_exact(url: str) -> None:
    """Millionths add up to the last digit, also in sums that no float holds."""
    keep(url, [SUCCEEDED | {"cost_usd_micros": micros} for micros in (1, 2, 9_007_199_254_740_993)])

    total = (await bill(url)).total

    assert Decimal("9007199254.740996") == total.cost_usd
    assert "9007199254.740996" == json.loads(total.model_dump_json(by_alias=True))["costUsd"]


async def test_the_slowest_twentieth_begins_at_p95(url: str) -> None:
    """A latency that was measured, not one between two; calls without one do not count."""
    keep(url, [SUCCEEDED | {"latency_ms": ms} for ms in range(1, 101)] + [ASKED] * 30)

    assert 95 == (await bill(url)).total.p95_latency_ms


_calls = st.lists(
    st.tuples(
        st.sampled_from([SUCCEEDED, INVALID, REFUSED, ASKED, TIMED_OUT]),
        st.fixed_dictionaries(
            {
                "workspace": st.sampled_from(["Acme", "Bolt", "all", ""]),
                "feature": st.sampled_from(["lead_scoring.score", "reply.draft"]),
                "model": st.sampled_from(["gpt-5-nano", "gpt-6-luna", ""]),
                "source": st.sampled_from(["cli", "background-job/x"]),
                "hours_ago": st.integers(0, 24 * 40),
            }
        ),
        st.integers(0, 10**12),
    ).map(lambda drawn: drawn[0] | drawn[1] | ({"cost_usd_micros": drawn[2]} if drawn[0]["cost_usd_micros"] else {})),
    max_size=12,
)


@given(calls=_calls)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_calls_are_summed_up_by_they_add_up_to_the_same(url: str, calls: list[dict[str, Any]]) -> None:
    """For any calls, each grouping's lines add up to the total, the total is that of all calls, and nothing is lost."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM workspace")
    keep(url, calls)
    recent = [call for call in calls if call["hours_ago"] < 24 * 30]
    summed = ("calls", "succeeded", "failed", "without_end", "input_tokens", "cached_tokens", "output_tokens")

    bills = asyncio.run(_all_bills(url))

    assert 1 == len({found.total for found in bills})
    for found in bills:
        for name in (*summed, "reasoning_tokens", "cost_usd"):
            assert getattr(found.total, name) == sum(getattr(line, name) for line in found.lines), (found.by, name)
        assert found.total.cost_complete is all(line.cost_complete for line in found.lines)
        assert len({line.name for line in found.lines}) == len(found.lines)
    total = bills[0].total
    assert (len(recent), Decimal(sum(call["cost_usd_micros"] or 0 for call in recent)) / 1_000_000) == (
        total.calls,
        total.cost_usd,
    )
    assert total.calls == total.succeeded + total.failed + total.without_end


async def _all_bills(url: str) -> list[Bill]:
    async with connect(url) as connection:
        return [await read_bill(connection, by, days=30) for by in By]


# The command line


@pytest.fixture
def leadjobs_ai(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", url)
    app = typer.Typer()
    app.command()(ai_command)

    def run(*argv: str, code: int = 0) -> Result:
        done = CliRunner().invoke(app, list(argv))
        assert code == done.exit_code, done.output
        return done

    return run


def test_the_table_says_where_the_money_went(url: str, leadjobs_ai: Any) -> None:
    """A line for each workspace and one for all; an amount that may be more says so."""
    keep(url, [SUCCEEDED, ASKED, SUCCEEDED | {"workspace": "Bolt [x]", "cost_usd_micros": 4_000_000}])

    rows = [line.split() for line in leadjobs_ai().stdout.splitlines()]

    assert ["workspace", "calls", "succeeded", "failed", "without", "end"] == rows[0][:6]
    assert ["Bolt", "[x]", "1", "1", "0", "0", "1000", "100", "200", "150", "4.000000", "900"] == rows[1]
    assert ["Acme", "2", "1", "0", "1", "1000", "100", "200", "150", "at", "least", "0.000126", "900"] == rows[2]
    assert ["all", "3", "2", "0", "1", "2000", "200", "400", "300", "at", "least", "4.000126", "900"] == rows[3]


def test_scripts_get_json_with_camel_case_names(url: str, leadjobs_ai: Any) -> None:
    """Amounts are texts with six digits, for no float holds them all."""
    keep(url, [SUCCEEDED])

    found = json.loads(leadjobs_ai("--by", "feature", "--days", "7", "--workspace", "Acme", "--json").stdout)

    line = {
        "name": "lead_scoring.score",
        "calls": 1,
        "succeeded": 1,
        "failed": 0,
        "withoutEnd": 0,
        "inputTokens": 1000,
        "cachedTokens": 100,
        "outputTokens": 200,
        "reasoningTokens": 150,
        "costUsd": "0.000126",
        "costComplete": True,
        "p95LatencyMs": 900,
    }
    total = line | {"name": None}
    expected = {"by": "feature", "days": 7, "workspace": "Acme", "lines": [line], "total": total, "today": []}
    assert expected == found


def test_errors_are_the_newest_failures(url: str, leadjobs_ai: Any) -> None:
    """Newest first, no more than asked for, failed ones alone, each with its class."""
    keep(url, [INVALID | {"hours_ago": hours} for hours in (3, 2, 800)] + [SUCCEEDED, ASKED, TIMED_OUT])

    found = json.loads(leadjobs_ai("--errors", "--json").stdout)
    table = leadjobs_ai("--errors", "--limit", "1").stdout
    older = json.loads(leadjobs_ai("--errors", "--days", "40", "--json").stdout)

    assert ["ProviderUnavailableError", "InvalidAnswerError", "InvalidAnswerError"] == [
        each["error"].partition(":")[0] for each in found
    ]
    assert found == older[:3]
    assert 4 == len(older)
    assert "ProviderUnavailableError" in table
    assert "InvalidAnswerError" not in table


@pytest.mark.parametrize("argv", [("--by", "person"), ("--days", "0"), ("--days", "x"), ("--limit", "0"), ("acme",)])
def test_misuse_is_told_before_anything_is_read(leadjobs_ai: Any, argv: tuple[str, ...]) -> None:
    """Exit code 2 and a usage line, as everywhere on the command line."""
    assert "Usage" in leadjobs_ai(*argv, code=2).output


def test_what_cannot_be_read_is_an_error_of_ours(
    leadjobs_ai: Any, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown workspace, and a database that was never migrated."""
    assert isinstance(leadjobs_ai("--workspace", "Nope", code=1).exception, SettingsError)
    monkeypatch.setenv("DATABASE_URL", empty_url)
    assert isinstance(leadjobs_ai(code=1).exception, SchemaBehindError)
