"""What must be true at the end of a chaos run, whatever happened in it; each check says what is not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from tests.chaos import jobs, people
from tests.engine.history import Event, History, most_running, most_started

BUDGETS = """
CREATE TABLE budget_history (tenant text, unit text, used bigint, cap bigint);
CREATE FUNCTION keep_budget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO budget_history
    SELECT new.tenant, new.unit, new.used,
           (SELECT cap_per_day FROM job_budget WHERE tenant = new.tenant AND unit = new.unit);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_budget AFTER INSERT OR UPDATE ON job_budget_day FOR EACH ROW EXECUTE FUNCTION keep_budget();
"""

# What people did, as the job was when they did it; and all that was ever said of an effect, for jobs are deleted.
ACTS = """
CREATE TABLE acted (what text, job_id bigint, state text, lease_no integer, generation integer, is_unknown boolean);
CREATE FUNCTION keep_acted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO acted VALUES (
        CASE WHEN tg_op = 'DELETE' THEN 'delete' WHEN new.state = 'CANCELLED' THEN 'cancel' ELSE 'retry' END,
        old.id, old.state, old.lease_no, old.generation,
        EXISTS (SELECT FROM job_effect AS effect
                 WHERE effect.job_id = old.id AND effect.generation = old.generation AND effect.state = 'intended'));
    RETURN old;
END $$;
CREATE TRIGGER keep_acted AFTER UPDATE ON background_job FOR EACH ROW
    WHEN (new.reason LIKE '% by clerk' AND (new.generation > old.generation OR new.state = 'CANCELLED'))
    EXECUTE FUNCTION keep_acted();
CREATE TRIGGER keep_deleted BEFORE DELETE ON background_job FOR EACH ROW EXECUTE FUNCTION keep_acted();
CREATE TABLE effect_history (tag text, state text, told_by text, receipt jsonb);
CREATE FUNCTION keep_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO effect_history VALUES (new.tag, new.state, new.told_by, new.receipt);
    RETURN NULL;
END $$;
CREATE TRIGGER keep_effect AFTER INSERT OR UPDATE ON job_effect FOR EACH ROW EXECUTE FUNCTION keep_effect();
"""

# Each finds what must not be; its columns tell where.
NEVER: Mapping[str, str] = {
    "has not ended": "SELECT id, type, state, reason FROM background_job WHERE state IN ('PENDING', 'RUNNING')",
    "ended otherwise than its handler said": """
        SELECT id, type, state, reason FROM background_job
         WHERE state <> CASE WHEN type IN ('HOPELESS', 'RAISING', 'UNREADABLE') THEN 'FAILED' ELSE 'SUCCEEDED' END
           AND NOT (state = 'CANCELLED' AND reason = 'cancelled by clerk')""",
    "was lost in peace: its run has no ending": """
        SELECT job_id, type, attempt.lease_no
          FROM job_attempt AS attempt JOIN background_job AS job ON job.id = job_id CROSS JOIN peace
         WHERE ended_as = 'lost' AND attempt.started_at > peace.began""",
    "a person acted by a list that was stale": """
        SELECT DISTINCT acted.* FROM acted WHERE NOT EXISTS (
               SELECT FROM seen WHERE (what, job_id, lease_no, generation)
                                    = (acted.what, acted.job_id, acted.lease_no, acted.generation))""",
    "a running job was deleted or retried, or one that had ended cancelled": """
        SELECT * FROM acted WHERE NOT state = ANY (CASE what
               WHEN 'cancel' THEN '{PENDING,RUNNING}' WHEN 'retry' THEN '{PENDING,SUCCEEDED,FAILED,CANCELLED}'
               ELSE '{SUCCEEDED,FAILED,CANCELLED}' END :: text[])""",
    "was retried while nobody knew the end of its effect": "SELECT * FROM acted WHERE what = 'retry' AND is_unknown",
    "a request was committed, and its job was not": """
        SELECT n, job_id FROM request WHERE NOT EXISTS (SELECT FROM background_job WHERE id = job_id)
           AND NOT EXISTS (SELECT FROM acted WHERE what = 'delete' AND acted.job_id = request.job_id)""",
    "a job was committed, and its request was not": """
        SELECT id, type FROM background_job
         WHERE type <> 'TICK' AND NOT EXISTS (SELECT FROM request WHERE job_id = background_job.id)""",
    "ran out of attempts that were not used": f"""
        SELECT id, type, attempts FROM background_job AS job WHERE state = 'FAILED' AND (
               attempts <> CASE type WHEN 'UNREADABLE' THEN 1 ELSE {jobs.LAST_ATTEMPT} END OR attempts <> (
               SELECT count(*) FROM job_attempt
                WHERE job_id = job.id AND generation = job.generation AND ended_as IN ('failed', 'timed_out')))""",
    "has not all its steps": """
        SELECT id FROM background_job AS job WHERE type = 'STEPS' AND state = 'SUCCEEDED'
           AND 3 <> (SELECT count(*) FROM job_step WHERE job_id = id AND generation = job.generation)""",
    "own rows and the end of the job were not committed together": """
        SELECT own.job_id, own.generation, own.lease_no FROM own
         WHERE NOT EXISTS (SELECT FROM history WHERE job_id = own.job_id AND was = 'RUNNING'
                              AND lease_was = own.lease_no AND reason LIKE '%by lease ' || own.lease_no)""",
    "own rows were committed twice": """
        SELECT job_id, generation, count(*) FROM own GROUP BY job_id, generation HAVING count(*) > 1""",
    "ended without its own rows": """
        SELECT id, type FROM background_job AS job WHERE type IN ('OWN', 'KEYED', 'TICK') AND state = 'SUCCEEDED'
           AND NOT EXISTS (SELECT FROM own WHERE job_id = job.id AND generation = job.generation)""",
    "the newest payload of a key was never run": """
        SELECT type, tenant, key, max(n) FROM request WHERE key IS NOT NULL GROUP BY type, tenant, key
        HAVING max(n) NOT IN (SELECT n FROM own)""",
    "a tick has two jobs": """
        SELECT dedupe_key, count(*) FROM background_job WHERE type = 'TICK' GROUP BY dedupe_key HAVING count(*) > 1""",
    "a tick was taken, and has no job": """
        SELECT name, last_tick FROM job_schedule AS schedule WHERE NOT EXISTS (
               SELECT FROM background_job WHERE id = last_job_id AND dedupe_key = concat('schedule:', name, ':',
                      to_char(last_tick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))""",
    "an effect has no receipt": """
        SELECT id, effect.state, tag FROM background_job AS job
          LEFT JOIN job_effect AS effect ON job_id = id AND effect.generation = job.generation
         WHERE type = 'EFFECT' AND job.state = 'SUCCEEDED' AND effect.state IS DISTINCT FROM 'accepted'""",
    "a budget was over its cap": "SELECT DISTINCT * FROM budget_history WHERE used > cap",
    "a day's use is not the sum of its amounts": """
        SELECT tenant, unit, day, used, (SELECT sum(coalesce(actual, reserved)) FROM job_spend AS spend
                WHERE (spend.tenant, spend.unit, spend.day) = (today.tenant, today.unit, today.day)) AS ledger
          FROM job_budget_day AS today
         WHERE used IS DISTINCT FROM (SELECT sum(coalesce(actual, reserved)) FROM job_spend AS spend
                WHERE (spend.tenant, spend.unit, spend.day) = (today.tenant, today.unit, today.day))""",
    "spent, and not on record as said": f"""
        SELECT id, payload ->> 'n' AS n FROM background_job AS job
         WHERE type = 'SPENDING' AND state = 'SUCCEEDED' AND NOT EXISTS (
               SELECT FROM job_spend WHERE job_id = job.id
                  AND actual = CAST(payload ->> 'n' AS integer) % {jobs.ASKED + 1})""",
}
MOST_TOLD = 5  # of each kind


async def violations(
    connection: AsyncConnection[Any], *, told: Iterable[int], undone: Iterable[int], accepted: Counter[str]
) -> list[str]:
    """All that is not as it must be, also of requests that were ``told`` to be there, and messages ``accepted``."""
    found: list[str] = []
    for what, query in NEVER.items():
        rows = await (await connection.execute(query.encode())).fetchall()
        found += [f"{what}: {dict(row)}" for row in rows[:MOST_TOLD]]
        found += [f"{what}: {len(rows) - MOST_TOLD} more"] if len(rows) > MOST_TOLD else []
    there = {row["n"] for row in await (await connection.execute("SELECT n FROM request")).fetchall()}
    found += [f"request {n} was committed, and is lost" for n in told if n not in there]
    found += [f"request {n} was rolled back, and is there" for n in undone if n in there]
    effects = await (await connection.execute("SELECT DISTINCT * FROM effect_history")).fetchall()
    found += _of_messages(accepted, effects)
    history = History(connection)
    return found + await history.violations() + _of_limits(await history.events())


def _of_messages(accepted: Counter[str], effects: list[DictRow]) -> list[str]:
    """What was sent twice, never, without a word in the database, or after somebody had said that it was sent."""
    intended = {effect["tag"] for effect in effects}
    found = [f"{tag} was sent {times} times" for tag, times in accepted.items() if times > 1]
    found += [f"{tag} was sent, and nobody intended it" for tag in set(+accepted) - intended]
    for tag, times, effect in ((each["tag"], accepted[each["tag"]], each) for each in effects):
        if effect["told_by"] == people.NAME and effect["state"] == "accepted":
            if times != effect["receipt"]["sent"]:
                found.append(f"{tag} was marked as sent, and sent again")
        elif effect["state"] == "accepted" and not times:
            found.append(f"{tag} has a receipt, and was never sent")
    return found


def _of_limits(events: list[Event]) -> list[str]:
    found = []
    if (most := most_running(events, "LIMITED", "SHARING").get("", 0)) > jobs.AT_ONCE:
        found.append(f"{most} jobs ran at once under a limit of {jobs.AT_ONCE}")
    for type_name in ("SHARING", "CROWDED"):
        for tenant, most in most_running(events, type_name).items():
            if tenant and most > jobs.EACH_TENANT:
                found.append(
                    f"{most} {type_name} jobs of {tenant} ran at once under a limit of {jobs.EACH_TENANT} for each"
                )
    if (most := most_started(events, jobs.PER, "RATED")) > jobs.RATE:
        found.append(f"{most} jobs started within {jobs.PER:g} s under a rate of {jobs.RATE}")
    return found
