"""``leadjobs webhook``: is a delivery genuine, what does it mean, and what became of those that were kept?"""

import asyncio
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from leadjobs.cli.context import database
from leadjobs.cli.output import JsonFlag, console, print_json, print_table
from leadjobs.core.report import to_camel
from leadjobs.errors import BadSignatureError, MalformedWebhookError, SettingsError, UnknownSourceError
from leadjobs.leads.inbound import Adapter, Ignored, Meaning
from leadjobs.leads.replay import Replay, Replayed
from leadjobs.store.connection import Transactions
from leadjobs.web.delivery import Delivery

cli = typer.Typer(
    name="webhook", help="Check a provider's delivery; replay those that nobody owned.", no_args_is_help=True
)

Source = Annotated[str, typer.Argument(help="The last part of the address, such as twilio.")]


def _adapter(source: str) -> Adapter:
    from leadjobs.app import App

    adapters = {adapter.source: adapter for adapter in App().adapters}
    if source not in adapters:
        raise UnknownSourceError(f"no source is called {source!r}; there are {', '.join(sorted(adapters))}")
    return adapters[source]


@cli.command()
def check(
    source: Source,
    file: Annotated[str, typer.Argument(help="The body as it came, byte for byte; - is standard input.")],
    header: Annotated[list[str] | None, typer.Option(help="'Name: value', as it came; repeatable.")] = None,
    url: Annotated[str, typer.Option(help="The address that the provider called, with its query.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Say whether a delivery is genuine and what it means, with the secrets set here.  Nothing is stored."""
    adapter = _adapter(source)
    headers = dict(_header(text) for text in header or ())
    delivery = Delivery(
        source=source,
        url=url or f"https://example.com/api/webhooks/{source}",
        headers=headers,
        body=_body(file),
    )
    proof, meaning = _proof(adapter, delivery), _meaning(adapter, delivery)
    found = {"genuine": proof, **meaning}
    if as_json:
        print_json(found)
    else:
        print_table(("what", "value"), list(found.items()))
    if proof != "yes" or "unreadable" in meaning:
        raise typer.Exit(1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise SettingsError(f"--header {text!r} is not 'Name: value'")
    return name.strip().lower(), value.strip()


def _body(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None


def _proof(adapter: Adapter, delivery: Delivery) -> str:
    try:
        adapter.verify(delivery)
    except BadSignatureError as error:
        return f"no: {error}"
    return "yes"


def _meaning(adapter: Adapter, delivery: Delivery) -> dict[str, Any]:
    try:
        meaning: Meaning = adapter.read(delivery)
    except MalformedWebhookError as error:
        return {"unreadable": str(error)}
    told = {to_camel(field.name): getattr(meaning, field.name) for field in fields(meaning)}
    means = "ignored" if isinstance(meaning, Ignored) else type(meaning).__name__.lower()
    return {"means": means, **{name: value for name, value in told.items() if value not in (None, ())}}


@cli.command()
def replay(
    source: Annotated[str | None, typer.Option(help="Only this source's.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 1000,
    is_real: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be done.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Look again at kept deliveries that no workspace owned or that could not be read; oldest first.

    Run it after `leadjobs workspaces set --source`, or after an upgrade that reads more.  Twice does no harm.
    """
    from leadjobs.app import App

    async def run(url: str) -> list[Replayed]:
        replaying = Replay(Transactions(url, at_once=1), App().adapters)
        return [each async for each in replaying.run(source=source, most=most, is_dry=not is_real)]

    with database() as url:
        done = asyncio.run(run(url))
    if as_json:
        print_json(done)
        return
    print_table(
        ("event", "received", "source", "tenant keys", "was", "is now" if is_real else "would be"),
        [
            (x.event_id, f"{x.received_at:%Y-%m-%d %H:%M:%S}", x.source, ", ".join(x.tenant_keys), x.was, x.is_now)
            for x in done
        ],
    )
    kept = sum(each.is_now == "kept" for each in done)
    console.print(f"\n{kept} of {len(done)} {'are' if is_real else 'would be'} kept as messages now.")
    if not is_real and kept:
        console.print("Nothing was changed: say --apply to do it.")
