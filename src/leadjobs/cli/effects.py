"""``leadjobs effects``: what jobs changed outside, and what nobody knows the end of."""

import getpass
import json
from collections.abc import Sequence
from typing import Annotated

import typer

from leadjobs.cli.context import at_desk
from leadjobs.cli.output import JsonFlag, answer, print_json, print_table
from leadjobs.core.job import JobId
from leadjobs.errors import StoreError
from leadjobs.store.effect_desk import EffectDesk, EffectLine

JobArgument = Annotated[int, typer.Argument(metavar="JOB", help="The job's id.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The effect's name.")]
Generation = Annotated[int | None, typer.Option(min=1, help="Of this generation; the job's newest where not given.")]

cli = typer.Typer(name="effects", help="What jobs changed outside, and what is unknown.", no_args_is_help=True)


@cli.command("list")
def list_effects(
    unknown: Annotated[bool, typer.Option("--unknown", help="Only those that a person must look for.")] = False,
    most: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """The newest effects, with what is known of each."""
    lines = at_desk(EffectDesk, lambda desk: desk.list_effects(only_unknown=unknown, most=most))
    if as_json:
        print_json(lines)
    else:
        print_effects(lines)


def print_effects(lines: Sequence[EffectLine]) -> None:
    """Effects as a table."""
    print_table(
        ("job", "generation", "effect", "stands", "told by", "intended", "tag", "receipt"),
        [
            (
                x.job_id,
                x.generation,
                x.name,
                "unknown" if x.is_unknown else x.state,
                x.told_by,
                f"{x.intended_at:%Y-%m-%d %H:%M:%S}",
                x.tag,
                x.receipt,
            )
            for x in lines
        ],
    )


@cli.command("mark-sent")
def mark_sent(
    job_id: JobArgument,
    name: NameArgument,
    receipt: Annotated[str, typer.Option(help="What the provider said, as JSON.")] = "null",
    generation: Generation = None,
    as_json: JsonFlag = False,
) -> None:
    """Say that an effect was made; its job goes on after it."""
    try:
        told = json.loads(receipt)
    except ValueError as error:
        raise StoreError(f"--receipt is not JSON: {error}") from None
    by = getpass.getuser()
    is_due = at_desk(
        EffectDesk, lambda desk: desk.mark_sent(JobId(job_id), name, by=by, receipt=told, generation=generation)
    )
    _say(job_id, name, "was sent", is_due=is_due, as_json=as_json)


@cli.command("send-again")
def send_again(
    job_id: JobArgument, name: NameArgument, generation: Generation = None, as_json: JsonFlag = False
) -> None:
    """Let an effect be made once more, under the same tag; its job goes on with it."""
    by = getpass.getuser()
    is_due = at_desk(EffectDesk, lambda desk: desk.send_again(JobId(job_id), name, by=by, generation=generation))
    _say(job_id, name, "may be sent", is_due=is_due, as_json=as_json)


def _say(job_id: int, name: str, what: str, *, is_due: bool, as_json: bool) -> None:
    words = f"job {job_id}: {name} {what}; it is {'due now' if is_due else 'left as it is'}"
    answer(words, {"jobId": job_id, "name": name, "isDue": is_due}, as_json=as_json)
