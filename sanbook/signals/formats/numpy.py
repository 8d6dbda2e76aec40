"""Arrays that `numpy.save` or `numpy.savez` wrote; told by what is in a file, not by its suffix."""

import contextlib
import dataclasses
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sanbook.signals.formats import times
from sanbook.signals.formats.recording import (
    BLOCK,
    FileError,
    Overrides,
    Recording,
    SignalFile,
    at_rate,
)

RATES = ("fs", "rate", "sampling_rate", "sample_rate", "samplerate", "sfreq", "freq", "frequency",
         "sf", "srate", "sampling_frequency", "sampling_freq")  # fmt: skip
#: Arrays of text in an archive that say something of the channels.
TEXTS = {"units": "units", "unit": "units", "names": "names", "channels": "names"}
TEXTS |= {"ch_names": "names", "channel_names": "names", "sig_name": "names"}
LARGEST = 2**29  # bytes of an archive, which cannot be read block by block
FIRST = 1000  # elements that the unit and the rate of times are told from
MOST_CHANNELS = 1000  # a longer array called "freq" is a signal


@dataclasses.dataclass(frozen=True)
class _Channel:
    """Channel ``row`` of an array named ``array`` (n,), (n, channels) or (channels, n)."""

    array: str
    row: int | None
    name: str


def open_arrays(path: Path, wishes: Overrides) -> SignalFile:
    """The arrays of an .npy or .npz file; an archive may hold ``fs`` and ``units`` beside them.

    An array of an archive whose name says times tells the rate and the gaps of those of its length.
    """
    with path.open("rb") as file:
        is_archive = file.read(2) == b"PK"
    if is_archive:
        arrays, facts = _open_archive(path)
    else:
        arrays, facts = {"": _mapped(path)}, {}
    channels = [
        channel for name, array in arrays.items() for channel in _channels(path.name, name, array)
    ]
    names = tuple(channel.name for channel in channels)
    dated = [name for name, array in arrays.items() if array.ndim == 1 and times.is_time(name)]
    if wishes.time:
        dated = [name for name in arrays if name == wishes.time]
    if not channels:
        raise FileError(f"{path.name}: holds no arrays. Save one of real numbers.")
    for fact, values in facts.items():
        if len(values) != len(channels) and (len(values) > 1 or fact == "names"):
            raise FileError(
                f"{path.name}: {len(values)} {fact} for {len(channels)} channels. Save one each."
            )
    names = tuple(facts.get("names", names))
    units, rates = facts.get("units", ["unknown"]), facts.get("rates", [None])

    def read(number: int) -> Recording:
        channel = channels[number]
        array = arrays[channel.array]
        samples = max(array.shape)
        stated = rates[number % len(rates)]
        rate = at_rate(path.name, stated, wishes.rate)
        decision = f"read as: {array.dtype} of shape {array.shape}"
        decision += f", {stated:g} Hz from the archive" if stated else ""
        clocks = [name for name in dated if name != channel.array and len(arrays[name]) == samples]
        moments = arrays[clocks[0]] if clocks else None
        told = _clock_of(path.name, clocks[0], moments, rate) if clocks else None
        if not told and wishes.time not in ("", "none"):
            raise FileError(
                f"{path.name}: array {wishes.time!r} holds no times of {samples} samples. Name the "
                "array of times, or none."
            )
        if told:
            rate = at_rate(path.name, told.rate, rate, f"array {told.name!r}")
            decision += f", times in array {told.name!r}"

        def blocks(size: int) -> Iterator[np.ndarray]:
            clock = told and told.at(rate)
            # What is mapped counts as memory until it is closed, so each block has its own map.
            for first in range(0, samples, BLOCK):
                part = array if is_archive else _mapped(path)
                if channel.row is not None:
                    part = part[channel.row] if _rows_are_channels(part) else part[:, channel.row]
                # In double precision, so that a large offset costs no digits.
                values = np.array(part[first : first + BLOCK], dtype=np.float64)
                gaps = np.zeros(len(values), np.int64)
                if clock:
                    seconds = moments[first : first + BLOCK] * clock.reader.scale
                    gaps = clock.gaps(seconds, range(first, first + BLOCK))
                yield from times.timed(values, gaps)

        return Recording(
            path.name,
            names[number],
            number,
            rate,
            units[number % len(units)] or "unknown",
            (path,),
            blocks,
            told.start(str(moments[0])) if told else None,
            decision=decision,
        )

    signals = [
        number
        for number, channel in enumerate(channels)
        if channel.array not in dated and not times.is_time(channel.array)
    ]
    return SignalFile(path.name, names, read, signals or range(len(names)))


def _clock_of(file: str, name: str, moments: np.ndarray, rate: float | None) -> times.Clock | None:
    """What the first elements of an array of times say, and its last one."""
    if np.isnan(moments).any():
        raise FileError(
            f"{file}: element {np.isnan(moments).argmax()} of the times {name!r} is missing. Save "
            "all times, or ignore them (time none)."
        )
    texts = [str(moment) for moment in moments[:FIRST]]
    places = range(len(texts))
    return times.clock_of(file, name, "", texts, places, rate, str(moments[-1]), "element")


def _open_archive(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of signals in an archive, and the rate, units and names that it states."""
    arrays, others, facts = {}, {}, {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise FileError(f"{path.name}: the archive is encrypted. Save it without a password.")
    if (size := sum(member.file_size for member in members)) > LARGEST:
        raise FileError(
            f"{path.name}: the arrays have {size} bytes, more than {LARGEST}. Save one as .npy, "
            "which is read block by block."
        )
    with np.load(path, allow_pickle=False) as stored:
        for name in stored.files:
            try:
                array, key = stored[name], name.lower()
            except ValueError:  # of Python objects, which are not unpickled
                array, key = np.array(None), ""
            if not isinstance(array, np.ndarray):  # another file in the archive
                array = np.array(None)
            if times.is_time(name) and array.dtype.kind == "M":
                array = array.astype("datetime64[ns]").astype(np.int64)
            if key in RATES and array.size < MOST_CHANNELS:
                rates = _rates(path.name, name, array)
                if facts.setdefault("rates", rates) != rates:
                    raise FileError(
                        f"{path.name}: array {name!r} says {rates} Hz, another {facts['rates']}. "
                        "Save one of them."
                    )
            elif key in TEXTS and array.dtype.kind in "US":
                facts[TEXTS[key]] = [str(text) for text in array.astype(str).reshape(-1)]
            elif _is_signal(array):
                arrays[name] = array
            else:
                others[name] = array
    return arrays or others, facts


def _rates(file: str, name: str, array: np.ndarray) -> list[float]:
    rates = []
    with contextlib.suppress(TypeError, ValueError):
        rates = [float(rate) for rate in array.reshape(-1)]
    if not rates or not all(rate > 0 and math.isfinite(rate) for rate in rates):
        raise FileError(
            f"{file}: array {name!r} says {array}, no rate above 0. Save the samples per second."
        )
    return rates


def _mapped(path: Path) -> np.ndarray:
    """The array of an .npy file, of which only what is used is read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FileError(
            f"{path.name}: holds no array of numbers that numpy.save wrote, or a part of one. Save "
            "real numbers of shape (n,) or (n, channels)."
        ) from error


def _is_signal(array: np.ndarray) -> bool:
    shaped = array.ndim == 1 or (array.ndim == 2 and array.shape[0] != array.shape[1])
    return array.dtype.kind in "iuf" and shaped


def _rows_are_channels(array: np.ndarray) -> bool:
    """Whether an array is (channels, n) rather than (n, channels): there are more samples."""
    return array.shape[0] < array.shape[1]


def _channels(file: str, name: str, array: np.ndarray) -> list[_Channel]:
    if not _is_signal(array):
        raise FileError(
            f"{file}: {f'array {name!r}' if name else 'the array'} is not a signal but "
            f"{array.dtype} of shape {array.shape}. Save real numbers of shape (n,) or "
            "(n, channels), n larger."
        )
    if array.ndim == 1:
        return [_Channel(name, None, name)]
    count = min(array.shape)
    names = [f"{name} {number}" if name and count > 1 else name for number in range(count)]
    return [_Channel(name, number, names[number]) for number in range(count)]
