"""Columns of times: what their text means, the rate that they tell, and where samples are missing.

Times are seconds since a first one. A column that counts rows is a time without a rate.
"""

import contextlib
import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from sanbook.signals.formats.recording import FileError, check_gap, missing

#: Words of a name that say that a column holds times, and units that follow them.
WORDS = {"timestamp", "timestamps", "zeit", "zeitstempel", "uhrzeit", "temps", "tiempo", "tempo",
         "tijd", "date", "datum", "clock", "elapsed", "seconds", "millis",
         "micros", "millisec"}  # fmt: skip
SHORT = {"t", "s", "ms", "us", "sec", "secs", "msec", "min", "x_value"}
UNITS = {"s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3,
         "msec": 1e-3, "millis": 1e-3, "millisec": 1e-3, "milliseconds": 1e-3, "us": 1e-6,
         "µs": 1e-6, "μs": 1e-6, "micros": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "min": 60.0,
         "minutes": 60.0, "h": 3600.0}  # fmt: skip
FORMATS = ("%d.%m.%y %H:%M:%S", "%b %d %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S",
           "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
           "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%H:%M:%S %d/%m/%Y",
           "%d-%m-%Y %H:%M:%S", "%Y-%m-%d_%H:%M:%S")  # fmt: skip
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y")  # of one meaning
#: Words of a name that make its time a length of events.
LENGTHS = {"rise", "fall", "decay", "reaction", "response", "transit"}
#: Rates of recorders in Hz: if one of them agrees with rounded times, they mean it.
COMMON = [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 40, 50, 51.2, 60, 64, 75, 100, 102.4, 120, 125, 128,
          130, 150, 200, 204.8, 240, 250, 256, 300, 360, 400, 480, 500, 512, 600, 700, 720, 750,
          800, 1000, 1024, 1200, 1250, 1500, 1600, 2000, 2048, 2400, 2500, 4000, 4096, 5000, 8000,
          8192, 10000, 16000, 20000, 22050, 44100, 48000]  # fmt: skip
CLOCK = re.compile(
    r"(?:(\d+) days? )?(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+|:\d{3})?)(?: ?([AP])M)?", re.IGNORECASE
)
LONGEST_RUN = 50  # equal gaps in turn, which no loss of samples but another rate makes
HOUR, DAY, YEAR_2000 = 3600.0, 86400.0, 946684800.0


def is_time(name: str) -> bool:
    """Whether a column is called a time.

    >>> [is_time(name) for name in ("Time (s)", "S_Timestamp", "t", "LocalTime", "ECG", "Uhrzeit")]
    [True, True, True, True, False, True]
    """
    words = re.split(r"[\W\d_]+", name.lower())
    named = any(word in WORDS or word.endswith(("time", "timestamp")) for word in words)
    return (named and LENGTHS.isdisjoint(words)) or name.strip().lower() in SHORT


def is_vague(name: str) -> bool:
    """Whether a name of a time may mean something else: T, S, uS; temps is not only French."""
    return name == "temps" or (name.lower() in SHORT and name != name.lower())


def unit_of(name: str, unit: str) -> float | None:
    """The seconds of a unit, that a row of units or the name of a column says."""
    words = [word for word in re.split(r"[^\wµμ]+|_", f"{name} {unit}".lower()) if word]
    return next((UNITS[word] for word in reversed(words) if word in UNITS), None)


@dataclasses.dataclass(frozen=True)
class Reader:
    """Turns the text of a time into seconds: of numbers, of h:mm:ss, of ISO 8601 or of a format.

    MATLAB writes "0.004 sec" for a number.
    """

    kind: str  # "number", "clock", "iso" or what `datetime.strptime` understands
    scale: float = 1.0  # seconds of a number
    dated: bool = True  # False if day and month may be the other way round

    def __call__(self, text: str) -> float:
        """Seconds; ValueError for other text.

        >>> Reader("clock")("'1:02.5'"), Reader("iso")("1970-01-01T02:00:01+02:00")
        (62.5, 1.0)
        """
        text = text.strip(" '\"[]")
        if self.kind == "number":
            return float(text.removesuffix(" sec")) * self.scale
        text = text.replace(",", ".").replace(" UTC", "Z")
        if self.kind == "clock":
            found = CLOCK.fullmatch(text)
            if not found:
                raise ValueError(text)
            days, hours, minutes, seconds, half = found.groups("0")
            if half != "0":  # of a day; 12 is its hour 0
                hours = int(hours) % 12 + 12 * (half.upper() == "P")
            seconds = float(seconds.replace(":", "."))
            return int(days) * DAY + int(hours) * HOUR + int(minutes) * 60 + seconds
        if self.kind == "iso":
            moment = datetime.fromisoformat(text)
        else:
            moment = datetime.strptime(text, self.kind)
        return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo and UTC)) / timedelta(seconds=1)


def reader_of(texts: Sequence[str], last: str) -> Reader | None:
    """What reads nearly all the texts of a column, if they are times or numbers.

    Where day and month may stand in either order, the last time of the file decides: the
    recording is as short as it can be.

    >>> reader_of(["03/04/2021 23:59:59"], "04/04/2021 00:30:00").kind
    '%d/%m/%Y %H:%M:%S'
    """
    fractions = [kind.replace("%S", "%S.%f") for kind in FORMATS]
    for kind in ("number", "clock", "iso", *FORMATS, *fractions):
        if sum(reads(Reader(kind), text) for text in texts) <= 0.9 * len(texts):
            continue
        other = Reader(kind.replace("%m/%d/", "%d/%m/"))
        if other.kind == kind or not reads(other, texts[0]):
            return Reader(kind)
        lengths = [
            reader(last) - reader(texts[0]) if reads(reader, last) else math.inf
            for reader in (Reader(kind), other)
        ]
        known = lengths[0] != lengths[1]
        return Reader(other.kind if lengths[1] < lengths[0] else kind, dated=known)
    return None


def reads(reader: Reader, text: str) -> bool:
    """Whether a text is such a time."""
    try:
        return math.isfinite(reader(text))
    except (ValueError, OverflowError):
        return False


@dataclasses.dataclass
class Clock:
    """A column of times of a file; tells how many samples are missing before each row.

    ``step`` is the time from row to row, in what ``reader`` gives; ``rate`` is in Hz, None if the
    unit of the times is not known. ``local`` times have no zone, so that a clock
    may be changed. Times are rounded to ``resolution``. ``uneven`` is the largest part of a step by
    which rows are off it, 0 if rounding may explain that. Rows are told by their ``place``.
    """

    file: str
    name: str
    reader: Reader
    step: float
    rate: float | None
    local: bool
    resolution: float
    first: float | None = None
    last: float = math.nan
    count: int = 0  # samples so far, missing ones too
    uneven: float = 0.0
    shift: float = 0.0  # by midnight or a changed clock
    place: str = "line"

    def gaps(self, seconds: np.ndarray, lines: Sequence[int]) -> np.ndarray:
        """Missing samples before each of some rows, of which the times and lines are given."""
        if self.first is None:
            self.first, self.last = seconds[0], seconds[0] - self.step
        times = seconds + self.shift
        steps = np.diff(times, prepend=self.last)
        uneven = (steps > 0) & (_beside(steps, self.step) > 0.3 * self.step + self.resolution)
        if uneven.sum() > max(5, 0.05 * len(steps)):
            raise FileError(
                f"{self.file}: the times in column {self.name!r} are irregular, {steps.min():g} to "
                f"{steps.max():g} apart from {self.place} {lines[uneven.argmax()]} on. Resample "
                "the signal, or ignore the times (time none)."
            )
        for row in np.flatnonzero((steps <= 0) | (steps > HOUR / 2)):
            change = self._change(seconds[row], steps[row])
            times[row:] += change
            self.shift += change
            steps[row] += change
            if steps[row] <= 0:
                what = "is repeated" if steps[row] == 0 else "is earlier than the one before"
                raise FileError(
                    f"{self.file}: the time in {self.place} {lines[row]} of column {self.name!r} "
                    f"{what}. Sort the rows, or ignore the times (time none)."
                )
        lost = np.zeros(len(seconds), np.int64)
        for row in np.flatnonzero(steps > 1.5 * self.step + self.resolution):
            expected = self.count + row + lost.sum()
            by_time = round((times[row] - self.first) / self.step) - expected
            gap = max(by_time, round(steps[row] / self.step) - 1)
            check_gap(self.file, gap, f"before {self.place} {lines[row]}")
            lost[row] = gap
        begins = np.flatnonzero(np.diff(lost, prepend=-1))  # of runs of the same gap
        for row, length in zip(begins, np.diff(begins, append=len(lost)), strict=True):
            if lost[row] and length > LONGEST_RUN:
                raise FileError(
                    f"{self.file}: the times in column {self.name!r} are {steps[row]:g} apart from "
                    f"{self.place} {lines[row]} on, {self.step:g} before. Cut the file there."
                )
        self.count += len(seconds) + lost.sum()
        self.last = times[-1]
        return lost

    def _change(self, seconds: float, step: float) -> float:
        """What a jump is changed by: midnight, or the hour of summer time on a Sunday night."""
        if self.reader.kind == "clock":
            return DAY if step < -DAY / 2 else 0.0
        error = abs(abs(step - self.step) - HOUR)
        if not self.local or error > min(1.5 * self.step, HOUR / 2):
            return 0.0
        before = datetime(1970, 1, 1) + timedelta(seconds=seconds - step)
        if before.weekday() == 6 and before.hour <= 3 and before.month in (3, 4, 9, 10, 11):
            return -math.copysign(HOUR, step)
        return 0.0

    def at(self, rate: float | None) -> "Clock":
        """A fresh clock, whose samples lie as far apart as a rate says that hardly differs."""
        step = self.step * self.rate / rate if rate and self.rate else self.step
        return dataclasses.replace(self, step=step)

    @property
    def drift(self) -> float:
        """Seconds from the place of the last sample, by its count and the rate, to its time."""
        return self.last - self.first - (self.count - 1) * self.step if self.count else 0.0

    def start(self, text: str) -> datetime | None:
        """The date and time of the first row, if its text has a date of one meaning."""
        seconds = self.reader(text)
        if self.reader.kind == "clock" or (
            self.reader.kind == "number" and (seconds < YEAR_2000 or self.reader.scale == DAY)
        ):
            return None
        zone = None if self.local else UTC
        moment = datetime(1970, 1, 1, tzinfo=zone) + timedelta(seconds=seconds)
        return moment if self.reader.dated or moment.day == moment.month else None


def clock_of(
    file: str,
    name: str,
    unit: str,
    texts: Sequence[str],
    lines: Sequence[int],
    rate: float | None,
    last: str,
    place: str = "line",
) -> Clock | None:
    """What the first rows of a column of times say; None if it does not move at all.

    ``rate`` in Hz is what the caller or the header says, which decides on the unit of times that
    name none. ``last`` is the last time of the file, if that is known. ``lines`` say where the rows
    are, in numbers of a ``place``. Raises `FileError` for times that are in disorder or irregular.
    """
    reader = reader_of(texts, last)
    if reader is None or len(texts) < 3:
        return None
    lines = [line for line, text in zip(lines, texts, strict=True) if reads(reader, text)]
    texts = [text.strip(" '\"[]") for text in texts if reads(reader, text)]
    local = reader.kind not in ("number", "clock") and not (
        reader.kind == "iso" and re.search(r"Z|UTC|[ T]\d.*[+-]", texts[0])
    )
    times = np.array([reader(text) for text in texts])
    if (times == times[0]).all():
        return None
    steps = np.diff(times)
    step = float(np.median(np.abs(steps[steps != 0])))
    # The last ones tell it also where the digits are so many, and the decimals become fewer.
    rounded = 0.1 ** max(_decimals(text, reader) for text in texts[-max(16, len(texts) // 4) :])
    resolution = rounded
    # Times that are whole steps are not rounded, so that a single lost one shows.
    if (steps < 1.5 * step).mean() > 0.75:
        resolution = min(resolution, float(_beside(steps, step).max()) + 1e-6 * step)
    # Disorder is named as anywhere in the file.
    Clock(file, name, reader, step, None, local, resolution, place=place).gaps(times, lines)
    scale: float | None = 1.0
    if reader.kind == "clock" and all(re.fullmatch(r"\d+:\d+", text) for text in texts):
        scale = None  # hours and minutes, or minutes and seconds
    if reader.kind == "number":
        unit = "sec" if texts[0].endswith(" sec") else unit
        scale = unit_of(name, unit) or _scale(times[0], step, rate)
    near = steps[(steps > 0) & (steps < 1.5 * step + resolution)]
    near = steps[(steps > 0) & (steps < 1.5 * near.mean() + 0.9 * resolution)]
    pieces = 1 + len(steps) - len(near)
    told = None
    if scale:
        told = _simplest(len(near), near.sum() * scale, pieces * resolution * scale)
        reader = Reader(reader.kind, scale) if reader.kind == "number" else reader
        step, resolution = 1 / told, resolution * scale
    clock = Clock(file, name, reader, step, told, local, resolution, place=place)
    off = float(np.abs(near * scale - step).max()) if scale else 0.0
    if off > max(0.1 * step, 1.5 * rounded * (scale or 1.0)):
        clock.uneven = off / step
    return clock


def timed(samples: np.ndarray, gaps: np.ndarray) -> Iterator[np.ndarray]:
    """Samples in blocks, with so many missing ones before each as its gap says."""
    begin = 0
    for row in np.flatnonzero(gaps):
        if row > begin:
            yield samples[begin:row]
        yield from missing(gaps[row])
        begin = row
    yield samples[begin:]


def _decimals(text: str, reader: Reader) -> int:
    if reader.kind == "number":
        text = f"{Reader('number')(text):.15g}"
        return 15 if "e" in text else len(text.partition(".")[2])
    found = re.search(r":\d\d(?:[.,](\d+)|:(\d{3})\b)", text)
    return len((found[1] or found[2]).rstrip("0")) if found else 0


def date_of(text: str) -> datetime | None:
    """The day that a text says in an order of one meaning."""
    for kind in DATES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.strip(" '\""), kind)
    return None


def _beside(steps: np.ndarray, step: float) -> np.ndarray:
    """How far differences of times are from the nearest multiple of a step, at least one step."""
    return np.abs(steps - step * np.maximum(1, np.round(steps / step)))


def _scale(first: float, step: float, rate: float | None) -> float | None:
    """The seconds of a number of unknown unit: of epoch times by their size, else by the rate.

    Steps below 1 are in seconds. A column that counts 0, 1, 2 may count rows, so that it says no
    rate; others of 1 and above have a unit that the rate alone can tell.
    """
    if first > 2e4 and step < 2e-5:
        return DAY  # of Excel or MATLAB
    if first > 1e8:
        return next((s for s in (1.0, 1e-3, 1e-6) if first * s < 1e11), 1e-9)
    if step < 1:
        return 1.0
    if step == 1 or rate is None:
        return None
    scales = [scale for scale in (1.0, 1e-3, 1e-6, 1e-9) if abs(step * scale * rate - 1) < 0.01]
    return scales[0] if scales else 1.0


def _simplest(count: int, seconds: float, error: float) -> float:
    """A rate of so many steps in some seconds, known to an error: a common one, or a short one.

    >>> _simplest(999, 3.902, 1e-3), _simplest(999, 9.99, 1e-9)
    (256.0, 100.0)
    """
    rate = count / seconds
    low, high = count / (seconds + error), count / max(seconds - error, 1e-12)
    low, high = low * (1 - 1e-6), high * (1 + 1e-6)
    common = [known for known in COMMON if low <= known <= high]
    if common:
        return float(min(common, key=lambda known: abs(known - rate)))
    return next((r for d in range(6) if low <= (r := round(rate, d)) <= high), rate)
