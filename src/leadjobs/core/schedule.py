"""Schedules: a job at each tick of a cron expression, by the clock on the wall of a time zone.

An expression has five fields, minute hour day month weekday, and is read as Debian's cron reads it.  The library that
reads it is loaded with the first schedule, so who declares none does not pay for it.
"""

import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from leadjobs.core.argument import misfit
from leadjobs.core.job import DedupeScope, NewJob
from leadjobs.errors import SettingsError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}\Z")
FIELDS = 5
OVERLAP = timedelta(hours=3)  # more than any clock is ever put back by
BEFORE_ALL = datetime(2000, 1, 1, tzinfo=UTC)  # any instant will do: an expression that never ticks never did


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A cron expression in a time zone.

    Minute and hour as numbers are a time of day: on a day whose clock skips it, the tick comes in the first minute
    after the gap, and on one whose clock shows it twice, the first time only.  With a ``*`` in front of the minute or
    the hour ticks are what the clock really shows: none in a skipped hour, and those of a doubled hour twice.

    Raises:
        SettingsError: the expression or the zone cannot be read, or the expression names no day; says which.

    >>> berlin = Rhythm("30 2 * * *", "Europe/Berlin")
    >>> berlin.next_tick(after=datetime(2026, 3, 28, 12, tzinfo=UTC)).isoformat()  # there is no 02:30 on the 29th
    '2026-03-29T01:00:00+00:00'
    """

    cron: str
    tz: str

    def __post_init__(self) -> None:
        """Refuse what never ticks, here and not in the night."""
        try:
            ZoneInfo(self.tz)
        except (KeyError, OSError, ValueError):  # not found; a folder; no name at all
            raise SettingsError(
                f"tz {self.tz!r} is no time zone; give a name of the IANA database, such as 'Europe/Berlin' or 'UTC'"
            ) from None
        if len(self.cron.split()) != FIELDS:
            raise SettingsError(self._misread(f"it has {len(self.cron.split())} fields"))
        if next(self._walk(BEFORE_ALL), None) is None:
            raise SettingsError(self._misread("it names no day that ever comes"))

    def next_tick(self, *, after: datetime) -> datetime:
        """The first tick after an instant, in UTC."""
        return next(tick for tick in self._walk(after) if tick > after)

    def newest_tick(self, *, after: datetime, through: datetime) -> datetime | None:
        """The last tick after one instant and not after another, in UTC; None where there was none between them."""
        # A time of day that has passed may still stand on the clock again, so the walk back begins behind the overlap.
        margin = OVERLAP if self._is_time_of_day else timedelta(seconds=1)
        newest = next((tick for tick in self._walk(through + margin, is_back=True) if tick <= through), None)
        return None if newest is None or newest <= after else newest

    @property
    def _is_time_of_day(self) -> bool:
        return not any(field.startswith("*") for field in self.cron.split()[:2])

    def _walk(self, start: datetime, *, is_back: bool = False) -> Iterator[datetime]:
        from cronsim import CronSim, CronSimError

        try:
            ticks = CronSim(self.cron, start.astimezone(ZoneInfo(self.tz)), reverse=is_back)
        except CronSimError as error:
            raise SettingsError(self._misread(str(error).lower())) from None
        for tick in ticks:
            yield tick.astimezone(UTC)  # two instants of one zone compare by the wall, where one hour comes twice

    def _misread(self, why: str) -> str:
        examples = "'0 3 * * *' or '*/15 9-17 * * MON-FRI'"
        return f"cron {self.cron!r}: {why}; give minute hour day month weekday, such as {examples}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job to enqueue at each tick of a cron expression; a runner that is handed it does so.

    ``job`` is what :meth:`JobType.job` makes of a payload, or a :class:`NewJob`; its payload is the same at every tick.
    ``tz`` is whose wall clock the expression means.  However many invocations meet a tick, one job stands for it; its
    dedupe key is ``schedule:<name>:<tick>``, the tick in UTC.  Ticks that nobody met are one job, for the newest.

    A job that has a dedupe key of its own, with scope ``live``, keeps it: a tick adds none while the last one's job is
    unfinished.

    Raises:
        SettingsError: the name, the expression, the zone or the job cannot work; the message names the field and the
            fix.

    >>> nightly = Schedule("nightly-report", "0 3 * * *", tz="Europe/Berlin", job=NewJob(type="REPORT"))
    >>> nightly.job_at(datetime(2026, 11, 24, 2, tzinfo=UTC)).dedupe_key
    'schedule:nightly-report:2026-11-24T02:00:00Z'
    """

    name: str
    cron: str
    _: KW_ONLY
    job: NewJob
    tz: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, kind, fits in (
            ("name", str, "a text, such as 'nightly-report'"),
            ("cron", str, "a text, such as '0 3 * * *'"),
            ("tz", str, "a name of the IANA database, such as 'Europe/Berlin'"),
            ("job", NewJob, "what a JobType's .job(payload) makes, or a NewJob"),
        ):
            if why := misfit(getattr(self, name), kind, fits):
                raise SettingsError(f"{name} of schedule {self.name} {why}")
        if not NAME.match(self.name):
            raise SettingsError(
                f"name of schedule {self.name!r}: use 1 to 100 letters, digits or _.:- and begin with a letter"
            )
        try:
            self.rhythm  # noqa: B018
        except SettingsError as error:
            raise SettingsError(f"schedule {self.name}: {error}") from None
        if self.job.run_at is not None:
            raise SettingsError(f"schedule {self.name}: job has a run_at, but its ticks say when; leave it out")
        if self.job.dedupe_key is not None and self.job.scope is not DedupeScope.LIVE:
            raise SettingsError(
                f"schedule {self.name}: job has a dedupe key that is held while its row is kept, so it would run once "
                "and never again; leave dedupe_key out, or give scope='live' for at most one unfinished job"
            )

    @property
    def rhythm(self) -> Rhythm:
        """When it ticks."""
        return Rhythm(self.cron, self.tz)

    def job_at(self, tick: datetime) -> NewJob:
        """The job that stands for a tick."""
        if self.job.dedupe_key is not None:
            return self.job
        return replace(self.job, dedupe_key=f"schedule:{self.name}:{tick.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
