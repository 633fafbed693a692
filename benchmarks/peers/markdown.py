"""The result as a page: ratios first, then what was measured, then how."""

from collections.abc import Iterator, Sequence

from benchmarks.peers.result import MEASURES, Figure, Measure, Result

NONE = "-"


def markdown(result: Result) -> str:
    """The whole page."""
    parts = [_head(result), _ratios(result), _all_ratios(result), _absolutes(result), _failures(result), _how(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(result: Result) -> str:
    machine = ", ".join(f"{name} {value}".strip() for name, value in result.machine.items())
    return (
        "# leadjobs and its peers, measured\n\n"
        f"{result.date}. {machine}. Size {result.size:g}, medians of {result.rounds} rounds, every run checked for "
        "exactly-once.\n\n"
        "A ratio over 1 is better, whether more or less of it is: 2 is twice as good. Differences under 1.3 mean "
        "little on a machine that does anything else."
    )


def _measures(result: Result) -> list[Measure]:
    names = [each.name for each in result.entrants]
    return [measure for measure in MEASURES if any(result.figure(measure, name) for name in names)]


def _present(result: Result) -> list[str]:
    return [each.name for each in result.entrants if not each.absent]


def _ratios(result: Result) -> str:
    """How leadjobs does against the raw loop, the best peer, and its own table without it."""
    ours = [name for name in ("leadjobs", "leadjobs-keyed") if name in _present(result)]
    if not ours:
        return ""
    head = ["leadjobs against"]
    for name in ours:
        title = result.title(name)
        head += [f"{title} ÷ raw loop", f"{title} ÷ best peer", f"{title} ÷ bare statement"]
    rows = []
    for measure in _measures(result):
        cells = [measure.title]
        for name in ours:
            floor = name.replace("leadjobs", "floor")
            cells += [
                _ratio(result, measure, name, "raw"),
                _best(result, measure, name),
                _ratio(result, measure, name, floor),
            ]
        rows.append(cells)
    return "## Ratios\n\n" + _table(head, [row for row in rows if set(row[1:]) != {NONE}])


def _best(result: Result, measure: Measure, name: str) -> str:
    best = result.best_peer(measure)
    if best is None or (told := _ratio(result, measure, name, best)) == NONE:
        return NONE
    return f"{told} ({result.title(best)})"


def _ratio(result: Result, measure: Measure, name: str, to: str) -> str:
    ratio = result.ratio(measure, name, to)
    return NONE if ratio is None else f"{ratio:.2f}"


def _all_ratios(result: Result) -> str:
    names = [name for name in _present(result) if name != "raw"]
    if "raw" not in _present(result) or not names:
        return ""
    rows = [
        [measure.title, *(_ratio(result, measure, name, "raw") for name in names)]
        for measure in _measures(result)
        if result.figure(measure, "raw")
    ]
    return "## Everybody ÷ raw loop\n\n" + _table(["", *map(result.title, names)], rows)


def _absolutes(result: Result) -> str:
    names = _present(result)
    rows = [[_titled(measure), *(_cell(result, measure, name) for name in names)] for measure in _measures(result)]
    return "## What was measured\n\nThe median, and in brackets the lowest and the highest round.\n\n" + _table(
        ["", *map(result.title, names)], rows
    )


def _titled(measure: Measure) -> str:
    return f"{measure.title}, {measure.unit}" if measure.unit and measure.unit not in measure.title else measure.title


def _cell(result: Result, measure: Measure, name: str) -> str:
    if any(sample.case == measure.case and sample.contestant == name for sample in result.failures):
        return "failed"
    figure = result.figure(measure, name)
    return NONE if figure is None else _told(figure, measure.digits)


def _told(figure: Figure, digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in (figure.median, figure.low, figure.high))
    return median if low == high else f"{median} ({low} to {high})"


def _failures(result: Result) -> str:
    lines = [
        f"- {result.title(each.contestant)}, {each.case}, round {each.round}: {each.failure}"
        for each in result.failures
    ]
    return "## Failures\n\n" + "\n".join(lines) if lines else ""


def _how(result: Result) -> str:
    server = ", ".join(f"{name} = {value}" for name, value in result.server.items())
    return "## How\n\n" + "\n".join([f"- server: {server}", *_entrants(result), *_counts(result)])


def _entrants(result: Result) -> Iterator[str]:
    for each in result.entrants:
        if each.absent:
            yield f"- {each.title}: absent, {each.absent}"
        else:
            versions = ", ".join(f"{name} {version}" for name, version in each.packages.items())
            yield f"- {each.title} ({versions}; Python {each.python}): {each.settings}"


def _counts(result: Result) -> Iterator[str]:
    for case in dict.fromkeys(sample.case for sample in result.samples):
        counts = {name: result.count(case, name) for name in _present(result)}
        told = [f"{result.title(name)} {count:,}" for name, count in counts.items() if count is not None]
        yield f"- jobs in {case}: {', '.join(told)}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
