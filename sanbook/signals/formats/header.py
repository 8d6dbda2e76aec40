"""What the lines above the rows of a text say: rate, start, units, and the layouts of recorders."""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sanbook.signals.formats.recording import FileError

if TYPE_CHECKING:
    from sanbook.signals.formats.layout import Layout

UNIT_LINE = re.compile(
    r"(?i)\W*(?:units?|einheit|unité|unidad|unità|eenheid|enhet|単位|\w+(?=,[µμ]V\W*$))\W+(\S.*?)\W*"
)
#: A line on the rate of sampling, and a rate in it: beside Hz, or behind a word for a rate.
RATE_TOPIC = re.compile(
    r"(?i)sampl|abtast|messrate|chantillonnage|muestreo|campionamento|amostragem|meetfreq|サンプル"
    r"|próbkowan|vzorkov|örnekleme|näytteenotto|дискретизац|采样|採樣|取樣|샘플"
    r"|^\W*(?:fs|rate|frequency) *[:=(\[]"
)
RATE_WORD = re.compile(r"(?i)rate|fr[eé][qck]|hastighet|レート|\bfs\b|hz")
_NUMBER = r"(?<=[\s:=;,\"])(\d+(?:[.,]\d+)*(?:e[+-]?\d+)?)"
BESIDE_HZ = re.compile(
    _NUMBER + r" *(k?)(?:hz|h[ae]r[tc]|ヘルツ|赫[兹茲]|헤르츠|гц|герц|sps|samples?(?:/| per )s)",
    re.IGNORECASE,
)
AT_END = re.compile(_NUMBER + r"()[\s\";,]*$", re.IGNORECASE)
INTERVAL_LINE = re.compile(
    r"(?i)(?:^\W*interval|sampl\w*[ _-]?(?:interval|period|time(?=.*[mu]s)))\W*([mu]|micro|milli)?"
    r"(?:s|sec|seconds)?\W*?(\d+(?:[.,]\d+)?(?:e-\d+)?)\W*([mu]?)(?:s|$)"
    r"|()(\d[\d.,]*) *([mu]?)s(?:ec)?/sample"
)
START = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:[+-]\d\d:?\d\d|Z))?")
EMPATICA = {"EDA": "uS", "TEMP": "°C", "HR": "bpm", "ACC": "1/64 g"}


def read_header(layout: "Layout", lines: Sequence[str], name: str) -> None:
    """What the lines above the names say: the rate, the start, and what fixed formats say."""
    for line in lines:
        layout.rate = layout.rate or _rate_of(line, layout.decimal)
        if found := INTERVAL_LINE.search(line):
            text = found[2] or found[5]
            prefix = (found[1] or found[3] or found[6] or "").lower()
            scale = {"": 1, "m": 1e3, "milli": 1e3, "u": 1e6, "micro": 1e6}[prefix]
            layout.rate = scale / _number_of(text, layout.decimal)
        if (found := UNIT_LINE.fullmatch(line.strip())) and layout.width == 1:
            layout.units = [found[1]]
        if (found := START.search(line)) and layout.start is None:
            layout.start = datetime.fromisoformat(found[0].replace(",", ".").replace(" +", "+"))
        first, *cells = (cell.strip() for cell in line.strip("\n").split("\t"))
        if first == "ChannelTitle=":  # LabChart
            layout.names = ["time", *cells][-layout.width :]
        elif first == "UnitName=" or (first == "Range=" and not layout.units):
            layout.units = ["s", *(cell.split(" ")[-1] for cell in cells)][-layout.width :]
        if line.startswith("# Labels:="):  # BioSPPy
            layout.names = [first.removeprefix("# Labels:=").strip(), *cells]
        if line.startswith("# {"):
            _read_opensignals(layout, line, name)
        if line.startswith("%OpenBCI"):
            # Samples come in packets, whose arrival its column of times tells.
            layout.timed = False
            layout.units = ["uV" if title.startswith("EXG") else "" for title in layout.names]
    if layout.trailing and len(layout.names) == layout.width - 1:
        layout.names.append("")
    if layout.names and all(not title for title in layout.names):
        layout.names = []


def _rate_of(line: str, decimal: str) -> float | None:
    """The rate in Hz that a line of a header says, None if it says none or several.

    >>> _rate_of("Sampled with 12 bit at 250 Hz", "."), _rate_of("Number of samples: 600", ".")
    (250.0, None)
    """
    if not RATE_TOPIC.search(line) or INTERVAL_LINE.search(line):
        return None
    found = set(BESIDE_HZ.findall(line) or (RATE_WORD.search(line) and AT_END.findall(line)) or ())
    if len(found) != 1:
        return None
    number, kilo = found.pop()
    return _number_of(number, decimal) * (1000 if kilo else 1)


def _read_opensignals(layout: "Layout", line: str, name: str) -> None:
    try:
        devices = list(json.loads(line.removeprefix("# ")).values())
        layout.names = [title for device in devices for title in device["column"]]
        rates = {float(device["sampling rate"]) for device in devices}
        if len(rates) > 1:
            raise FileError(f"{name}: its devices have the rates {sorted(rates)}. Export one.")
        (layout.rate,) = rates
        day, time = devices[0].get("date", ""), devices[0].get("time", "")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise FileError(
            f"{name}: the header of OpenSignals cannot be read: {error!r}. Export it again."
        ) from error
    found = re.findall(r"\d+", f"{day} {time}")
    if len(found) >= 6:
        fraction = timedelta(seconds=float("0." + "".join(found[6:7])))
        layout.start = datetime(*map(int, found[:6])) + fraction


def read_acqknowledge(layout: "Layout", lines: Sequence[str]) -> None:
    """Names and units that AcqKnowledge writes in turn, and a line of counts above its rows."""
    for place, line in enumerate(lines[: layout.first]):
        if not (found := re.fullmatch(r"(\d+) channels?\s*", line)):
            continue
        told = [text.strip() for text in lines[place + 1 :][: 2 * int(found[1])]]
        first = place + len(told) + 3
        is_there = layout.first in (first - 1, first) and len(lines) > first
        times = layout.width - layout.trailing - len(told) // 2
        if is_there and times in (0, 1) and re.fullmatch(r"[\d\s,;]+", lines[first - 1]):
            layout.first, layout.above = first, first - 2
            titles = layout.split(lines[first - 2])[:times]
            layout.names = [*titles, *told[::2], *[""] * layout.trailing]
            layout.units = [*[""] * times, *told[1::2], *[""] * layout.trailing]


def read_empatica(layout: "Layout", lines: Sequence[str], name: str) -> None:
    """The first rows of an Empatica E4 are the start, in seconds since 1970, and the rate."""
    rows = [layout.split(line) for line in lines[layout.first : layout.first + 3]]
    if len(rows) < 3 or any(len(row) != layout.width for row in rows):
        return
    try:
        start, rate, sample = (list(map(layout.number, row)) for row in rows)
    except ValueError:
        return
    same = len(set(start)) == 1 and len(set(rate)) == 1
    if same and 1e9 < start[0] < 4e9 and 0 < rate[0] <= 5000 and abs(sample[0]) < 1e9:
        layout.rate, layout.first = rate[0], layout.first + 2
        layout.start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=start[0])
        units = next((EMPATICA[kind] for kind in EMPATICA if kind in name.upper()), "")
        layout.units = [units] * layout.width
        layout.timed = False


def _number_of(text: str, decimal: str) -> float:
    """A number of a header, where a comma before three digits may divide thousands."""
    if decimal != "," and re.fullmatch(r"\d+,\d{3}", text):
        return float(text.replace(",", ""))
    if decimal == "," and re.fullmatch(r"\d\.000", text):
        return float(text.replace(".", ""))
    return float(text.replace(",", ".")) or math.nan
