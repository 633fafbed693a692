"""The webhooks door under load: an open loop of 50 deliveries a second, then bursts of 50 at once.

    ./dev bench webhook_door [--rate 50] [--seconds 10] [--burst 50] [--bursts 10] [--json]

A real server on localhost with a real PostgreSQL with durable defaults, and distinct signed deliveries over HTTP.  The
load comes from a second process.  Latency is measured from when a delivery was *due*, so that a stalled server is not
forgiven for what it kept waiting.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import psycopg

from leadjobs.app import MIGRATIONS, App
from leadjobs.demo import replies
from leadjobs.demo.posts import Post, post
from leadjobs.demo.replies import REPLIES, Reply
from leadjobs.demo.run import set_up
from leadjobs.settings import read_settings
from leadjobs.store.embedded import EmbeddedPostgres
from leadjobs.store.migrate import migrate
from leadjobs.testing.serve import serve

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


@dataclass(frozen=True)
class Measured:
    """One scenario: milliseconds, and how many answers were not 200."""

    scenario: str
    deliveries: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    not_200: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--burst", type=int, default=50)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(EmbeddedPostgres(ephemeral=True, settings=DURABLE)).url
        migrate(url, *MIGRATIONS[1:])
        asyncio.run(set_up(url))
        settings = read_settings(
            database_url=url,
            **replies.SECRETS,
        )
        base_url = stack.enter_context(serve(App(lambda: settings).webhooks))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured = pool.apply(_load, (base_url, options.rate, options.seconds, options.burst, options.bursts))
        with psycopg.connect(url) as connection:
            kept = connection.execute("SELECT count(*) FROM message WHERE direction = 'inbound'").fetchone()
    assert kept is not None
    sent = sum(each.deliveries for each in measured)
    if options.json:
        json.dump([asdict(each) for each in measured], sys.stdout, indent=2)
    else:
        for each in measured:
            print(
                f"{each.scenario:<28} n={each.deliveries:<5} p50 {each.p50_ms:7.1f}  p95 {each.p95_ms:7.1f}  "
                f"p99 {each.p99_ms:7.1f}  worst {each.worst_ms:7.1f} ms   not 200: {each.not_200}"
            )
        print(f"{kept[0]} messages kept of {sent} sent")
    if kept[0] != sent or any(each.not_200 for each in measured):
        sys.exit("some deliveries were not kept")


def _load(base_url: str, rate: int, seconds: int, burst: int, bursts: int) -> list[Measured]:
    return asyncio.run(_measure(base_url, rate, seconds, burst, bursts))


async def _measure(base_url: str, rate: int, seconds: int, burst: int, bursts: int) -> list[Measured]:
    """Open loop, then bursts with a second between them; the first 50 deliveries warm up."""
    host, port = urlsplit(base_url).hostname, urlsplit(base_url).port
    lines = Lines(str(host), int(port or 80))
    await lines.open(burst)
    requests = iter([_bytes(post) for post in _distinct_posts(base_url, 50 + rate * seconds + burst * bursts)])
    warm_up = [await lines.send(next(requests), time.perf_counter()) for _ in range(50)]
    begun = time.perf_counter() + 0.1
    tasks = []
    for number in range(rate * seconds):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(lines.send(next(requests), due)))
    open_loop = await asyncio.gather(*tasks)
    in_bursts: list[tuple[float, int]] = []
    for _ in range(bursts):
        await lines.open(burst)
        due = time.perf_counter()
        in_bursts += await asyncio.gather(*(lines.send(next(requests), due) for _ in range(burst)))
        await asyncio.sleep(1)
    return [
        _measured("warm-up, one by one", warm_up),
        _measured(f"open loop, {rate}/s", open_loop),
        _measured(f"bursts of {burst} at once", in_bursts),
    ]


class Lines:
    """Open connections that speak as little HTTP as will do: a client library would cost more than the door itself."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def open(self, count: int) -> None:
        """Have so many connections ready; the server closes those that were idle for long."""
        self._free = [line for line in self._free if not line[0].at_eof()]
        while len(self._free) < count:
            self._free.append(await asyncio.open_connection(self._host, self._port))

    async def send(self, request: bytes, due: float) -> tuple[float, int]:
        """Send one request on a free connection; milliseconds since it was due, and the status."""
        while self._free and self._free[-1][0].at_eof():
            self._free.pop()
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        self._free.append((reader, writer))
        return (time.perf_counter() - due) * 1000, int(head.split(None, 2)[1])


def _bytes(post: Post) -> bytes:
    """The whole request, ready before the clock runs."""
    url = urlsplit(post.url)
    target = url.path + (f"?{url.query}" if url.query else "")
    headers = {"Host": url.netloc, **post.headers, "Content-Length": str(len(post.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + post.body


def _measured(scenario: str, answers: list[tuple[float, int]]) -> Measured:
    times = sorted(milliseconds for milliseconds, _ in answers)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    p50, p95, p99 = (round(cuts[percent - 1], 1) for percent in (50, 95, 99))
    refused = sum(status != HTTPStatus.OK for _, status in answers)
    return Measured(scenario, len(times), p50, p95, p99, round(times[-1], 1), refused)


def _distinct_posts(base_url: str, count: int) -> list[Post]:
    """Deliveries of all three sources in turn, each of another person."""
    kinds = [reply for reply in REPLIES if reply.company or reply.source != "emailbison"]
    return [
        post(base_url, number, Reply(f"Ada No{number}", kind.source, f"{kind.text} ({number})", "", "Bench Ltd"))
        for number, kind in ((number, kinds[number % len(kinds)]) for number in range(count))
    ]


if __name__ == "__main__":
    main()
