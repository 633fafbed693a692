"""Acting on the jobs that a filter finds: shown first, then exactly those."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import typer

from leadjobs.cli.moments import moment
from leadjobs.cli.output import console, print_json, print_table, say
from leadjobs.core.job import State
from leadjobs.store.dead_letters import Acted, Action, BulkDesk, Group, JobFilter, Look

SHOWN = 10  # jobs of a look that are shown one by one
DONE = {Action.RETRY: "are due now", Action.CANCEL: "are cancelled", Action.DELETE: "are deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The filter as it was given on the command line."""

    state: State | None = None
    type_name: str | None = None
    tenant: str | None = None
    reason: str | None = None
    since: str | None = None
    before: str | None = None

    @property
    def is_empty(self) -> bool:
        """Does it filter nothing?"""
        return all(getattr(self, field.name) is None for field in fields(self))

    def filter(self, action: Action) -> JobFilter:
        """What it means for an action: where no state is given, FAILED for a retry and unfinished for a cancellation.

        Raises:
            BadParameter: a time cannot be read, or a deletion names no state.
        """
        if self.state is None and action is Action.DELETE:
            raise typer.BadParameter("delete needs a --state: SUCCEEDED, FAILED or CANCELLED")
        usual = (State.FAILED,) if action is Action.RETRY else action.may_be
        return JobFilter(
            states=usual if self.state is None else (self.state,),
            type_name=self.type_name,
            tenant=self.tenant,
            reason=self.reason,
            since=None if self.since is None else moment(self.since, option="--since"),
            before=None if self.before is None else moment(self.before, option="--before"),
        )


def check(ids: Sequence[int], given: Given, *, is_real: bool) -> None:
    """Either ids or a filter.

    Raises:
        BadParameter: both, or neither.
    """
    if ids and (is_real or not given.is_empty):
        raise typer.BadParameter("give either ids, which are acted on at once, or a filter with --apply")
    if not ids and given.is_empty:
        raise typer.BadParameter("give ids, or a filter such as --state FAILED --type SEND_INVOICE --since 2h")


async def act(desk: BulkDesk, action: Action, given: Given, *, most: int, is_real: bool, as_json: bool) -> None:
    """Show what the filter finds; where it is meant, do it to exactly that."""
    look = await desk.look(given.filter(action), most=most)
    acted: Acted | None = None
    if not as_json:
        show(look)
    if is_real and look.jobs:
        async for acted in desk.act(action, look, by=getpass.getuser()):
            say(f"{action}: {acted.seen} of {acted.of}")
    if as_json:
        print_json({"action": action, **as_dict(look), "acted": acted})
    elif acted is not None:
        console.print(f"\n{_told(action, acted)}")
    elif look.jobs:
        console.print(
            f"\nNothing was changed: say --apply to {action} {'it' if len(look.jobs) == 1 else 'them'}; with"
            f" --before {look.at.isoformat()} nothing newer than this look.",
            soft_wrap=True,
        )
    if acted is not None and acted.done < acted.of:
        raise typer.Exit(1)


def show(look: Look) -> None:
    """How many, by type and reason, from when to when, and the first of them."""
    if not look.jobs:
        console.print("No job fits.")
        return
    more = f" (the newest; there are more: raise --limit above {len(look.jobs)})" if look.is_cut else ""
    console.print(f"{len(look.jobs)} jobs{more}:\n")
    print_groups(look.groups)
    console.print()
    first = look.jobs[:SHOWN]
    print_table(
        ("id", "type", "tenant", "state", "ended / added", "why"),
        [(x.id, x.type, x.tenant, x.state, f"{x.at:%Y-%m-%d %H:%M:%S}", x.reason) for x in first],
    )
    if len(look.jobs) > len(first):
        console.print(f"… and {len(look.jobs) - len(first)} more")


def print_groups(groups: Sequence[Group]) -> None:
    """A line for each type and reason."""
    print_table(
        ("jobs", "type", "why (# is an id or a number)", "tenants", "oldest", "newest", "such as"),
        [
            (
                x.jobs,
                x.type,
                x.reason,
                x.tenants,
                f"{x.oldest:%Y-%m-%d %H:%M:%S}",
                f"{x.newest:%Y-%m-%d %H:%M:%S}",
                ", ".join(str(id_) for id_ in x.ids),
            )
            for x in groups
        ],
    )


def as_dict(look: Look) -> dict[str, Any]:
    """A look for machines."""
    return {
        "at": look.at,
        "jobs": len(look.jobs),
        "isCut": look.is_cut,
        "groups": look.groups,
        "ids": [job.id for job in look.jobs],
    }


def _told(action: Action, acted: Acted) -> str:
    words = f"{acted.done} of {acted.of} {DONE[action]}."
    if acted.skipped:
        words += f" {acted.skipped} had changed since they were shown, and were left alone."
    if acted.unknown:
        words += (
            f" {acted.unknown} have an effect that nobody knows the end of, and were left alone: say what became of it,"
            " see `leadjobs effects list --unknown`."
        )
    if acted.refused and action is Action.RETRY:
        words += f" {acted.refused} were refused: another unfinished job holds their dedupe key."
    elif acted.refused:
        words += f" {acted.refused} were refused by the database: rows of your own point to them."
    return words
