"""WFDB records, of one or of several segments, each channel at its own rate.

The header is parsed here, since `wfdb.rdheader` drops what is not ASCII and takes what it does not
understand for a default; samples are decoded by wfdb. Axes: n samples, in frames of one or several
samples of each channel.
"""

import contextlib
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from sanbook.signals.formats.recording import (
    BLOCK,
    FileError,
    Overrides,
    Recording,
    SignalFile,
    at_rate,
    check_gap,
    decode,
    missing,
)

# Bytes of a sample in each format; those of FLAC tell their length themselves.
BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "61": 2, "80": 1, "160": 2, "212": 1.5, "310": 4 / 3,
         "311": 4 / 3, "508": 0, "516": 0, "524": 0}  # fmt: skip
FLAC = ("508", "516", "524")
DEFAULT_RATE, DEFAULT_GAIN = 250.0, 200.0  # of a header that names none

RECORD = re.compile(
    r"""\S+? (?:/(?P<segments>\d+))? \s+ (?P<signals>\d+)
    (?:\s+ (?P<rate>\d*\.?\d+(?:e[+-]?\d+)?|\d+\.) (?:/\S*)?
    (?:\s+ (?P<length>\d+) (?:\s+ (?P<start>\S.*))? )? )? \s*""",
    re.VERBOSE | re.IGNORECASE,
)
SIGNAL = re.compile(
    r"""(?P<file>\S+) \s+ (?P<format>\d+) (?:x(?P<frame>\d+))? (?::(?P<skew>\d+))?
    (?:\+(?P<offset>\d+))?
    (?:\s+ (?P<gain>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?) (?:\((?P<baseline>-?\d+)\))?
    (?:/(?P<units>\S+))?
    (?:\s+ -?\d+ (?:\s+ (?P<zero>-?\d+) (?:\s+ (?P<initial>-?\d+) (?:\s+ -?\d+
    (?:\s+ -?\d+ (?:\s+ (?P<name>\S.*))? )? )? )? )? )? )? \s*""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Channel:
    """What a header says of a channel; `frame` is how many samples it has in each frame."""

    file: str
    format: str
    frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    units: str
    initial: int
    name: str


@dataclasses.dataclass(frozen=True)
class Header:
    """A header: ``rate`` in frames a second, ``length`` in frames, None if it is not said.

    ``segments`` are names and lengths; a record of one segment has none, but ``channels``.
    """

    path: Path
    rate: float
    length: int | None
    start: datetime | None
    channels: list[Channel]
    segments: list[tuple[str, int]]
    remarks: list[str]


def open_record(path: Path, wishes: Overrides) -> SignalFile:
    """A record by its header, also one of several segments."""
    header = read_header(path)
    segments = [(header, header.length)]
    if header.segments:
        segments = [
            (None if name == "~" else read_header(beside(path, f"{name}.hea")), length)
            for name, length in header.segments
        ]
    # The first segment of a variable layout has no samples but all the channels, by their names.
    described = next((segment for segment, _ in segments if segment), None)
    if described is None or not described.channels:
        raise FileError(f"{path.name}: has no signals. Name a header that has.")
    by_name = len(segments) > 1 and segments[0][1] == 0
    if not header.segments and header.channels[0].file == "~":
        raise FileError(
            f"{path.name}: describes the channels of a record of several segments. Name the header "
            "of the record."
        )
    names = tuple(channel.name for channel in described.channels)

    def read(number: int) -> Recording:
        pieces = []
        for segment, length in segments[by_name:]:
            channel = None
            if segment and by_name:
                of_segment = [channel.name for channel in segment.channels]
                if names[number] in of_segment:
                    channel = of_segment.index(names[number])
            elif segment:
                channel = number
                if number >= len(segment.channels):
                    raise FileError(f"{segment.path.name}: has no channel {number}, which "
                                    f"{path.name} has. Fetch the record again.")  # fmt: skip
            pieces.append((segment, channel, length))
        return _read(header, pieces, names[number], number, wishes.rate)

    return SignalFile(path.name, names, read, range(len(names)))


def _read(header: Header, pieces: list, name: str, number: int, rate: float | None) -> Recording:
    """A channel as pieces, (header of a segment, number of the channel in it, frames)."""
    title, folder = header.path.name, header.path.parent
    there = [segment.channels[channel] for segment, channel, _ in pieces if channel is not None]
    if not there:
        raise FileError(f"{title}: no segment has channel {name!r}. Choose another channel.")
    frame, units = there[0].frame, there[0].units
    rates = {segment.rate for segment, channel, _ in pieces if channel is not None}
    if {(channel.frame, channel.units, channel.name) for channel in there} != {
        (frame, units, name)
    } or rates != {header.rate}:
        raise FileError(
            f"{title}: channel {name!r} changes its name, rate or units from segment to segment, "
            f"{sorted({(c.name, c.frame, c.units) for c in there})} at {sorted(rates)} Hz. "
            "Name the header of one segment."
        )
    pieces = [
        (segment, channel, length if channel is None else _frames(segment, channel, length))
        for segment, channel, length in pieces
    ]
    files = {folder / channel.file: None for channel in there}
    for _, channel, length in pieces:
        if channel is None:
            check_gap(title, length * frame, "in a segment")
    stated = header.rate * frame
    if stated == 0 and rate is None:
        raise FileError(f"{title}: says a rate of 0 Hz. Give the rate.")

    def blocks(_: int) -> Iterator[np.ndarray]:
        for segment, channel, length in pieces:
            if channel is None:
                yield from missing(length * frame)
            else:
                yield from _decoded(segment, channel, length)

    kind = f"{len(pieces)} segments" if header.segments else f"format {there[0].format}"
    each = f", {frame} samples a frame" if frame > 1 else ""
    return Recording(
        title,
        name,
        number,
        at_rate(title, stated or None, rate),
        units,
        (header.path, *(beside(header.path, file.name) for file in files)),
        blocks,
        header.start,
        sum(length for *_, length in pieces) * frame,
        f"read as: a WFDB record, {kind}{each}, {stated:g} Hz",
        header.remarks,
    )


def _decoded(header: Header, number: int, length: int) -> Iterator[np.ndarray]:
    """Samples of a channel in physical units, block by block; NaN for the invalid value."""
    # wfdb has no public reader of blocks by a header that is already parsed.
    from wfdb.io._signal import INVALID_SAMPLE_VALUE, _rd_segment

    channel = header.channels[number]
    numbers = [i for i, c in enumerate(header.channels) if c.file == channel.file]
    of_file = [header.channels[i] for i in numbers]
    path = beside(header.path, channel.file)
    place = numbers.index(number)
    initial = [c.initial for c in of_file]
    invalid = INVALID_SAMPLE_VALUE[channel.format]
    # wfdb fails for blocks of format 310 that end within three samples packed into four bytes.
    at_once = 3 * max(1, BLOCK // sum(c.frame for c in of_file) // 3)
    for first in range(channel.skew, length + channel.skew, at_once):
        last = min(first + at_once, length + channel.skew)
        known = min(last, length)  # a skew reaches behind the last frame
        if known > first:
            (digital,) = _rd_segment(
                file_name=[path.name] * len(of_file),
                dir_name=str(path.parent),
                pn_dir=None,
                fmt=[c.format for c in of_file],
                n_sig=len(of_file),
                sig_len=length,
                byte_offset=[c.offset for c in of_file],
                samps_per_frame=[c.frame for c in of_file],
                skew=[0] * len(of_file),
                init_value=initial,
                sampfrom=first,
                sampto=known,
                channels=[place],
                ignore_skew=True,
            )
            initial[place] = int(digital[-1])  # format 8 keeps differences
            values = np.subtract(digital, channel.baseline, dtype=np.float64) / channel.gain
            if invalid is not None:
                values[digital == invalid] = math.nan
            yield values
        yield from missing((last - max(known, first)) * channel.frame)


def _frames(header: Header, number: int, length: int | None) -> int:
    """How many frames a segment has; complains of a signal file that does not hold as many."""
    channel = header.channels[number]
    path = beside(header.path, channel.file)
    if channel.format not in BYTES:
        raise FileError(
            f"{header.path.name}: format {channel.format} is none of the WFDB formats "
            f"{', '.join(BYTES)}. Fetch the record again."
        )
    if channel.format in FLAC:
        import soundfile

        there = soundfile.info(path).frames // channel.frame
        known = f"{there} frames are in it"
    else:
        samples = sum(c.frame for c in header.channels if c.file == channel.file)
        of_frame, size = BYTES[channel.format] * samples, path.stat().st_size
        there = math.floor(max(0, size - channel.offset) / of_frame + 1e-9)
        needed = channel.offset + math.ceil((length or 1) * of_frame)
        known = f"has {size} of {needed} bytes"
    if there < max(1, length or 0):
        raise FileError(
            f"{path.name}: {known}: the file is cut off, as {header.path.name} says "
            f"{length or 'no'} frames. Fetch the record again."
        )
    return length or there


def beside(path: Path, name: str) -> Path:
    """A file in the folder of a header, its name in any case if there is none in this one."""
    exact = path.parent / name
    if exact.exists():
        return exact
    alike = [file for file in path.parent.iterdir() if file.name.lower() == name.lower()]
    if len(alike) != 1:
        raise FileNotFoundError(f"{path.name}: names {name}, which is not beside it. Put it there.")
    return alike[0]


def read_header(path: Path) -> Header:
    """The header of a record; `FileError` for another file."""
    text = decode(path.read_bytes())
    lines = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    found = RECORD.fullmatch(lines[0]) if lines else None
    if not found:
        raise FileError(
            f"{path.name}: begins with {lines[0][:60] if lines else 'nothing'!r}, as no WFDB "
            "header does. Fetch the record again."
        )
    count = int(found["segments"] or found["signals"])
    if count == 0:
        raise FileError(f"{path.name}: has 0 signals. Name a header that has some.")
    if len(lines) - 1 < count:
        raise FileError(
            f"{path.name}: has {len(lines) - 1} of {count} lines of signals or segments. Fetch the "
            "record again."
        )
    remarks = [] if found["rate"] else [f"the header says no rate, so {DEFAULT_RATE:g} Hz"]
    start = _start(found["start"] or "")
    if found["start"] and "/" in found["start"] and start is None:
        remarks.append(f"the start {found['start']!r} is no time and date")
    segments, channels = [], []
    for line in lines[1 : count + 1]:
        if found["segments"]:
            name, length, *_ = [*line.split(), ""]
            if not length.isdecimal():
                raise FileError(f"{path.name}: segment {line!r} has no length. Fetch it again.")
            segments.append((name, int(length)))
        else:
            channels.append(_channel(path.name, line))
    # Names from outside may point anywhere, so they pass only without a folder.
    for name in [*(channel.file for channel in channels), *(name for name, _ in segments)]:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*|~", name):
            raise FileError(
                f"{path.name}: {name!r} is not a plain file name. Do not use this record."
            )
    rate = float(found["rate"] or DEFAULT_RATE)
    length = int(found["length"] or 0) or None
    return Header(path, rate, length, start, channels, segments, remarks)


def _channel(name: str, line: str) -> Channel:
    found = SIGNAL.fullmatch(line)
    if not found:
        raise FileError(
            f"{name}: {line[:60]!r} does not describe a WFDB signal. Fetch the record again."
        )
    zero = int(found["zero"] or 0)
    return Channel(
        found["file"],
        found["format"],
        int(found["frame"] or 1) or 1,
        int(found["skew"] or 0),
        int(found["offset"] or 0),
        float(found["gain"] or 0) or DEFAULT_GAIN,
        zero if found["baseline"] is None else int(found["baseline"]),
        found["units"] or "mV",
        int(found["initial"] or 0),
        (found["name"] or "").strip(),
    )


def _start(text: str) -> datetime | None:
    """A time, hours only if there are seconds, and a date, its year in two or four digits."""
    for year, time in itertools.product(("%Y", "%y"), ("%H:%M:%S.%f", "%H:%M:%S", "%M:%S")):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text, f"{time} %d/%m/{year}")
    return None
