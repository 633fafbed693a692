"""The ratios as a picture: bars from zero on one linear axis, with the raw loop as the line at 1."""

from collections.abc import Iterator
from html import escape

from benchmarks.peers.result import MEASURES, Measure, Result

SHOWN = (("drain", "per_second"), ("two", "per_second"), ("enqueue", "per_second"), ("bulk", "per_second"))
WIDTH, LEFT, RIGHT, TOP = 820, 190, 70, 64
BAR, GAP, HEADING = 16, 6, 30
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
OURS, PEER, FLOOR, INK, FAINT = "#0b6e4f", "#8a94a6", "#c9b27c", "#1d2433", "#d9dde5"


def picture(result: Result) -> str:
    """The SVG file."""
    groups = [(measure, _bars(result, measure)) for measure in _measures()]
    groups = [(measure, bars) for measure, bars in groups if bars]
    top = max((bar.high for _, bars in groups for bar in bars), default=1.0)
    top = max(1.0, top) * 1.02
    body, y = [], float(TOP)
    for measure, bars in groups:
        body.append(_text(LEFT, y + 14, measure.title, weight="600"))
        y += HEADING
        for bar in bars:
            body += bar.draw(y, top)
            y += BAR + GAP
        y += GAP
    height = round(y + 30)
    axis = list(_axis(top, TOP, y))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(16, 24, "Jobs per second, as multiples of a bare psycopg loop", weight="600", size=15),
            _text(16, 44, f"{result.date}; median of {result.rounds} rounds, the whiskers are the lowest and highest"),
            *axis,
            *body,
            "</svg>",
            "",
        ]
    )


def _measures() -> list[Measure]:
    return [measure for shown in SHOWN for measure in MEASURES if (measure.case, measure.metric) == shown]


class _Bar:
    def __init__(self, title: str, color: str, low: float, ratio: float, high: float) -> None:
        self.title, self.color, self.low, self.ratio, self.high = title, color, low, ratio, high

    def draw(self, y: float, top: float) -> list[str]:
        """Name, bar, whisker, number."""
        middle = y + BAR / 2
        low, end, high = (_x(value, top) for value in (self.low, self.ratio, self.high))
        whisker = f"M{low:.1f} {middle:g}H{high:.1f}M{low:.1f} {middle - 3:g}v6M{high:.1f} {middle - 3:g}v6"
        return [
            _text(LEFT - 8, y + 12, self.title, anchor="end"),
            f'<rect x="{LEFT}" y="{y:g}" width="{end - LEFT:.1f}" height="{BAR}" fill="{self.color}"/>',
            f'<path d="{whisker}" stroke="{INK}" fill="none"/>',
            _text(max(high, end) + 6, y + 12, f"{self.ratio:.2f}"),
        ]


def _bars(result: Result, measure: Measure) -> list[_Bar]:
    raw = result.figure(measure, "raw")
    if raw is None:
        return []
    bars = []
    for each in result.entrants:
        figure = result.figure(measure, each.name)
        if figure is None or each.name == "raw":
            continue
        color = OURS if each.name.startswith("leadjobs") else PEER if each.is_peer else FLOOR
        bars.append(
            _Bar(each.title, color, figure.low / raw.median, figure.median / raw.median, figure.high / raw.median)
        )
    return bars


def _axis(top: float, begin: float, end: float) -> Iterator[str]:
    step = next(step for step in (0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 100) if top / step <= 8)
    ticks = [round(number * step, 2) for number in range(int(top / step) + 1)]
    for tick in sorted({*ticks, 1.0}):
        x, is_raw = _x(tick, top), tick == 1
        color, dash = (INK, ' stroke-dasharray="4 3"') if is_raw else (FAINT, "")
        yield f'<path d="M{x:.1f} {begin:g}V{end:g}" stroke="{color}"{dash}/>'
        yield _text(x, end + 16, "raw loop = 1" if is_raw else f"{tick:g}", anchor="middle")


def _x(ratio: float, top: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * ratio / top


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "400", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" fill="{INK}">'
        f"{escape(words)}</text>"
    )
