"""Text in columns."""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from sanbook.signals.formats.recording import FileError, Overrides, Recording, SignalFile

#: What stands for a missing sample, in any case.
MISSING = {"", "-", "na", "n/a", "nan", "null", "none"}


def open_text(path: Path, wishes: Overrides) -> SignalFile:
    """A file of text, or a pipe."""
    return open_stream(path.name, path.open("rb"), wishes, (path,))


def open_stream(name: str, stream, wishes: Overrides, files=()) -> SignalFile:
    """Text from a stream, which is read once."""
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    rows = _rows(name, lines)
    names = tuple(title.strip() for title in next(rows, []))
    if not any(names):
        raise FileError(
            f"{name}: expected a CSV file whose first line names the columns, got an empty first "
            "line; write a line of names above the numbers"
        )
    if all(_is_number(title) for title in names):
        raise FileError(
            f"{name}: expected a first line that names the columns, got the numbers "
            f"{', '.join(names[:5])}; write a line of names above them"
        )
    if len(names) == 1 and (wrong := re.search(r"[;\t|]", names[0])):
        raise FileError(
            f"{name}: expected commas between the columns, got {wrong[0]!r} in the first line, "
            f"{names[0]!r}; save it with commas"
        )

    def read(place: int) -> Recording:
        def blocks(size: int) -> Iterator[np.ndarray]:
            values: list[float] = []
            for line, row in enumerate(rows, start=2):
                if len(row) > len(names):
                    raise FileError(
                        f"{name}: expected {len(names)} columns as in the first line, got "
                        f"{len(row)} in line {line}; save numbers with a point"
                    )
                # A blank line is a missing sample.
                text = row[place].strip() if place < len(row) else ""
                try:
                    values.append(float(text))
                except ValueError:
                    if text.lower() not in MISSING:
                        raise FileError(
                            f"{name}: expected real numbers in column {names[place]!r}, got "
                            f"{text[:40]!r} in line {line}; choose another column or mend the line"
                        ) from None
                    values.append(math.nan)
                if len(values) == size:
                    yield np.array(values)
                    values = []
            if values:
                yield np.array(values)

        return Recording(name, names[place], place, wishes.rate, "unknown", files, blocks)

    return SignalFile(name, names, read, [i for i, title in enumerate(names) if title])


def _rows(name: str, lines: Iterable[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines)
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileError(f"{name}: expected lines of text as CSV, got: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
