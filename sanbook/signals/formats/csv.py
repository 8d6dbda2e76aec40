"""Text in columns: files, and streams, which are read once, each block as soon as it has come."""

import codecs
import contextlib
import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sanbook.signals.formats import times
from sanbook.signals.formats.layout import (
    COMMENT,
    MOMENT,
    SEPARATORS,
    TextLayout,
    check_quotes,
    is_content,
    is_missing,
    recognize,
    signals_of,
)
from sanbook.signals.formats.recording import (
    BLOCK,
    FileError,
    Overrides,
    Recording,
    SignalFile,
    at_rate,
)

HEAD = 1000  # lines of a file that its layout is told from
LIVE = 64  # rows of a stream for the same purpose, as who writes it may wait for an answer
LONGEST = 2**20  # characters of a line
END = 2**12  # bytes that the last time of a file is looked for in
# How files that are no text in columns begin, and what they are.
FOREIGN = {
    b"version https://git-lfs": "a pointer of Git LFS. Fetch the file itself with git lfs pull",
    b"PK\x03\x04": "a zip or Excel file. Save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file. Save the sheet as CSV",
    b"\x1f\x8b": "a gzip file. Unpack it",
    b"<": "HTML or XML. Download the file itself",
    b"{": "JSON. Save the signal as CSV",
    b"[\n": "JSON. Save the signal as CSV",
    b"[\r\n": "JSON. Save the signal as CSV",
    b"Type,Local Number,Message": "a list of messages of a FIT file. Save its records alone, "
    "as FitCSVTool does with --data record",
    b"%PDF": "a PDF. Save the signal as CSV",
    b"\x89HDF": "an HDF5 file. Save the signal as CSV or .npy",
    b"MATLAB 5": "a MATLAB file. Save the signal as CSV",
}
codecs.register_error(  # a byte that is not UTF-8 is one of Windows
    "latin-1",
    lambda error: (error.object[error.start : error.end].decode("cp1252", "replace"), error.end),
)


def open_text(path: Path, wishes: Overrides) -> SignalFile:
    """A file of text, or a pipe with a name."""
    if not path.is_file():
        return open_stream(path.name, path.open("rb"), wishes)
    with path.open("rb") as file:
        head = _lines_of(path.name, file, HEAD + (wishes.skip or 0))
    with path.open("rb") as file:
        encoding = _encoding(file.peek(256)[:256])
        file.seek(-min(END, path.stat().st_size), io.SEEK_END)
        end = file.read().decode(encoding, "replace").splitlines()
    table = _Table.of(path.name, head, wishes, end)
    return table.file((path,), lambda: _read_again(path))


def _read_again(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        yield from _Lines(path.name, file)


def open_stream(name: str, stream: BinaryIO, wishes: Overrides) -> SignalFile:
    """Text from a stream; its blocks can be read once."""
    lines = _Lines(name, stream)
    head = []
    rows = 0
    for line in lines:
        head.append(line)
        is_row = re.match(r"""[\s'"\[]*[-+.,;]?\d""", line)
        rows = rows + 1 if is_row else 0
        if rows == LIVE or len(head) == HEAD + (wishes.skip or 0):
            break
    table = _Table.of(name, head, wishes, [])
    once = iter([[*head], lines])

    def rest() -> Iterator[str]:
        for part in once:
            yield from part

    return table.file((), rest)


class _Lines:
    """The lines of a binary stream, without line ends, whatever they and the encoding are."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = name
        begin = stream.peek(256)[:256]
        for signature, what in FOREIGN.items():
            if begin.lstrip(b"\xef\xbb\xbf").startswith(signature):
                raise FileError(f"{name}: is {what}.")
        self.text = io.TextIOWrapper(stream, _encoding(begin), "latin-1", newline=None)

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(iter(lambda: self.text.readline(LONGEST), ""), 1):
            if "\0" in line or len(line) == LONGEST:
                raise FileError(
                    f"{self.name}: line {number} is no line of text, but begins with "
                    f"{line[:20]!r}. Choose a file of text."
                )
            yield line.rstrip("\n") if number > 1 else line.strip("\n\ufeff")


def _encoding(begin: bytes) -> str:
    """UTF-16 with or without its mark, else UTF-8."""
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = begin[::2].count(0), begin[1::2].count(0)
    if max(even, odd) > 0.4 * len(begin):
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def _lines_of(name: str, stream: BinaryIO, count: int) -> list[str]:
    return [line for line, _ in zip(_Lines(name, stream), range(count), strict=False)]


@dataclasses.dataclass
class _Table:
    """A text of a known layout, its column of times, if any, and the rate that was given.

    ``head`` are its first lines, ``end`` its last ones, none of a stream.
    """

    name: str
    layout: TextLayout
    clock: int | None
    wishes: Overrides
    head: list[str]
    end: list[str]

    @classmethod
    def of(cls, name: str, head: list[str], wishes: Overrides, end: list[str]) -> "_Table":
        """What the first lines say, and the last ones of times."""
        layout = recognize(name, head, wishes)
        table = cls(name, layout, None, wishes, head, end)
        table.clock = table._time_column()
        return table

    @property
    def columns(self) -> int:
        """The columns that have fields."""
        return self.layout.width - self.layout.trailing

    def _rows(self, column: int) -> tuple[list[str], list[int]]:
        """The cells of a column in the first rows, and the lines that they are in."""
        cells, numbers = [], []
        for number, line in enumerate(self.head[self.layout.first :], self.layout.first + 1):
            fields = self._fields(line, number)
            if fields and len(fields) == self.layout.width and fields[column].strip():
                cells.append(fields[column])
                numbers.append(number)
        return cells, numbers

    def _fields(self, line: str, number: int) -> list[str] | None:
        """The fields of a line, None of a blank one or a comment."""
        if not is_content(line):
            return None
        if line.startswith("Interval="):
            raise FileError(
                f"{self.name}: line {number} begins a second block of LabChart. Export one block."
            )
        check_quotes(self.name, self.layout, line, number)
        with contextlib.suppress(csv.Error):
            return self.layout.split(line)
        return []

    def _time_column(self) -> int | None:
        names, layout = self.layout.names, self.layout
        wish = self.wishes.time
        if wish == "none" or (wish == "" and not layout.timed):
            return None
        if wish != "":
            by_name = names.index(wish) if names.count(wish) == 1 else None
            number = int(wish) if str(wish).isdecimal() and by_name is None else by_name
            if number is None or number >= self.columns or self._clock_of(number) is None:
                raise FileError(
                    f"{self.name}: column {wish!r} holds no times, of the columns {names}. Name "
                    "the column of times, or none."
                )
            return number
        refused = None
        for column in range(self.columns if self.columns > 1 else 0):
            title = names[column] if names else ""
            if not self._may_be_time(column):
                continue
            try:
                clock = self._clock_of(column)
            except FileError as error:
                # A column without a name is a time only if it moves evenly.
                # Nor is one with a short name in capitals, as of a lead or a unit.
                refused = refused or (error if title and not times.is_vague(title) else None)
                continue
            # An unnamed 0, 1, 2 beside names is an index, as pandas writes it.
            if clock and (title or clock.rate or not names):
                return column
        if refused:
            raise refused
        return None

    def _may_be_time(self, column: int) -> bool:
        """Whether a column is called a time, or is the first one of no name, or holds moments."""
        title = self.layout.names[column] if self.layout.names else ""
        if times.is_time(title) if title else column == 0:
            return True
        cells, _ = self._rows(column) if column not in self.layout.numeric else ([], [])
        return bool(cells and MOMENT.fullmatch(cells[len(cells) // 2].strip()))

    def _clock_of(self, column: int) -> times.Clock | None:
        layout = self.layout
        cells, lines = self._rows(column)
        if layout.decimal == ",":
            cells = [cell.replace(",", ".") for cell in cells]
        unit = layout.units[column] if layout.units else ""
        title = layout.names[column] if layout.names else ""
        given = self.wishes.rate or layout.rate
        last = ""
        for line in self.end:
            with contextlib.suppress(csv.Error):
                fields = layout.split(line)
                last = fields[column] if len(fields) == layout.width else last
        return times.clock_of(self.name, title or str(column), unit, cells, lines, given, last)

    def _day(self) -> datetime | None:
        """The day of the first row, in another column of times."""
        for column in range(self.columns):
            cells, _ = self._rows(column)
            if column != self.clock and self._may_be_time(column) and cells:
                return times.date_of(cells[0])
        return None

    def file(self, files: tuple[Path, ...], lines) -> SignalFile:
        """The columns; ``lines`` gives all lines, from the first on."""
        layout = self.layout
        names = tuple(layout.names or [""] * layout.width)[: self.columns]
        told = None if self.clock is None else self._clock_of(self.clock)
        where = f"column {names[self.clock] or self.clock!r}" if told else ""
        rate = at_rate(self.name, layout.rate, self.wishes.rate)
        if told and told.rate:
            rate = at_rate(self.name, told.rate, rate, where)
        start = layout.start
        if told and self.clock is not None:
            first = self._rows(self.clock)[0][0].replace(",", ".")
            start = told.start(first) or start
            if told.reader.kind == "clock" and (day := self._day()):
                start = day + timedelta(seconds=told.reader(first))
        said = self._decision(names, rate, told, where)

        def read(column: int) -> Recording:
            remarks: list[str] = []

            def blocks(size: int) -> Iterator[np.ndarray]:
                remarks.clear()
                clock = told and told.at(rate)
                at_once = max(size, BLOCK // 8) if files else size
                yield from self._blocks(column, lines(), clock, at_once, remarks)

            units = layout.units[column] if layout.units else ""
            return Recording(
                self.name,
                names[column],
                column,
                rate,
                units.strip() or "unknown",
                files,
                blocks,
                start,
                decision=said,
                remarks=remarks,
            )

        return SignalFile(self.name, names, read, signals_of(layout, self.clock))

    def _decision(self, names, rate: float | None, clock: times.Clock | None, where: str) -> str:
        layout = self.layout
        said = [SEPARATORS.get(layout.separator, repr(layout.separator))]
        if layout.width == 1:
            said = [SEPARATORS["\x1f"]]
        if layout.decimal == ",":
            said.append("decimal commas")
        if layout.above:
            under = "names" if layout.names else "first row"
            said.append(f"{layout.above} line{'s' * (layout.above > 1)} above the {under}")
        if not any(names):
            said.append("no names")
        if clock:
            what = "" if clock.rate else ", of which no unit is known"
            if clock.uneven:
                what = f", which are uneven by up to {100 * clock.uneven:.0f} % of a step"
            said.append(f"times in {where}{what}")
        if rate:
            source = ("the times" if clock and clock.rate else "the header" if layout.rate
                      else "the caller")  # fmt: skip
            said.append(f"{rate:g} Hz from {source}")
        return "read as: " + ", ".join(said)

    def _blocks(self, column: int, lines, clock: times.Clock | None, size: int, remarks: list[str]):
        """The samples of a column; what is no row is left out, if times or the end allow it."""
        layout = self.layout
        guard = next((i for i in layout.numeric if i not in (column, self.clock)), column)
        values: list[float] = []
        seconds: list[float] = []
        numbers: list[int] = []
        left_out: list[tuple[int, str]] = []  # lines that are no rows
        pending: tuple[int, str] | None = None
        parse = self._parser(column, guard, clock)
        for number, line in enumerate(lines, 1):
            if number <= layout.first:
                continue
            try:
                value, moment = parse(line)
                if math.isnan(moment):
                    raise ValueError(line)
            except (ValueError, IndexError, csv.Error):
                fields = self._fields(line, number)
                if fields is None:
                    if line.strip():
                        left_out.append((number, line))
                    continue
                self._check_cell(fields, column, guard, number)
                pending = pending or (number, line)
                left_out.append((number, line))
                continue
            if pending and not clock:
                raise FileError(
                    f"{self.name}: line {pending[0]} is no row of {layout.width} fields, but "
                    f"{pending[1].strip()[:40]!r}. Remove the line, or give times in a column."
                )
            values.append(value)
            numbers.append(number)
            seconds.append(moment)
            if len(values) >= size:
                yield from _timed(values, seconds, numbers, clock)
                values, seconds, numbers = [], [], []
        if values:
            yield from _timed(values, seconds, numbers, clock)
        if left_out:
            number, line = left_out[0]
            count = len(left_out)
            lines_are = "1 line is" if count == 1 else f"{count} lines are"
            remarks.append(f"{lines_are} no row and left out, line {number}, {line.strip()[:40]!r}"
                           + (", first" if count > 1 else ""))  # fmt: skip
        if clock and abs(clock.drift) > 2 * clock.step + 1e-3 * abs(
            clock.last - (clock.first or 0)
        ):
            remarks.append(f"the times end {clock.drift:g} s from what the rate says")

    def _parser(self, column: int, guard: int, clock: times.Clock | None):
        """What turns a line into a sample and its time; ValueError or csv.Error for no row."""
        layout, place = self.layout, self.clock
        separator, width = layout.separator, layout.width
        plain = layout.decimal == "." and separator != " "
        scale = clock.reader.scale if clock and clock.reader.kind == "number" else None

        def parse(line: str) -> tuple[float, float]:
            if '"' in line or "_" in line or not plain or line.startswith(COMMENT):
                return parse_slowly(line)
            fields = line.split(separator)
            try:  # what nearly all lines are
                if len(fields) == width and (scale or not clock):
                    float(fields[guard])
                    return float(fields[column]), float(fields[place]) * scale if clock else 0.0
            except ValueError:
                pass
            return parse_slowly(line)

        def parse_slowly(line: str) -> tuple[float, float]:
            if not is_content(line):
                raise ValueError(line)
            fields = layout.split(line)
            if len(fields) != width:
                fields = self._mended(fields)
            if "_" in fields[column]:
                raise ValueError(line)
            value = layout.number(fields[column])
            layout.number(fields[guard])
            text = fields[place].replace(",", ".") if clock else ""
            return value, clock.reader(text) if clock else 0.0

        return parse

    def _mended(self, fields: list[str]) -> list[str]:
        """A row with more or fewer empty fields at its end; ValueError for another one."""
        width = self.layout.width
        if len(fields) == width - 1 and self.layout.trailing:
            return [*fields, ""]
        # What LabChart says of a row begins with #.
        if len(fields) > width and all(f.strip()[:1] in ("", "#") for f in fields[width:]):
            return fields[:width]
        raise ValueError(fields)

    def _check_cell(self, fields: list[str], column: int, guard: int, number: int) -> None:
        """Complain of a cell that alone keeps a line from being a row."""
        layout = self.layout
        others = {guard, self.clock} - {None, column}
        if len(fields) != layout.width:
            return
        grouped = re.search(r"\d\s\d", fields[column]) and layout.is_number(fields[column])
        # A row without a time has no place, whatever is wrong with its sample.
        untimed = self.clock is not None and is_missing(fields[self.clock])
        is_row = all(layout.score([fields[i]]) >= 0 and fields[i].strip() for i in others)
        if grouped or (others and is_row and not untimed):
            name = layout.names[column] if layout.names else str(column)
            raise FileError(
                f"{self.name}: column {name!r} has {fields[column][:40]!r} in line {number}, not a "
                "number. Choose another column or mend the line."
            )


def _timed(values: list, seconds: list, numbers: list, clock: times.Clock | None):
    samples = np.array(values)
    return times.timed(samples, clock.gaps(np.array(seconds), numbers)) if clock else [samples]
