"""What text in columns looks like: separator, decimal mark, names, units, rate, first row.

It is told from the first lines of a file. The libraries that were tried, clevercsv and
charset-normalizer, take decimal commas for two columns and Latin-1 for Big5.
"""

import contextlib
import csv
import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sanbook.signals.formats import times
from sanbook.signals.formats.header import UNIT_LINE, read_acqknowledge, read_empatica, read_header
from sanbook.signals.formats.recording import SPELLED, FileError, Overrides

SOME = 2**16  # characters at either end of the first lines, which every layout is tried on
WIDE = 100  # fields of a line, of which so many may be channels
#: What stands for a missing sample, in any case.
MISSING = {"", "-", "--", "na", "n/a", "n.a.", "nan", "nat", "null", "none", "missing", "?",
           "<na>", "#n/a", "#num!", "#div/0!", "#value!", "nan(ind)", "-nan(ind)"}  # fmt: skip
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:inf|nan)", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?")
ENGLISH = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")  # commas between thousands
MOMENT = re.compile(r"['\[]?(\d{1,4}[-./](?:\d{1,2}|[a-z]{3})[-./]\d{1,4}([ T_][^;|]*)?"
                    r"|[a-z]{3,9} \d+,? \d{4} .*"
                    r"|\d+(\.\d+)?(e-?\d+)? sec"
                    r"|(\d+ days? )?(\d+:)?\d+:\d+[.,]?\d*[^;|,]*)", re.IGNORECASE)  # fmt: skip
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks",
              "\x1f": "one column"}  # fmt: skip
COMMENT = ("#", "%")
UNIT = re.compile(
    r"(?:[fpnuµμmkM]?(?:V|A|s|S|g|G|T|Hz|Ω|ohms?|Pa|W|N|m|L|l|C|K|F|mol)|mmHg|breaths)"
    r"(?:/(?:min|cm|s))?|cmH2O|[br]pm|dB|%|°C|deg\w*|(?:micro|milli)?volts?|lsb|bits?"
    r"|[an]\.?u\.?|adu|no[ _]units?|counts?|unitless|sec|seconds|min|[hmsdy0:./ -]{8,}"
    r"|m/s(?:\^2|\*\*2|2|²)?|m/\(s\^2\)|deg/s|local|-|",
    re.IGNORECASE,
)
KIND = {"cal", "raw", "uncal", "unix", "unix_time", "calibrated", "uncalibrated"}
COUNTER = re.compile(r"(?i)(sample|row|packet)?[ _]*(index|number|counter|count|n?seq(uence)?|#)?")


@dataclasses.dataclass
class TextLayout:
    """How the lines of a text are read: ``first`` is the number of the first row, from 0 on.

    ``numeric`` are the columns that hold numbers, ``blank`` are those without a number so far.
    ``width`` counts the fields of a row, of which the last is empty and no column if it is
    ``trailing``.
    """

    separator: str
    decimal: str
    width: int
    numeric: list[int]
    first: int = 0
    trailing: bool = False
    blank: list[int] = dataclasses.field(default_factory=list)
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
        cell = cell.strip(" \t'")
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
        cell = re.sub(r"(?<=\d)[ \u00a0\u202f](?=\d{3}\b)", "", cell.strip(" \t'"))
        if self.decimal == ",":
            # Points between thousands are known as such, and refused where they are read.
            cell = cell.replace(".", "") if THOUSANDS.fullmatch(cell) else cell
            cell = "" if "." in cell else cell.replace(",", ".")
        return bool(NUMBER.fullmatch(cell))

    def score(self, cells: Sequence[str]) -> int:
        """How many cells are numbers or times, less those that are text."""
        score = 0
        for cell in cells:
            if self.is_number(cell) or MOMENT.fullmatch(cell.strip()):
                score += 1
            elif not is_missing(cell):
                score -= 1
        return score

    def is_row(self, line: str) -> bool:
        """Whether a line holds numbers, or nothing, where columns do."""
        try:
            cells = self.split(line)
        except csv.Error:
            return False
        if len(cells) != self.width or not is_content(line):
            return False
        known = [self.is_number(cells[i]) for i in self.numeric]
        missing = [is_missing(cells[i]) for i in self.numeric]
        # What has no number at all are names, unless all of it says that it is missing.
        return all(a or b for a, b in zip(known, missing, strict=True)) and (
            any(known) or self.width == 1 or all(cell.strip() for cell in cells)
        )


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing sample."""
    return cell.strip(" '").lower() in MISSING


def check_quotes(name: str, layout: TextLayout, line: str, number: int) -> None:
    """Complain of a quotation mark that opens in a line and does not close in it."""
    if line.count('"') % 2 == 0:
        return
    try:
        layout.split(line)
    except csv.Error as error:
        raise FileError(
            f"{name}: line {number} has a quotation mark that does not close in it, "
            f"{line.strip()[:40]!r}. Remove the mark, or the line break between two marks."
        ) from error


def is_content(line: str) -> bool:
    """Whether a line is neither blank nor a comment."""
    text = line.strip().lower()
    return bool(text) and (text in MISSING or not text.startswith(COMMENT))


def recognize(name: str, lines: Sequence[str], wishes: Overrides) -> TextLayout:
    """The layout of a text from its first lines; `FileError` if no column holds numbers."""
    if not any(line.strip() for line in lines):
        raise FileError(f"{name}: is empty. Choose another file.")
    skip = wishes.skip or 0
    body = [line for line in lines[skip:] if is_content(line)]
    some = max(10, min(100, SOME // max(map(len, body[-10:]), default=1)))
    body = body[:some] + body[some:][-some:]
    given = SPELLED.get(wishes.separator, wishes.separator)
    tried = [
        _tried(separator, decimal, body, told=bool(wishes.decimal))
        for separator in (given or SEPARATORS)
        for decimal in (wishes.decimal or ".,")
        if (given or separator == "\x1f" or any(separator in line for line in body))
        and (separator != decimal or any('"' in line for line in body))
        and not (separator == " " and any("\t" in line for line in body[-5:]))
    ]
    score, layout = max(tried, key=lambda pair: pair[0], default=(-math.inf, None))
    if score == -math.inf:
        raise FileError(
            f"{name}: no column of numbers in the first {len(lines)} lines, such as "
            f"{lines[-1].strip()[:40]!r}. Save numbers in columns, or name separator and decimal."
        )
    for number, line in enumerate(lines, 1):
        check_quotes(name, layout, line, number)
    layout.first = _first_row(layout, lines, skip)
    if layout.width > WIDE and len(body) < 4:
        raise FileError(
            f"{name}: has {len(body)} line{'s' * (len(body) > 1)} of {layout.width} fields. Save "
            "each sample in a line of its own."
        )
    above = list(enumerate(lines[: layout.first]))[skip:]
    if not given and wishes.decimal != "." and _has_decimal_commas(name, layout, lines, above):
        layout = dataclasses.replace(_tried("\x1f", ",", body)[1], first=layout.first)
    _read_names(layout, above)
    read_acqknowledge(layout, lines)
    titles = [title for title in layout.names if title]
    if all(map(layout.is_number, titles)) and titles != [str(i) for i in range(len(titles))]:
        raise FileError(
            f"{name}: line {layout.above + 1} holds the numbers {titles[:5]} above rows of "
            f"{layout.width} fields. Name the separator, or skip the lines above."
        )
    names_at = layout.above if layout.names else layout.first  # the line of names is no header
    read_header(layout, [line for i, line in above if i < names_at or UNIT_LINE.match(line)], name)
    read_empatica(layout, lines, name)
    title = [cell.strip() for cell in layout.split(lines[layout.above - 1])] if above else []
    unlike = len(layout.names) if layout.names else len(title)
    if unlike not in (0, 1, layout.width) and layout.above == layout.first > skip and title[-1]:
        raise FileError(
            f"{name}: line {layout.first + 1} has {layout.width} fields below {unlike} names, "
            f"{title[:5]}. Name the separator and the decimal mark, or skip the lines above."
        )
    return layout


def _tried(
    separator: str, decimal: str, lines: Sequence[str], told: bool = False
) -> tuple[float, TextLayout]:
    """A layout, and how well it fits: minus infinity if no column holds numbers.

    ``told`` says that the decimal mark is given, so commas do not stand between thousands.
    """
    layout = TextLayout(separator, decimal, 1, [])
    rows = []
    for line in lines:
        with contextlib.suppress(csv.Error):
            rows.append(layout.split(line))
    late = rows[len(rows) // 4 :]  # rows are not only above the text
    widths = Counter(len(cells) for cells in late if any(map(layout.is_number, cells)))
    cells_with_commas = [cell for cells in rows for cell in cells if "," in cell]
    quoted = decimal == "," and any('"' in line for line in lines[-5:])
    # Commas in quotes may stand between thousands.
    if not widths or (quoted and not told and all(map(ENGLISH.fullmatch, cells_with_commas))):
        return -math.inf, layout
    layout.width = max(widths, key=lambda width: (widths[width], width))
    rows = [cells for cells in rows if len(cells) == layout.width]
    columns = list(zip(*rows, strict=True))
    for i, column in enumerate(columns):
        known = sum(not is_missing(cell) for cell in column)
        numbers = sum(map(layout.is_number, column))
        if 2 * numbers >= max(1, known) or known <= 1 < len(rows):  # one may be a name
            layout.numeric.append(i)
        if not numbers:
            layout.blank.append(i)
    layout.trailing = layout.width > 1 and not any(cell.strip() for cell in columns[-1])
    score = sum(map(layout.score, rows)) * (0.9 if separator == " " else 1)
    return (score if layout.numeric else -math.inf), layout


def _first_row(layout: TextLayout, lines: Sequence[str], skip: int) -> int:
    """The first row that is followed by others, at least in half of five lines, or by nothing.

    Numbers as names, as pandas gives them, count from 0 and stand beside an empty one, an index, or
    above numbers that are not whole.
    """
    numbers = [i for i in range(skip, len(lines)) if is_content(lines[i])]
    is_row = functools.cache(lambda place: layout.is_row(lines[numbers[place]]))
    counted = [str(i) for i in range(layout.width)]
    for place, number in enumerate(numbers):
        following = range(place + 1, min(place + 6, len(numbers)))
        if not is_row(place) or 2 * sum(map(is_row, following)) < len(following):
            continue
        cells = [cell.strip() for cell in layout.split(lines[number])]
        whole = [re.fullmatch(r"[\d\s,;]*", lines[i]) for i in numbers[place + 1 : place + 20]]
        if layout.width > 1 and (
            cells == ["", *counted[:-1]]
            or (cells == counted and not any(whole) and number == numbers[0])
        ):
            continue
        return number
    return next((number for i, number in enumerate(numbers) if is_row(i)), numbers[0])


def _has_decimal_commas(
    name: str, layout: TextLayout, lines: Sequence[str], above: Sequence[tuple[int, str]]
) -> bool:
    """Whether what looks like two columns of whole numbers is one of decimal commas.

    Then the second "column" has zeros in front, the first has "-0", or one name stands above both.
    `FileError` if there are more such pairs, between which commas stand too.
    """
    rows = [line.strip(" ,") for line in lines[layout.first :] if is_content(line)]
    if layout.separator != "," or layout.width % 2 or "." in rows[0]:
        return False
    pairs = [re.findall(r"([+-]?\d+),(\d+(?:e[+-]?\d+)?)(?:,|$)", row, re.I) for row in rows]
    whole = [found for row, found in zip(rows, pairs, strict=True)
             if found and ",".join(map(",".join, found)) == row]  # fmt: skip
    if len(whole) < 0.9 * len(rows):
        return False
    zeros = any(re.match(r"0\d", low) or high == "-0" for found in whole for high, low in found)
    title = next((line.strip() for _, line in reversed(above) if line.strip()), "")
    names = title.split(",") if title else ["", "x"]
    if layout.width > 2:
        if zeros and len(names) != layout.width:
            raise FileError(
                f"{name}: commas stand between the columns and in the numbers, as in {rows[0]!r}. "
                "Save it with semicolons between the columns."
            )
        return False
    return zeros or len(names) == 1 or names[1:] == [""] or bool(UNIT_LINE.fullmatch(title))


def _read_names(layout: TextLayout, above: Sequence[tuple[int, str]]) -> None:
    """Names and units from the lines right above the first row that have as many fields."""
    rows: list[list[str]] = []
    layout.above = layout.first
    for number, line in reversed(above):
        line = line.strip().lstrip("#% ")
        if not line:
            continue
        try:
            cells = [cell.strip(" '\"\t") for cell in layout.split(line)]
        except csv.Error:
            break
        if layout.width == 1:
            line = line.rstrip(",;")
            if UNIT_LINE.fullmatch(line) or re.search(r"[=;\t]|:\S* ", line):
                break
            cells = [line.strip(" '\"")]
        if len(cells) == layout.width - 1 and (layout.trailing or layout.separator == " "):
            # R names no column of names of rows.
            cells.insert(layout.width if layout.trailing else 0, "")
        if len(cells) > layout.width and not rows and layout.separator != " ":
            cells = cells[: layout.width]  # of columns that have no fields at all
        named = [cells[i] for i in layout.numeric if i < len(cells)]
        if len(cells) != layout.width or cells[0].endswith("=") or not any(named):
            break
        rows.append(cells)
        layout.above = number
        bare = [re.sub(r"^[(\[](.*)[)\]]$", r"\1", cell) for cell in cells]
        is_unit = len(rows) == 1 and all(UNIT.fullmatch(cell) for cell in bare)
        rows[-1] = bare if is_unit else cells
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


def signals_of(layout: TextLayout, clock: int | None) -> list[int]:
    """The columns that can be meant if none is named: of numbers that are no times or counts."""
    columns = [i for i in layout.numeric if i != clock]
    columns = [i for i in columns if i not in layout.blank] or columns
    if not any(layout.names):
        return columns
    named = [i for i in columns if layout.names[i]]
    others = [i for i in named if not times.is_time(layout.names[i])
              and not COUNTER.fullmatch(layout.names[i])]  # fmt: skip
    return others or named
