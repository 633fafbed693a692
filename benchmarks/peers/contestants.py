"""Who takes part, and what to ask the database about the jobs of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY_PYTHON = (3, 11)


@dataclass(frozen=True)
class Table:
    """Where a contestant keeps its jobs, in SQL.

    ``number`` is a job's own number, ``finished`` is true of a job that is marked finished.  ``deleted`` is for those
    that delete: a query that counts the finished.  ``background`` makes ``%(rows)s`` rows of a kind; ``after`` in
    ``mine`` is the last id of those.
    """

    name: str
    number: str
    finished: str
    mine: str = "id > %(after)s"
    last_id: str = "coalesce(max(id), 0)"
    deleted: str = ""
    background: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """One column of the result.

    ``pace`` is the part of the jobs that it gets, where it is slow: its rate is the same, and the run ends today.
    ``python`` is the oldest that it takes.  ``packages`` is its file of requirements; without, it runs in leadjobs'
    environment.  ``is_analyzed``: whether its table has statistics when a drain begins, which is what suits it best.
    """

    name: str
    title: str
    driver: str
    table: Table
    form: str = "plain"
    packages: str = ""
    is_peer: bool = False
    measures_all: bool = True
    python: tuple[int, int] = ANY_PYTHON
    pace: float = 1.0
    is_analyzed: bool = True


PAYLOAD = """jsonb_build_object('n', -n, 'lead_id', n, 'text', repeat('history ', 14))"""
SERIES = "FROM generate_series(1, %(rows)s) AS n"

LEADJOBS = Table(
    name="background_job",
    number="(payload ->> 'n')::int",
    finished="state = 'SUCCEEDED'",
    background={
        "finished": f"""
            INSERT INTO background_job (type, tenant, state, payload, dedupe_key, lease_no,
                                        run_at, created_at, started_at, finished_at)
            SELECT 'BENCH', 'tenant-' || n %% 20, 'SUCCEEDED', {PAYLOAD}, 'old:' || n, 1,
                   now() - interval '1 day', now() - interval '1 day', now() - interval '1 day',
                   now() - interval '1 day' {SERIES}""",
        "future": f"""
            INSERT INTO background_job (type, payload, run_at)
            SELECT 'BENCH', {PAYLOAD}, now() + interval '1 day' + n * interval '1 second' {SERIES}""",
        "blocked": f"""
            INSERT INTO background_job (type, payload, run_at)
            SELECT 'UNKNOWN_TO_THIS_RUNNER', {PAYLOAD}, now() - interval '1 day' {SERIES}""",
        "paused": f"""
            WITH pause AS (INSERT INTO job_hold (name, kind, reason) VALUES ('BENCH_PAUSED', 'paused', 'bench'))
            INSERT INTO background_job (type, payload, run_at)
            SELECT 'BENCH_PAUSED', {PAYLOAD}, now() - interval '1 day' {SERIES}""",
    },
)
RAW = Table(
    name="job",
    number="(payload ->> 'n')::int",
    finished="state = 'done'",
    background={
        "finished": f"""
            INSERT INTO job (state, payload, run_at) SELECT 'done', {PAYLOAD}, now() - interval '1 day' {SERIES}""",
        "future": f"INSERT INTO job (payload, run_at) SELECT {PAYLOAD}, now() + interval '1 day' {SERIES}",
    },
)
PGQUEUER = Table(
    name="pgqueuer",
    number="(convert_from(payload, 'UTF8')::jsonb ->> 'n')::int",
    finished="false",
    deleted="SELECT count(DISTINCT job_id) FROM pgqueuer_log WHERE status = 'successful' AND job_id > 0",
    background={
        "finished": f"""
            INSERT INTO pgqueuer_log (job_id, status, priority, entrypoint, aggregated)
            SELECT -n, status::pgqueuer_status, 0, 'bench', true
            {SERIES}, unnest(ARRAY['queued', 'picked', 'successful']) AS status""",
        "future": f"""
            INSERT INTO pgqueuer (priority, status, entrypoint, payload, execute_after)
            SELECT 0, 'queued', 'bench', convert_to({PAYLOAD}::text, 'UTF8'), now() + interval '1 day' {SERIES}""",
        "blocked": f"""
            INSERT INTO pgqueuer (priority, status, entrypoint, payload)
            SELECT 0, 'queued', 'nobody', convert_to({PAYLOAD}::text, 'UTF8') {SERIES}""",
    },
)
PROCRASTINATE = Table(
    name="procrastinate_jobs",
    number="(args ->> 'n')::int",
    finished="status = 'succeeded'",
    background={
        "finished": f"""
            INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts)
            SELECT 'default', 'bench', {PAYLOAD}, 'succeeded', 1 {SERIES}""",
        "future": f"""
            INSERT INTO procrastinate_jobs (queue_name, task_name, args, scheduled_at)
            SELECT 'default', 'bench', {PAYLOAD}, now() + interval '1 day' {SERIES}""",
    },
)
OBAN = Table(
    name="oban_jobs",
    number="(args ->> 'n')::int",
    finished="state = 'completed'",
    background={
        "finished": f"""
            INSERT INTO oban_jobs (state, worker, args, attempt, attempted_at, completed_at)
            SELECT 'completed', 'benchmarks.peers.drivers.oban.Bench', {PAYLOAD}, 1,
                   timezone('UTC', now()), timezone('UTC', now()) {SERIES}""",
        "future": f"""
            INSERT INTO oban_jobs (state, worker, args, scheduled_at)
            SELECT 'scheduled', 'benchmarks.peers.drivers.oban.Bench', {PAYLOAD},
                   timezone('UTC', now() + interval '1 day') {SERIES}""",
        "blocked": f"""
            INSERT INTO oban_jobs (queue, worker, args)
            SELECT 'nobody', 'benchmarks.peers.drivers.oban.Bench', {PAYLOAD} {SERIES}""",
    },
)
CHANCY_FUNCTION = "benchmarks.peers.drivers.chancy.bench"
CHANCY = Table(
    name="chancy_jobs",
    number="(kwargs ->> 'n')::int",
    finished="state = 'succeeded'",
    mine="(kwargs ->> 'n')::int > %(after)s",
    last_id="0",
    background={
        "finished": f"""
            INSERT INTO chancy_jobs (id, queue, func, kwargs, state, attempts, started_at, completed_at)
            SELECT gen_random_uuid(), 'default', '{CHANCY_FUNCTION}', {PAYLOAD}, 'succeeded', 1, now(), now()
            {SERIES}""",
        "future": f"""
            INSERT INTO chancy_jobs (id, queue, func, kwargs, scheduled_at)
            SELECT gen_random_uuid(), 'default', '{CHANCY_FUNCTION}', {PAYLOAD}, now() + interval '1 day' {SERIES}""",
    },
)

CONTESTANTS = (
    Contestant("leadjobs", "leadjobs", "leadjobs", LEADJOBS),
    Contestant("leadjobs-keyed", "leadjobs, keyed", "leadjobs", LEADJOBS, form="keyed", measures_all=False),
    Contestant("raw", "raw loop", "raw", RAW),
    Contestant("floor", "bare statements", "floor", LEADJOBS, measures_all=False),
    Contestant("floor-keyed", "bare, keyed", "floor", LEADJOBS, form="keyed", measures_all=False),
    Contestant("pgqueuer", "PgQueuer", "pgqueuer", PGQUEUER, packages="pgqueuer", is_peer=True),
    Contestant(
        "oban", "Oban", "oban", OBAN, packages="oban", is_peer=True, python=(3, 12), pace=0.25, is_analyzed=False
    ),
    Contestant("chancy", "Chancy", "chancy", CHANCY, packages="chancy", is_peer=True),
    Contestant(
        "procrastinate",
        "Procrastinate",
        "procrastinate",
        PROCRASTINATE,
        packages="procrastinate",
        is_peer=True,
        pace=0.1,
    ),
)
