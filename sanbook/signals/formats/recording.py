"""What every reader of a file gives: a `SignalFile` of channels, each a `Recording`.

Axes: n samples of a channel.
"""

import contextlib
import dataclasses
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

BLOCK = 2**17  # samples that are read at once: 1 MB in double precision
SPELLED = {"tab": "\t", "space": " "}  # separators that a command line cannot show
MOST_NAMES = 20  # of columns, in a message
LONGEST_GAP = 10**8  # missing samples that may follow each other: 28 hours at 1,000 Hz
#: Powers of ten of the prefixes of units; the micro sign and the Greek letter are two characters.
PREFIXES = {"p": -12, "n": -9, "u": -6, "\u00b5": -6, "\u03bc": -6, "m": -3, "": 0, "k": 3, "M": 6}
_UNIT = re.compile(
    f"(?P<prefix>[{''.join(PREFIXES)}]?)(?P<unit>V|A|S|Pa|W|T|Hz|g|L|m|s|Ohm|\u03a9)"
)


class FileError(ValueError):
    """A file cannot be used; the message says what is wrong with which value, and what to do."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """One channel of a file, read block by block, so that it may be longer than memory.

    ``blocks(size)`` gives the samples in the order of time, float64 ``(k,)`` of any lengths. A live
    stream is delivered in blocks of at most ``size`` samples. A missing sample is NaN, and so is
    each sample of a gap in time: sample i lies i / ``sampling_rate`` seconds after ``start``.

    Attributes:
        name: of the file.
        column: name of the column or channel, empty if the file names none.
        column_number: from 0 on.
        sampling_rate: in Hz; None if neither the file nor the caller says it.
        units: of the samples, or "unknown".
        files: the files that the samples are in.
        start: time of the first sample, if the file has one.
        samples: how many there are, gaps included, if that is known before they are read.
        decision: how the file was read, "read as: ...".
        remarks: what was left out, one sentence each; complete when all blocks are read.
    """

    name: str
    column: str
    column_number: int
    sampling_rate: float | None
    units: str
    files: tuple[Path, ...]
    blocks: Callable[[int], Iterator[np.ndarray]]
    start: datetime | None = None
    samples: int | None = None
    decision: str = ""
    remarks: list[str] = dataclasses.field(default_factory=list)

    @property
    def origin(self) -> str:
        """File and column, for sentences."""
        if self.column:
            return f"{self.name}, {self.column}"
        return f"{self.name}, column {self.column_number}" if self.column_number else self.name

    def in_units(self, units: str) -> "Recording":
        """The same recording in other units of the same kind, such as mV instead of uV.

        Raises `FileError` if no power of ten divides the units; unknown ones are taken as they are.
        """
        if "unknown" in (units, self.units) or units == self.units:
            return self
        have, want = _UNIT.fullmatch(self.units), _UNIT.fullmatch(units)
        if not have or not want or have["unit"] != want["unit"]:
            raise FileError(
                f"{self.origin}: its units are {self.units}, but {units} are needed. Convert the "
                "signal, or fit a model to it."
            )
        power = PREFIXES[have["prefix"]] - PREFIXES[want["prefix"]]

        def blocks(size: int) -> Iterator[np.ndarray]:
            for values in self.blocks(size):
                yield values * 10.0**power if power > 0 else values / 10.0**-power

        return dataclasses.replace(self, units=units, blocks=blocks)


@dataclasses.dataclass(frozen=True)
class SignalFile:
    """The channels of an open file: their ``names``, and a ``read`` that opens one by its number.

    ``signals`` are the numbers of the channels that can be meant if none is named: all, except
    columns of times and columns without a name beside columns with one.
    """

    name: str
    names: tuple[str, ...]
    read: Callable[[int], Recording]
    signals: Sequence[int]

    def channel(self, column: str | int = "") -> Recording:
        """One channel, by its name or by its number from 0 on; by default the only one there is."""
        number = self._number(column)
        if number is None:
            names = [name or number for number, name in enumerate(self.names)]
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            raise FileError(
                f"{self.name}: {column!r} does not name exactly one of its columns "
                f"{names[:MOST_NAMES]}{more}. Name one, or give its number from 0 on."
            )
        with in_a_sentence(self.name):
            recording = self.read(number)
        rate = recording.sampling_rate
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            raise FileError(f"{self.name}: says a rate of {rate:g} Hz. Give the rate.")
        return dataclasses.replace(recording, blocks=_guarded(self.name, recording.blocks))

    def _number(self, column: str | int) -> int | None:
        if isinstance(column, int):
            return column if 0 <= column < len(self.names) else None
        if column:
            return self.names.index(column) if self.names.count(column) == 1 else None
        return self.signals[0] if len(self.signals) == 1 else None


@dataclasses.dataclass(frozen=True)
class Overrides:
    """What the caller knows better than the file; an empty value or None leaves it to the reader.

    Attributes:
        rate: sampling rate in Hz.
        separator: between the columns of text, a character, "tab" or "space".
        decimal: "." or ",".
        skip: lines of text above the line of names or, without names, above the first row.
        time: name or number of the column of times, name of the array of times, or "none".
    """

    rate: float | None = None
    separator: str = ""
    decimal: str = ""
    skip: int | None = None
    time: str | int = ""

    def check(self, name: str, kind: str) -> None:
        """Raise `FileError` for a value that is not possible, or not for a file of this kind."""
        if self.rate is not None and not (self.rate > 0 and math.isfinite(self.rate)):
            raise FileError(f"rate: {self.rate:g} Hz is not above 0. Give samples per second.")
        if self.decimal not in ("", ".", ","):
            raise FileError(f"decimal: {self.decimal!r} is neither '.' nor ','. Give one of them.")
        several = len(self.separator) > 1 and self.separator not in SPELLED
        if several or (self.separator and self.separator == self.decimal):
            raise FileError(
                f"separator: {self.separator!r} is not one character other than the decimal mark. "
                f"Give the character between the columns, or {' or '.join(SPELLED)}."
            )
        if self.skip is not None and self.skip < 0:
            raise FileError(f"skip: {self.skip} lines is below 0. Give the lines to leave out.")
        if kind != "text" and (self.separator or self.decimal or self.skip is not None):
            raise FileError(
                f"{name}: separator, decimal and skip are for files of text. Leave them out."
            )
        if kind not in ("text", "numpy") and self.time:
            raise FileError(f"{name}: time is for files of text and arrays. Leave it out.")


def at_rate(name: str, stated: float | None, rate: float | None, where: str = "") -> float | None:
    """The rate of a file, which must agree with the caller's; that of times, within 0.5 %."""
    tolerance = 5e-3 if where else 1e-6
    if stated is None or rate is None or math.isclose(stated, rate, rel_tol=tolerance):
        return rate or stated
    raise FileError(
        f"{name}: {where or 'the file'} says {stated:g} Hz, but the rate given is {rate:g} Hz. "
        "Leave the rate out"
        + (", or ignore the times (time none)." if where else " or mend the file.")
    )


def check_gap(name: str, samples: float, where: str) -> None:
    """Refuse a gap that would take hours to pass over, as a wrong clock makes it."""
    if samples > LONGEST_GAP:
        raise FileError(
            f"{name}: {samples:.0f} samples are missing {where}, more than {LONGEST_GAP}. Cut the "
            "file there."
        )


def missing(samples: int) -> Iterator[np.ndarray]:
    """So many missing samples, in blocks."""
    for first in range(0, samples, BLOCK):
        yield np.full(min(BLOCK, samples - first), math.nan)


def decode(text: bytes) -> str:
    """Text of a header in UTF-8 or Latin-1, without what pads it."""
    text = text.strip(b" \0").partition(b"\0")[0]
    try:
        return text.decode().strip(" \0")
    except UnicodeDecodeError:
        return text.decode("latin-1").strip(" \0")


@contextlib.contextmanager
def in_a_sentence(name: str) -> Iterator[None]:
    """Whatever a library raises becomes a `FileError`; a file that cannot be opened stays one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and (error.filename or type(error) is FileNotFoundError):
            raise
        said = " ".join(str(error).split())[:150] or type(error).__name__
        raise FileError(f"{name}: cannot be read: {said}. Fetch or save the file again.") from error


def _guarded(name: str, blocks: Callable) -> Callable[[int], Iterator[np.ndarray]]:
    def guarded(size: int) -> Iterator[np.ndarray]:
        iterator = blocks(size)
        while True:
            with in_a_sentence(name):
                block = next(iterator, None)
            if block is None:
                return
            yield block

    return guarded
