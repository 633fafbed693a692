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
    # G9: turns
    Guard("core/plan.py", "tenants take turns", "round_.move_to_end(tenant)", "pass", (f"{CORE}/test_plan.py",)),
    Guard("core/plan.py", "who is refused keeps the place", "round_.move_to_end(stream.tenant, last=False)", "pass",
          (f"{CORE}/test_plan.py", f"{RUNNER}/test_runner_limits.py")),
    Guard("claimer.py", "newcomers come into view", "max(JOBS_PER_DISCOVERY, 4 * len(self._rota))", "1_000_000",
          (f"{RUNNER}/test_runner_turns.py",)),
)  # fmt: skip
