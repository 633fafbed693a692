"""What is written of a result."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.peers.markdown import markdown
from benchmarks.peers.picture import picture
from benchmarks.peers.process import BrokenError
from benchmarks.peers.result import MEASURES, Entrant, Result, Sample
from benchmarks.peers.verify import check_exactly_once

DRAIN = next(each for each in MEASURES if (each.case, each.metric) == ("drain", "per_second"))
START = next(each for each in MEASURES if each.case == "start")
PINNED = next(each for each in MEASURES if each.is_share and each.case == "pinned")
RATES = {"leadjobs": (12_000, 15_000, 9_000), "raw": (10_000, 10_000, 11_000), "chancy": (2_000, 2_000, 2_500)}
STARTS = {"leadjobs": 300.0, "raw": 150.0, "chancy": 600.0}


@pytest.fixture
def result() -> Result:
    samples = [
        Sample("drain", name, number + 1, 20_000, {"per_second": rate, "rss_mb": 40})
        for name, rates in RATES.items()
        for number, rate in enumerate(rates)
    ]
    samples += [Sample("start", name, 1, 1, {"ms": ms}) for name, ms in STARTS.items()]
    samples += [Sample("pinned", "leadjobs", 1, 30_000, {"per_second": 6_000, "last_to_second": 0.9})]
    samples += [Sample("two", "raw", 1, 20_000, failure="ran: 1 doubled (4) of 20000")]
    entrants = [
        Entrant("leadjobs", "leadjobs", packages={"leadjobs": "0.1.0"}, python="3.13.0", settings="one Runner"),
        Entrant("raw", "raw loop", packages={"psycopg": "3.3.9"}, python="3.13.0", settings="batches of 100"),
        Entrant("chancy", "Chancy", is_peer=True, packages={"chancy": "0.26.0"}, python="3.13.0", settings="eager"),
        Entrant("oban", "Oban", is_peer=True, absent="needs Python 3.12"),
    ]
    return Result("2026-11-28", 1.0, 3, {"PostgreSQL": "18.6"}, {"fsync": "on"}, entrants, samples)


def test_a_ratio_over_one_is_better_whichever_way(result: Result) -> None:
    """Rates are divided as they are, times the other way round; the best peer is the best in either sense."""
    assert 1.2 == result.ratio(DRAIN, "leadjobs", "raw")
    assert 0.5 == result.ratio(START, "leadjobs", "raw")
    assert 2.0 == result.ratio(START, "leadjobs", "chancy")
    assert "chancy" == result.best_peer(START)


def test_a_share_is_of_the_contestant_s_own_drain(result: Result) -> None:
    """A rate under a pinned snapshot is told as a part of the rate without."""
    figure = result.figure(PINNED, "leadjobs")
    assert figure is not None
    assert 0.5 == figure.median


def test_the_page_has_ratios_first_then_numbers_then_how(result: Result) -> None:
    """Ratios, absolutes with their spread, failures, settings, and who is absent."""
    page = markdown(result)
    lines = page.splitlines()
    assert "| drain, one process | 1.20 | 6.00 (Chancy) | - |" in lines
    assert (
        "| drain, one process, jobs/s | 12,000 (9,000 to 15,000) | 10,000 (10,000 to 11,000) | 2,000 (2,000 to 2,500) |"
        in lines
    )
    assert "- raw loop, two, round 1: ran: 1 doubled (4) of 20000" in lines
    assert "- Oban: absent, needs Python 3.12" in lines
    assert "- leadjobs (leadjobs 0.1.0; Python 3.13.0): one Runner" in lines
    headings = [line for line in lines if line.startswith("## ")]
    assert ["## Ratios", "## Everybody ÷ raw loop", "## What was measured", "## Failures", "## How"] == headings


def test_the_picture_s_bars_are_as_long_as_their_ratios(result: Result) -> None:
    """It is XML, its bars begin at zero on one scale, and the raw loop is at 1."""
    svg = ET.fromstring(picture(result))
    name = "{http://www.w3.org/2000/svg}"
    background, *bars = svg.iter(f"{name}rect")
    assert 6.0 == pytest.approx(float(bars[0].attrib["width"]) / float(bars[1].attrib["width"]), rel=0.01)
    assert 1 == len({bar.attrib["x"] for bar in bars})
    assert float(bars[0].attrib["width"]) < float(background.attrib["width"])
    words = [text.text for text in svg.iter(f"{name}text")]
    assert {"raw loop = 1", "1.20", "0.20", "leadjobs", "Chancy"} <= set(words)


def test_a_result_survives_its_file(result: Result, tmp_path: Path) -> None:
    """What is written as JSON is read back the same."""
    result.write(tmp_path / "result.json")
    assert result == Result.read(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([1, 2, 3, 5], "1 missing (4) of 5"),
        ([1, 2, 2, 3, 4, 5], "1 doubled (2) of 5"),
        ([1, 2, 3, 4, 5, 6], "1 strange (6) of 5"),
        ([5, 5], "4 missing (1, 2, 3, …), 1 doubled (5) of 5"),
    ],
)
def test_exactly_once_or_an_error_that_names_the_jobs(numbers: list[int], told: str) -> None:
    """Each of 1 to the count, once, in any order; else the message says what is wrong."""
    check_exactly_once("ran", [3, 1, 2, 5, 4], 5)
    with pytest.raises(BrokenError) as broken:
        check_exactly_once("ran", numbers, 5)
    assert f"ran: {told}" == str(broken.value)
