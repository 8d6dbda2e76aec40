"""What text in columns looks like: separator, decimal mark, names, units, rate, first row.

It is told from the first lines of a file. The libraries that were tried, clevercsv and
charset-normalizer, take decimal commas for two columns and Latin-1 for Big5.
"""

import csv
import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sanbook.signals.formats import times
from sanbook.signals.formats.recording import SPELLED, FileError, Overrides

#: What stands for a missing sample, in any case.
MISSING = {"", "-", "na", "n/a", "n.a.", "nan", "nat", "null", "none", "missing", "?"}
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:inf|nan)", re.IGNORECASE)
MOMENT = re.compile(r"['\[]?(\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([ T_].*)?|(\d+:)?\d+:\d+[.,]?\d*.*)")
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks",
              "\x1f": "one column"}  # fmt: skip
COMMENT = ("#", "%")
UNIT = re.compile(
    r"[fpnuµμmkM]?(?:V|A|s|S|g|G|T|Hz|Ω|ohms?|Pa|W|N|m|L|l|C|K|F|mol)|mmHg|cmH2O|bpm|%|°C|deg\w*"
    r"|[an]\.?u\.?|adu|no[ _]units?|counts?|unitless|sec|seconds|min|hh:mm:ss\S*"
    r"|m/s(?:\^2|\*\*2|2|²)?|m/\(s\^2\)|deg/s|local|-|",
    re.IGNORECASE,
)
KIND = {"cal", "raw", "uncal", "unix", "unix_time", "calibrated", "uncalibrated"}
UNIT_LINE = re.compile(r"(?i)\W*(?:units?|einheit|unité|unidad|unità|eenheid)\W+(\S.*?)\W*")
RATE_LINE = re.compile(
    r"(?i)(?:sampl|abtast|chantillonnage|muestreo|campionamento|amostragem|meetfreq)"
    r"(?!\w* ?(?:interval|period))[^\d\n]{0,60}?(\d+(?:[.,]\d+)?) *(k?)"
)
INTERVAL_LINE = re.compile(
    r"(?i)(?:^interval|sampl\w* (?:interval|period))[^\d\n]{0,20}"
    r"(\d+(?:[.,]\d+)?(?:e-\d+)?)\W*(m?)s"
)
START = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:[+-]\d\d:?\d\d|Z))?")
COUNTER = re.compile(r"(?i)(sample|row|packet)?[ _]*(index|number|counter|count|n?seq)?")
EMPATICA = {"EDA": "uS", "TEMP": "°C", "HR": "bpm", "ACC": "1/64 g"}


@dataclasses.dataclass
class Layout:
    """How the lines of a text are read: ``first`` is the number of the first row, from 0 on.

    ``numeric`` are the columns that hold numbers, ``width`` counts the fields of a row, of which
    the last is empty and no column if it is ``trailing``.
    """

    separator: str
    decimal: str
    width: int
    numeric: list[int]
    first: int = 0
    trailing: bool = False
    names: list[str] = dataclasses.field(default_factory=list)
    units: list[str] = dataclasses.field(default_factory=list)
    rate: float | None = None
    start: datetime | None = None
    above: int = 0  # lines above the names, or above the first row
    timed: bool = True  # whether a column may hold times

    def split(self, line: str) -> list[str]:
        """The fields of a line; `csv.Error` for a quotation mark that is not closed in it."""
        if '"' in line:
            reader = csv.reader([line], delimiter=self.separator, strict=True,
                                skipinitialspace=True)  # fmt: skip
            return next(reader)
        return line.split() if self.separator == " " else line.split(self.separator)

    def number(self, cell: str) -> float:
        """The number in a cell, NaN if it is missing; ValueError for other text."""
        cell = cell.strip(" '")
        if self.decimal == ",":
            if "." in cell:
                raise ValueError(cell)
            cell = cell.replace(",", ".")
        try:
            return float(cell)
        except ValueError:
            if cell.lower() not in MISSING:
                raise
        return math.nan

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a number that is not missing."""
        cell = cell.strip(" '")
        if self.decimal == ",":
            cell = "" if "." in cell else cell.replace(",", ".")
        return bool(NUMBER.fullmatch(cell))

    def score(self, cells: Sequence[str]) -> int:
        """How many cells are numbers or times, less those that are text."""
        known = [self.is_number(cell) or bool(MOMENT.fullmatch(cell.strip())) for cell in cells]
        missing = [cell.strip().lower() in MISSING for cell in cells]
        return sum(known) - sum(not (a or b) for a, b in zip(known, missing, strict=True))


def recognize(name: str, lines: Sequence[str], wishes: Overrides) -> Layout:
    """The layout of a text from its first lines; `FileError` if no column holds numbers."""
    if not any(line.strip() for line in lines):
        raise FileError(f"{name}: is empty. Choose another file.")
    skip = wishes.skip or 0
    body = [(i, line) for i, line in enumerate(lines) if i >= skip and _is_row_at_all(line)]
    layouts = [
        _tried(separator, decimal, [line for _, line in body])
        for separator in ([SPELLED.get(wishes.separator, wishes.separator)]
                          if wishes.separator else SEPARATORS)
        for decimal in ([wishes.decimal] if wishes.decimal else ".,")
        if separator != decimal
        and (separator == "\x1f" or any(separator in line for _, line in body))
        and not (separator == " " and any("\t" in line for _, line in body[-5:]))
    ]  # fmt: skip
    scores = [score for score, _ in layouts]
    if not layouts or max(scores) <= 0:
        raise FileError(
            f"{name}: no column of numbers in the first {len(lines)} lines, such as "
            f"{lines[-1].strip()[:40]!r}. Save numbers in columns, or name separator and decimal."
        )
    layout = layouts[scores.index(max(scores))][1]
    layout.first = _first_row(layout, body)
    above = list(enumerate(lines[: layout.first]))[skip:]
    if _has_decimal_commas(layout, lines, above, wishes):
        layout = dataclasses.replace(
            _tried("\x1f", ",", [line for _, line in body])[1], first=layout.first
        )
    _read_names(layout, above)
    _read_header(layout, [line for _, line in above], name)
    _read_empatica(layout, lines, name)
    if len(layout.names) not in (0, layout.width):
        raise FileError(
            f"{name}: line {layout.first + 1} has {layout.width} fields below {len(layout.names)} "
            f"names, {layout.names[:5]}. Name the separator and the decimal mark, or mend the "
            "names."
        )
    return layout


def _is_row_at_all(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(COMMENT)


def _tried(separator: str, decimal: str, lines: Sequence[str]) -> tuple[float, Layout]:
    """A layout and how well it fits."""
    layout = Layout(separator, decimal, 1, [])
    rows = []
    for line in lines:
        try:
            rows.append(layout.split(line))
        except csv.Error:
            continue
    scores = [layout.score(cells) for cells in rows]
    widths = Counter(len(cells) for cells, score in zip(rows, scores, strict=True)
                     if any(map(layout.is_number, cells)))  # fmt: skip
    if not widths:
        return -1.0, layout
    layout.width = max(widths, key=lambda width: (widths[width], width))
    good = [cells for cells in rows if len(cells) == layout.width]
    counts = [sum(map(layout.is_number, column)) for column in zip(*good, strict=True)]
    missing = [
        sum(c.strip().lower() in MISSING for c in column) for column in zip(*good, strict=True)
    ]
    layout.numeric = [
        i
        for i, count in enumerate(counts)
        if count > 0.5 * (len(good) - missing[i]) or missing[i] == len(good)
    ]
    layout.trailing = layout.width > 1 and missing[-1] == len(good) - bool(good[0][-1].strip())
    total = sum(score for cells, score in zip(rows, scores, strict=True)
                if len(cells) == layout.width)  # fmt: skip
    return total * (0.9 if separator == " " else 1), layout


def _first_row(layout: Layout, body: Sequence[tuple[int, str]]) -> int:
    """The first line that holds numbers where columns do, and so does the next one."""

    def fits(line: str) -> bool:
        try:
            cells = layout.split(line)
        except csv.Error:
            return False
        if len(cells) != layout.width:
            return False
        missing = [cells[i].strip().lower() in MISSING for i in range(len(cells))]
        numbers = [layout.is_number(cells[i]) or missing[i] for i in layout.numeric]
        # Numbers as names, as pandas gives them, stand beside an empty name or count from 0.
        counted = [str(i) for i in range(len(cells))]
        named = cells[1:] == counted[:-1] and not cells[0].strip() and len(cells) > 1
        return all(numbers) and not named and (not all(missing) or len(set(cells)) == 1)

    fitting = [fits(line) for _, line in body]
    for i, (line, _) in enumerate(body):
        if fitting[i] and all(fitting[i : i + 2]):
            return line
    return next(line for (line, _), good in zip(body, fitting, strict=True) if good)


def _has_decimal_commas(
    layout: Layout, lines: Sequence[str], above: Sequence[tuple[int, str]], wishes: Overrides
) -> bool:
    """Whether what looks like two columns of whole numbers is one of decimal commas.

    Then the second "column" has zeros in front, the first has "-0", or one name stands above both.
    """
    if layout.separator != "," or layout.width != 2 or wishes.separator or wishes.decimal == ".":
        return False
    rows = [line.strip() for line in lines[layout.first :] if _is_row_at_all(line)]
    pairs = [found for row in rows if (found := re.fullmatch(r"([+-]?\d+),(\d+)", row))]
    if len(pairs) < 0.9 * len(rows) or not pairs:
        return False
    title = next((line.strip() for _, line in reversed(above) if line.strip()), ",x")
    names = [cell.strip() for cell in title.split(",")]
    return (
        any(re.match(r"0\d", pair[2]) or pair[1] == "-0" for pair in pairs)
        or len(names) == 1
        or names[1:] == [""]
        or bool(UNIT_LINE.fullmatch(title))
    )


def _read_names(layout: Layout, above: Sequence[tuple[int, str]]) -> None:
    """Names and units from the lines right above the first row that have as many fields."""
    rows: list[list[str]] = []
    layout.above = layout.first
    for number, line in reversed(above):
        line = line.strip().lstrip("#% ")
        try:
            cells = [cell.strip(" '\"\t") for cell in layout.split(line)]
        except csv.Error:
            break
        if layout.width == 1:
            line = line.rstrip(",;")
            if not line or UNIT_LINE.fullmatch(line) or re.search(r"[=;\t]|:\S* ", line):
                break
            cells = [line.strip(" '\"")]
        if layout.trailing and len(cells) == layout.width - 1:
            cells.append("")
        named = [cells[i] for i in layout.numeric if i < len(cells)]
        if len(cells) != layout.width or cells[0].endswith("=") or not any(named):
            break
        rows.append(cells)
        layout.above = number
        is_unit = len(rows) == 1 and all(UNIT.fullmatch(cell) for cell in cells)
        is_kind = any(cell.lower() in KIND for cell in cells)
        if not (is_unit or is_kind):
            break
    if len(rows) > 1:
        layout.units = rows[0]
    if rows:
        layout.names = rows[-1]
    for i, title in enumerate(layout.names):
        found = re.search(r"[(\[]([^)\]]+)[)\]]\s*$", title)
        if found and UNIT.fullmatch(found[1].strip()) and not layout.units[i : i + 1]:
            layout.units = layout.units or [""] * layout.width
        if found and UNIT.fullmatch(found[1].strip()) and not layout.units[i]:
            layout.units[i] = found[1].strip()


def _read_header(layout: Layout, lines: Sequence[str], name: str) -> None:
    """What the lines above the names say: the rate, the start, and what fixed formats say."""
    for line in lines:
        if (found := RATE_LINE.search(line)) and layout.rate is None:
            layout.rate = _number_of(found[1], layout.decimal) * (1000 if found[2] else 1)
        if found := INTERVAL_LINE.search(line):
            layout.rate = (1000 if found[2] else 1) / _number_of(found[1], layout.decimal)
        if (found := UNIT_LINE.fullmatch(line.strip())) and layout.width == 1:
            layout.units = [found[1]]
        if (found := START.search(line)) and layout.start is None:
            layout.start = datetime.fromisoformat(found[0].replace(",", ".").replace(" +", "+"))
        first, *cells = (cell.strip() for cell in line.strip("\n").split("\t"))
        if first == "ChannelTitle=":  # LabChart
            layout.names = ["time", *cells]
        elif first in ("UnitName=", "Range=") and not layout.units:
            layout.units = ["s", *(cell.split(" ")[-1] for cell in cells)]
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


def _read_opensignals(layout: Layout, line: str, name: str) -> None:
    try:
        devices = list(json.loads(line.removeprefix("# ")).values())
        layout.names = [title for device in devices for title in device["column"]]
        layout.rate = float(devices[0]["sampling rate"])
        day, time = devices[0].get("date", ""), devices[0].get("time", "")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise FileError(
            f"{name}: the header of OpenSignals cannot be read: {error!r}. Export it again."
        ) from error
    found = re.findall(r"\d+", f"{day} {time.partition('.')[0]}")
    if len(found) == 6:
        layout.start = datetime(*map(int, found))


def _read_empatica(layout: Layout, lines: Sequence[str], name: str) -> None:
    """The first rows of an Empatica E4 are the start, in seconds since 1970, and the rate."""
    rows = [layout.split(line) for line in lines[layout.first : layout.first + 3]]
    if len(rows) < 3 or any(len(row) != layout.width for row in rows):
        return
    start, rate, sample = ([layout.number(c) if layout.is_number(c) else math.nan for c in row]
                           for row in rows)  # fmt: skip
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
    return float(text.replace(",", ".")) or math.nan


def signals_of(layout: Layout, clock: int | None) -> list[int]:
    """The columns that can be meant if none is named: of numbers that are no times or counts."""
    columns = [i for i in layout.numeric if i != clock]
    if not any(layout.names):
        return columns
    named = [i for i in columns if layout.names[i]]
    others = [i for i in named if not times.is_time(layout.names[i])
              and not COUNTER.fullmatch(layout.names[i])]  # fmt: skip
    return others or named
