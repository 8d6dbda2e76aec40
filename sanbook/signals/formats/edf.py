"""EDF, EDF+ and BDF files, also such that recorders did not close or wrote a little wrong.

Our own reader, as edfio and pyedflib refuse such files. Samples are the same to the last bit.
Specifications: www.edfplus.info/specs; www.biosemi.com/faq/file_format.htm.
"""

import contextlib
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
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

#: Bytes of each field of a channel, in the order of the header.
FIELDS = {"label": 16, "transducer": 80, "units": 8, "physical minimum": 8, "physical maximum": 8,
          "digital minimum": 8, "digital maximum": 8, "filter": 80, "samples": 8,
          "reserved": 32}  # fmt: skip
LIMITS = tuple(FIELDS)[3:7]


@dataclasses.dataclass(frozen=True)
class _Header:
    """What the header says, and what the size of the file says better; a channel is its fields."""

    path: Path
    width: int  # bytes of a sample
    first: int  # byte of the first record
    duration: float  # seconds of a record
    records: int  # whole ones that are there
    start: datetime | None
    channels: list[dict[str, str]]
    sizes: list[int]  # samples of each channel in a record
    remarks: list[str]
    interrupted: bool | None  # whether records may have gaps between them, if the header says it

    def record_bytes(self, channel: int | None = None) -> int:
        """Bytes of a record, or those before a channel."""
        return self.width * sum(self.sizes[:channel])

    def read(self, channel: int, first: int, last: int) -> np.ndarray:
        """Digital samples of a channel in some records, ``(records, samples)``."""
        shape = self.records, self.record_bytes()
        # What is mapped counts as memory until it is closed, so each block has its own map.
        mapped = np.memmap(self.path, np.uint8, "r", self.first, shape)
        place = self.record_bytes(channel)
        part = np.array(mapped[first:last, place : place + self.width * self.sizes[channel]])
        if self.width == 2:
            return part.view("<i2")
        # Three bytes become the upper ones of four, whose division keeps the sign.
        wide = np.zeros((*part.shape[:1], self.sizes[channel], 4), np.uint8)
        wide[..., 1:] = part.reshape(len(part), -1, 3)
        return wide.view("<i4")[..., 0] >> 8


def open_edf(path: Path, wishes: Overrides) -> SignalFile:
    """The channels of a file, without those of annotations, which tell the times of records."""
    header = _read_header(path)
    kinds = [channel["label"].lower() in ("edf annotations", "bdf annotations")
             for channel in header.channels]  # fmt: skip
    signals = [number for number, annotations in enumerate(kinds) if not annotations]
    if not signals:
        raise FileError(f"{path.name}: holds annotations only. Name the file with the signals.")
    told = (_onsets(header, number) for number, annotations in enumerate(kinds) if annotations)
    onsets = next((found for found in told if found is not None), None)
    if onsets is None and header.interrupted:
        raise FileError(
            f"{path.name}: its records have gaps between them, but none says when it begins. Fetch "
            "or export the file again."
        )
    if onsets is None and True in kinds:
        header.remarks.append("no record says when it begins: they are taken without gaps")

    def read(number: int) -> Recording:
        return _read(header, number, signals[number], onsets, wishes.rate)

    names = tuple(header.channels[signal]["label"] for signal in signals)
    return SignalFile(path.name, names, read, range(len(names)))


def _read(
    header: _Header, number: int, channel: int, onsets: np.ndarray | None, rate: float | None
) -> Recording:
    """Channel ``number`` of the signals, which is ``channel`` of all."""
    fields, name = header.channels[channel], header.path.name
    low, high, digital_low, digital_high = (
        _number(fields[limit], f"{name}: channel {fields['label']!r}: {limit}") for limit in LIMITS
    )
    size = header.sizes[channel]
    if low == high or digital_low == digital_high or size < 1 or header.records < 1:
        raise FileError(
            f"{name}: channel {fields['label']!r} has {header.records} records of {size} samples, "
            f"digital {digital_low:g} to {digital_high:g}, which stand for {low:g} to {high:g}: no "
            "samples in units can be told. Choose another channel."
        )
    if header.duration <= 0 and rate is None:
        raise FileError(
            f"{name}: no rate can be told from records of {header.duration:g} s. Give the rate."
        )
    stated = size / header.duration if header.duration > 0 else None
    sampling_rate = at_rate(name, stated, rate)
    scale = (high - low) / (digital_high - digital_low)
    offset = high / scale - digital_high  # in this order, as EDFlib does

    places, remarks = size * np.arange(header.records), list(header.remarks)
    if onsets is not None:
        places = _places(header, onsets - onsets[0], size, sampling_rate)
        drift = float(onsets[-1] - onsets[0] - places[-1] / sampling_rate)
        if abs(drift) * sampling_rate > 1:
            remarks.append(f"the times end {drift:g} s from what the rate says")
    gaps = np.diff(places, prepend=-size) - size  # missing samples before each record
    at_once = max(1, BLOCK // sum(header.sizes))

    def blocks(_: int) -> Iterator[np.ndarray]:
        for first in range(0, header.records, at_once):
            values = scale * (offset + header.read(channel, first, first + at_once))
            pieces = [0, *(gaps[first + 1 : first + len(values)].nonzero()[0] + 1), len(values)]
            for start, end in itertools.pairwise(pieces):
                yield from missing(gaps[first + start])
                yield values[start:end].ravel()

    start = header.start
    if start and onsets is not None:
        start += timedelta(seconds=float(onsets[0]))
    return Recording(
        name,
        fields["label"],
        number,
        sampling_rate,
        fields["units"] or "unknown",
        (header.path,),
        blocks,
        start,
        int(places[-1]) + size,
        f"read as: {'EDF' if header.width == 2 else 'BDF'}, {header.records} records of "
        f"{header.duration:g} s, {sampling_rate:g} Hz",
        remarks,
    )


def _places(header: _Header, seconds: np.ndarray, size: int, rate: float) -> np.ndarray:
    """The sample at which each record begins; a record that is late leaves a gap before it.

    Where a header says that there are no interruptions, a clock that drifts makes none.
    """
    name = header.path.name
    places = np.zeros(len(seconds), np.int64)
    for record in range(1, len(seconds)):
        expected = places[record - 1] + size
        late = seconds[record] * rate - expected
        if header.interrupted is False:
            late = (seconds[record] - seconds[record - 1]) * rate - size
        if not late > -1:
            raise FileError(
                f"{name}: record {record} begins at {seconds[record]:g} s, before the end of the "
                f"record above it, {expected / rate:g} s. Cut the file there."
            )
        # Onsets are rounded: less than three quarters of a sample is no gap.
        places[record] = expected + (0 if late < 0.75 else round(late))
        check_gap(name, places[record] - expected, f"before record {record}")
    return places


def _onsets(header: _Header, channel: int) -> np.ndarray | None:
    """The time at which each record begins, in seconds, from its first annotation.

    None if already the first record has none.
    """
    onsets = []
    size = header.width * header.sizes[channel]
    place = header.record_bytes(channel)
    with header.path.open("rb") as file:
        for record in range(header.records):
            file.seek(header.first + record * header.record_bytes() + place)
            text = file.read(size)
            found = re.match(rb"([+-]\d+(?:\.\d*)?)\x14", text)
            if not found and not onsets:
                return None
            if not found:
                raise FileError(
                    f"{header.path.name}: record {record} does not say when it begins, but "
                    f"{text[:20]!r}. Fetch or export the file again."
                )
            onsets.append(float(found[1]))
    return np.array(onsets)


def _read_header(path: Path) -> _Header:
    name, size = path.name, path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(256)
        signature, duration, count = fixed[:8], fixed[244:252], fixed[252:]
        is_bdf = signature == b"\xffBIOSEMI"
        if not is_bdf and decode(signature) != "0":
            raise FileError(f"{name}: begins with {signature!r}, as no EDF or BDF file does. "
                            "Fetch or export the file again.")  # fmt: skip
        signals = int(_number(decode(count), f"{name}: number of channels"))
        first = 256 * (1 + max(signals, 0))
        if signals < 1 or size < first:
            raise FileError(
                f"{name}: {signals} channels have a header of {first} bytes, but the file has "
                f"{size} bytes. Fetch or export the file again."
            )
        columns = {
            field: [decode(file.read(width)) for _ in range(signals)]
            for field, width in FIELDS.items()
        }
    channels = [{field: columns[field][i] for field in columns} for i in range(signals)]
    sizes = [
        int(_number(text, f"{name}: channel {label!r}: samples of a record"))
        for text, label in zip(columns["samples"], columns["label"], strict=True)
    ]
    width = 3 if is_bdf else 2
    in_record = width * sum(sizes)
    if min(sizes) < 0 or in_record == 0:
        raise FileError(f"{name}: records of {sizes} samples. Fetch or export the file again.")
    announced = int(_number(decode(fixed[236:244]), f"{name}: number of records"))
    records, left = divmod(size - first, in_record)
    remarks = []
    if announced != records or left:
        bytes_left = f", and {left} bytes of one more are left out" if left else ""
        remarks.append(f"the header says {announced} records, {records} are there{bytes_left}")
    with contextlib.suppress(FileError):  # of a header whose size is no number: told by `first`
        said = int(_number(decode(fixed[184:192]), name))
        if said != first:
            remarks.append(f"the header says that it has {said} bytes, it has {first}")
    moment = fixed[168:176] + b" " + fixed[176:184]
    start = _start(fixed[168:176], fixed[176:184], fixed[88:168])
    if start is None:
        remarks.append(f"the start {decode(moment)!r} is no date and time")
    seconds = _number(decode(duration), f"{name}: duration of a record")
    interrupted = {b"DF+D": True, b"DF+C": False}.get(fixed[193:197])
    return _Header(
        path, width, first, seconds, records, start, channels, sizes, remarks, interrupted
    )


def _start(date: bytes, time: bytes, recording: bytes) -> datetime | None:
    """The start; its year is in full behind the word Startdate of an EDF+ file."""
    day, month, year = ([int(part) for part in re.findall(rb"\d+", date)] + [0, 0, 0])[:3]
    if found := re.match(rb"Startdate \d\d-[A-Z]{3}-(\d{4})", recording):
        year = int(found[1])
    elif date.count(b"%d" % year) and year < 100:
        year += 1900 if year >= 85 else 2000
    with contextlib.suppress(ValueError, TypeError):
        hour, minute, *second = [int(part) for part in re.findall(rb"\d+", time)]
        return datetime(year, month, day, hour, minute, *second)
    return None


def _number(text: str, where: str) -> float:
    with contextlib.suppress(ValueError):
        number = float(text.replace(",", "."))
        if math.isfinite(number):
            return number
    raise FileError(f"{where} is {text!r}, not a number. Mend the header or export the file again.")
