"""The guards of the engine, each with the tests that fall without it."""

from dataclasses import dataclass

RUNNER, STORE, ENQUEUE, CORE = "tests/engine/runner", "tests/engine/store", "tests/engine/enqueue", "tests/engine/core"


@dataclass(frozen=True)
class Guard:
    """A guard: ``old`` stands exactly once in the file, and ``new`` in its place takes it out."""

    file: str
    name: str
    old: str
    new: str
    tests: tuple[str, ...]


def _sql(file: str, name: str, old: str, new: str, *tests: str) -> Guard:
    return Guard(f"store/sql/{file}.sql", name, old, new, tests)


GUARDS = (
    # G3, G4: one owner, fenced writes
    _sql("claim", "two claims never take one job", "FOR NO KEY UPDATE SKIP LOCKED", "LIMIT ALL",
         f"{RUNNER}/test_runner_ownership.py"),
    _sql("claim", "a claim raises the lease number", "lease_no = lease_no + 1", "lease_no = lease_no",
         f"{RUNNER}/test_runner_ownership.py"),
    _sql("claim", "what is not due is not claimed", "AND run_at <= coalesce(CAST(:now AS timestamptz), now())", "",
         f"{RUNNER}/test_runner_turns.py"),
    _sql("settle", "only the owner settles", "JOIN held USING (id, lease_no)",
         "JOIN (SELECT id, generation, started_at, is_dirty FROM held) AS held USING (id)", f"{STORE}/test_settle.py"),
    _sql("settle", "settling raises the lease number", "lease_no = job.lease_no + 1", "lease_no = job.lease_no",
         f"{STORE}/test_settle.py"),
    _sql("settle", "a locked row holds up nobody", "FOR NO KEY UPDATE SKIP LOCKED", "FOR NO KEY UPDATE",
         f"{RUNNER}/test_runner_ownership.py"),
    _sql("settle", "a replacement during the run is run", "is_dirty THEN 'PENDING'", "false THEN 'PENDING'",
         f"{RUNNER}/test_runner_attempts.py"),
    _sql("settle", "a former owner holds nobody back", "FROM ours WHERE hold_name", "FROM ending AS ours WHERE hold_name",
         f"{RUNNER}/test_runner_holds.py"),
    _sql("settle", "the longer hold stands", "WHERE coalesce(hold.until, 'infinity') < coalesce(excluded.until, 'infinity')",
         "", f"{RUNNER}/test_runner_holds.py"),
    _sql("settle", "the longest hold of a group stands", "until DESC NULLS FIRST", "until NULLS LAST",
         f"{RUNNER}/test_runner_holds.py"),
    _sql("settle", "a live job waits for its retry apart", "THEN 'retry'", "THEN 'live'",
         f"{RUNNER}/test_runner_turns.py"),
    _sql("fence", "a commit is the owner's", "AND lease_no = CAST(:lease_no AS integer)", "",
         f"{RUNNER}/test_runner_commit.py"),
    _sql("fence", "a takeover waits for the commit", "FOR NO KEY UPDATE", "", f"{RUNNER}/test_runner_commit.py"),
    _sql("keep_step", "a step is the owner's", "AND lease_no = CAST(:lease_no AS integer)", "",
         f"{RUNNER}/test_runner_steps.py"),
    _sql("keep_results", "progress and results are the owner's", "FROM told JOIN held USING (id, lease_no)",
         "FROM told JOIN (SELECT id, generation FROM held) AS held USING (id)", f"{STORE}/test_results.py"),
    _sql("keep_results", "a takeover is stepped over", "FOR NO KEY UPDATE SKIP LOCKED", "", f"{STORE}/test_results.py"),
    _sql("keep_results", "a new generation begins with no progress",
         "CASE WHEN excluded.progress IS NOT NULL OR kept.generation <> excluded.generation\n                       THEN excluded.progress ELSE",
         "CASE WHEN excluded.progress IS NOT NULL\n                       THEN excluded.progress ELSE", f"{STORE}/test_results.py"),
    _sql("find_result", "a result is of its generation", "AND kept.generation = job.generation", "",
         f"{STORE}/test_results.py"),
    _sql("find_job", "a sheet shows its generation", "AND kept.generation = job.generation", "",
         f"{STORE}/test_results.py"),
    _sql("list_jobs", "a list shows what this run said", "AND kept.lease_no = job.lease_no", "",
         f"{STORE}/test_results.py"),
    Guard("store/jobs.py", "a result is kept with the end of its job",
          'async with self._connection.transaction():\n            await self._rows_now("keep_results"', 'if True:\n            await self._rows_now("keep_results"',
          (f"{STORE}/test_results.py",)),
    Guard("store/jobs.py", "who has no result pays for none", "if (told := results_json(endings)) is None:",
          "if (told := results_json(endings) or '[]') is None:", (f"{STORE}/test_results.py",)),
    Guard("flight.py", "the last progress is not lost", "self.ending or (ending and self._with_news(ending))",
          "self.ending or ending", (f"{RUNNER}/test_runner_results.py",)),
    Guard("flight.py", "a commit tells the last progress", "ending = self._with_news(self._run.said(outcome))",
          "ending = self._run.said(outcome)", (f"{RUNNER}/test_runner_results.py",)),
    Guard("runner.py", "what is kept is not written again", "                flight.news = None\n", "                pass\n",
          (f"{RUNNER}/test_runner_results.py",)),
    Guard("core/progress.py", "a result is small", "if len(text) > MAX_RESULT:", "if False:", (f"{CORE}/test_progress.py",)),
    # G2, G12: losses
    _sql("rescue", "only ended leases are taken back",
         "AND lease_until < coalesce(CAST(:now AS timestamptz), now())", "", f"{STORE}/test_rescue.py"),
    _sql("rescue", "a lost job is taken back once", "FOR NO KEY UPDATE SKIP LOCKED", "", f"{STORE}/test_rescue.py"),
    _sql("rescue", "a taken lease is over", "lease_no = job.lease_no + 1", "lease_no = job.lease_no",
         f"{STORE}/test_rescue.py"),
    _sql("rescue", "a lost job runs alone next", "lane = 'alone',", "lane = job.lane,", f"{STORE}/test_rescue.py"),
    # G7: dedupe
    _sql("enqueue", "one job for a key", "ON CONFLICT (type, tenant, hold) WHERE hold IS NOT NULL DO NOTHING", "",
         f"{ENQUEUE}/test_enqueue_races.py"),
    _sql("enqueue", "a stricter isolation level is refused", "current_setting('transaction_isolation') LIKE 'read %'",
         "true", f"{ENQUEUE}/test_enqueue_races.py"),
    _sql("replace", "a finished holder stays as it is", "WHERE held.state IN ('PENDING', 'RUNNING')", "",
         f"{ENQUEUE}/test_enqueue_dedupe.py"),
    # G8: limits
    Guard("core/plan.py", "the limits of all that a deal comes to are locked", "            begun.append(streams)", "            begun.appendleft(streams)",
          (f"{CORE}/test_plan.py",)),
    _sql("lock_limits", "nobody counts while another claims", "FOR NO KEY UPDATE", "",
         f"{RUNNER}/test_runner_limits.py"),
    _sql("count_running", "what runs is counted", "WHERE state = 'RUNNING' AND", "WHERE state = 'CANCELLED' AND",
         f"{RUNNER}/test_runner_limits.py"),
    _sql("count_running", "each tenant for itself", "AND (held.tenant IS NULL OR tenant = held.tenant)", "",
         f"{RUNNER}/test_runner_limits.py"),
    _sql("declare_limits", "a limit knows all its types", "unnest(known.types || excluded.types)",
         "unnest(excluded.types)", f"{RUNNER}/test_runner_limits.py"),
    _sql("note_starts", "starts use up the rate", "+ make_interval(secs => started.seconds)", "",
         f"{RUNNER}/test_runner_limits.py"),
    _sql("note_starts", "nothing is saved up", "greatest(held.free_at, coalesce(CAST(:now AS timestamptz), now()))",
         "CASE held.free_at WHEN '-infinity' THEN now() - interval '1 day' ELSE held.free_at END",
         f"{RUNNER}/test_runner_limits.py"),
    Guard("core/limit.py", "a place is taken once", "room.left -= 1", "room.left -= 0",
          (f"{RUNNER}/test_runner_limits.py",)),
    Guard("core/limit.py", "no span sees more than the rate", "- self.burst + 1)", ")",
          (f"{RUNNER}/test_runner_limits.py", f"{CORE}/test_limit.py")),
    Guard("store/limits.py", "the locks last until the claim is committed", "async with self._connection.transaction():",
          "if True:", (f"{RUNNER}/test_runner_limits.py",)),
    # Holds
    _sql("claim", "nothing is claimed that is held", "AND jsonb_exists(CAST(share.names AS jsonb), name)", "AND false",
         f"{RUNNER}/test_runner_holds.py"),
    Guard("core/limit.py", "a hold may be one tenant's", "for name in (subject, of_tenant(subject, tenant))",
          "for name in (subject,)", (f"{RUNNER}/test_runner_holds.py",)),
    # G11: what fits the time left
    Guard("core/durations.py", "few runs say nothing", "runs.ended.total() < ENOUGH", "not runs.ended",
          (f"{CORE}/test_durations.py", f"{RUNNER}/test_runner_durations.py")),
    Guard("core/durations.py", "never more than the timeout", "return min(timeout, edge * MARGIN)",
          "return edge * MARGIN", (f"{CORE}/test_durations.py",)),
    Guard("core/durations.py", "a cut run is none that ended", "going, share_going = runs.ended.total() + runs.cut.total(), 1.0",
          "going, share_going = runs.ended.total(), 1.0", (f"{CORE}/test_durations.py",)),
    Guard("tally.py", "runs that are cut are told", "self.durations.cut(flight.claimed.type, flight.seconds)", "pass",
          (f"{RUNNER}/test_runner_durations.py",)),
    Guard("tally.py", "not now is no duration", "elif ending.state is not State.PENDING or ending.ended_as is not None:",
          "else:", (f"{RUNNER}/test_runner_durations.py",)),
    Guard("tally.py", "who is left behind took too long",
          "self.durations.cut(flight.claimed.type, self._clock.monotonic() - flight.started)", "pass",
          (f"{RUNNER}/test_runner_deadline.py",)),
    Guard("claimer.py", "what others learned counts", "self._past = await self._store.find_durations()",
          "self._past = Durations()", (f"{RUNNER}/test_runner_durations.py",)),
    Guard("claimer.py", "who is drained in time asks nobody", "and self._seconds_left < self._longest and self.too_long:",
          "and self._rota:", (f"{RUNNER}/test_runner_durations.py",)),
    Guard("core/plan.py", "any lane may begin", "turns.rotate(_anywhere(len(turns)))", "pass",
          (f"{RUNNER}/test_runner_durations.py",)),
    # G9: turns
    Guard("core/plan.py", "tenants take turns", "round_.move_to_end(tenant)", "pass", (f"{CORE}/test_plan.py",)),
    Guard("core/plan.py", "who is refused keeps the place", "round_.move_to_end(stream.tenant, last=False)", "pass",
          (f"{CORE}/test_plan.py", f"{RUNNER}/test_runner_limits.py")),
    Guard("claimer.py", "newcomers come into view", "max(JOBS_PER_DISCOVERY, 4 * len(self._rota))", "1_000_000",
          (f"{RUNNER}/test_runner_turns.py",)),
)  # fmt: skip
