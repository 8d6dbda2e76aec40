"""Events: a signal as a list of places, amplitudes and kernels, and the signal that they describe.

An `EventModel` is a trained SAN, of the paper or multiscale, and the length of its windows. It
turns a recording of any length into events, window by window, and events back into samples.
Amplitudes are in the units of the model, so a list needs nothing besides the model.

Axes: n samples of a window, q maps of the network.
"""

import csv
import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TextIO

import numpy as np
import torch
from torch import Tensor

from san_core import SAN
from sanbook.data.dataset import DataSet
from sanbook.scales import MultiscaleSAN
from sanbook.signals.formats import FileError, Recording
from sanbook.signals.windows import Window, windows_of
from sanbook.training.files import load_facts, load_model, save_model

MEAN, GAP = "mean", "gap"
BATCH = 32  # windows that are encoded together


class Event(NamedTuple):
    """An activation of a signal.

    Attributes:
        seconds: time of the sample from the beginning, None if no sampling rate is known.
        sample: from 0 on; the middle of the kernel.
        amplitude: of the largest sample of the kernel, in the units of the model.
        kernel: a number from 0 on. Each window begins with an event of its own: "mean", whose
            amplitude is added to all its samples, or "gap", if a sample of the window is missing.
        length: samples of the kernel, or of the window.
    """

    seconds: float | None
    sample: int
    amplitude: float
    kernel: str
    length: int


@dataclasses.dataclass(frozen=True)
class EventModel:
    """A trained network for windows of ``window`` samples.

    ``sampling_rate`` is in Hz, None if unknown; ``column`` is the name of the column or channel
    that the network was trained on, empty if the file named none.
    """

    network: SAN | MultiscaleSAN
    window: int
    sampling_rate: float | None = None
    units: str = "unknown"
    column: str = ""

    @classmethod
    def of(cls, network: SAN | MultiscaleSAN, data: DataSet) -> "EventModel":
        """A network that was trained on a data set of `sanbook.signals.windows.load_signal`."""
        card, window = data.card, data.train.shape[1]
        return cls(network, window, card.sampling_rate, card.units, card.channel or "")

    def match(self, recording: Recording) -> tuple["EventModel", Recording]:
        """This model at the rate of a recording, and the recording in the units of this model.

        What one of the two does not know is taken from the other. ValueError if the rates differ,
        or the units by something else than a power of ten.
        """
        rate = recording.sampling_rate or self.sampling_rate
        if self.sampling_rate and not math.isclose(rate, self.sampling_rate, rel_tol=1e-5):
            raise ValueError(
                f"{recording.origin}: {rate:g} Hz is not the rate of the model, "
                f"{self.sampling_rate:g} Hz. Resample the signal or fit a model to it."
            )
        converted = recording.in_units(self.units)
        units = recording.units if self.units == "unknown" else self.units
        return dataclasses.replace(self, sampling_rate=rate, units=units), converted

    @functools.cached_property
    def kernels(self) -> list[np.ndarray]:
        """What each map adds around an activation of 1, ``(m,)`` each."""
        network = self.network
        kernels = network.kernels() if isinstance(network, MultiscaleSAN) else network.kernels
        return [kernel.detach().double().numpy()[::-1] for kernel in kernels]

    @functools.cached_property
    def peaks(self) -> np.ndarray:
        """The sample of largest magnitude of each of the `kernels`, ``(q,)``."""
        return np.array([kernel[np.abs(kernel).argmax()] for kernel in self.kernels])

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        """The number of each kernel that an event may name."""
        return {str(kernel): kernel for kernel, peak in enumerate(self.peaks) if peak}

    def _encode(self, x: Tensor) -> Tensor:
        """Activation maps, ``(B, n) -> (B, q, n)``."""
        if isinstance(self.network, SAN):  # alone, as a convolution rounds by the size of its batch
            return torch.cat([self.network.encode(window) for window in x.split(1)])
        return self.network.encode(x)

    def find(self, *windows: Window) -> list[Event]:
        """The events of windows, which are encoded together; none of a rest."""
        varying = [window.standardized for window in windows if not window.fault]
        with torch.no_grad():
            maps = iter(self._encode(torch.stack(varying)) if varying else ())
        events = []
        for window in windows:
            if window.fault == "rest":
                continue
            gap = window.fault == "gap"
            amplitude = math.nan if gap else window.mean
            events.append(self._event(window.start, amplitude, GAP if gap else MEAN, self.window))
            if window.fault:
                continue
            a = next(maps).double().numpy() * (window.deviation * self.peaks)[:, None]
            for place, kernel in zip(*np.nonzero(a.T), strict=True):
                sample, length = window.start + int(place), len(self.kernels[kernel])
                events.append(self._event(sample, float(a[kernel, place]), str(kernel), length))
        return events

    def _event(self, sample: int, amplitude: float, kernel: str, length: int) -> Event:
        seconds = sample / self.sampling_rate if self.sampling_rate else None
        return Event(seconds, sample, amplitude, kernel, length)

    def events(self, recording: Recording) -> Iterator[Event]:
        """The events of a recording in the units of this model; ValueError as in `match`."""
        model, recording = self.match(recording)
        return model.events_of(windows_of(recording, self.window), recording)

    def events_of(self, windows: Iterable[Window], recording: Recording) -> Iterator[Event]:
        """The events of the windows of a recording; a live stream's as soon as each has come."""
        regular = recording.files and all(file.is_file() for file in recording.files)
        windows, count = iter(windows), BATCH if regular else 1
        while batch := list(itertools.islice(windows, count)):
            yield from self.find(*batch)

    def rebuild(self, events: Iterable[Event]) -> Iterator[np.ndarray]:
        """The windows that events describe, one after the other, float64 ``(n,)``; NaN for a gap.

        Each window begins with its "mean" or "gap". ValueError if one is missing, or an event does
        not belong to this model.
        """
        values, start = None, 0
        for event in events:
            if event.kernel not in (MEAN, GAP):
                self._add(event, start, values)
                continue
            if values is not None:
                yield self._inside(values)
                start += self.window
            if event.sample != start or event.length != self.window:
                raise ValueError(
                    f"events: a window of {event.length} samples begins at sample {event.sample}, "
                    f"where one of {self.window} begins at sample {start}. Take all events of a "
                    "recording in their order, and the model that found them."
                )
            if event.kernel == MEAN and not math.isfinite(event.amplitude):
                raise ValueError(
                    f"events: the mean at sample {start} is {event.amplitude}. Find the events "
                    "again."
                )
            level = math.nan if event.kernel == GAP else event.amplitude
            values = np.full(self.window + 2 * self._margin, level)
        if values is not None:
            yield self._inside(values)

    @functools.cached_property
    def _margin(self) -> int:
        """Samples beyond each border of a window that a kernel in it may reach."""
        return max(len(kernel) for kernel in self.kernels)

    def _inside(self, values: np.ndarray) -> np.ndarray:
        return values[self._margin : -self._margin]

    def _add(self, event: Event, start: int, values: np.ndarray | None) -> None:
        """Add an event to the ``values`` of its window and of a `_margin` on both sides."""
        if values is None or not start <= event.sample < start + self.window:
            raise ValueError(
                f"events: kernel {event.kernel} at sample {event.sample} lies outside of its "
                f'window, which begins with "{MEAN}" or "{GAP}". Take all events in their order.'
            )
        if event.kernel not in self._numbers or not math.isfinite(event.amplitude):
            raise ValueError(
                f"events: {event.amplitude} of kernel {event.kernel!r} at sample {event.sample} is "
                f"not a finite amplitude of one of {len(self._numbers)} kernels. Take the model "
                "that found the events."
            )
        number = self._numbers[event.kernel]
        kernel = self.kernels[number]
        first = self._margin + event.sample - start - len(kernel) // 2
        values[first : first + len(kernel)] += event.amplitude / self.peaks[number] * kernel

    def save(self, path: str | os.PathLike) -> None:
        """Write a file that `load` reads, in the safetensors format."""
        facts = {"window": str(self.window), "units": self.units, "column": self.column}
        if self.sampling_rate:
            facts["sampling_rate"] = repr(self.sampling_rate)
        save_model(self.network, path, facts)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "EventModel":
        """Read what `save` wrote; nothing in it is executed. ValueError for another file."""
        facts = load_facts(path)
        network = load_model(path)
        try:
            rate = float(facts["sampling_rate"]) if "sampling_rate" in facts else None
            window, column = int(facts["window"]), facts.get("column", "")
            model = cls(network, window, rate, facts["units"], column)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: has {sorted(facts)} besides the kernels, not a window and units. Take a "
                "model that `san fit` wrote."
            ) from error
        if not 1 <= model._margin <= window:
            raise ValueError(
                f"{path}: has a kernel of {model._margin} samples for windows of {window}. Fit the "
                "model again."
            )
        return model


# --- files of events ------------------------------------------------------------------------------


def write_events(
    file: TextIO,
    events: Iterable[Event],
    facts: Mapping[str, str | float] = MappingProxyType({}),
    start: datetime | None = None,
) -> None:
    """Write events as CSV, each window as soon as it comes.

    The first line names the fields of `Event`, without ``seconds`` if no sampling rate is known,
    then ``time`` if the recording has a ``start``, then the ``facts``, which are the same for all
    events. A gap has no amplitude; others have nine digits, of which single precision has seven.
    """
    writer, fields = csv.writer(file), None
    for event in events:
        if fields is None:
            fields = [name for name in Event._fields if getattr(event, name) is not None]
            writer.writerow([*fields, *(["time"] if start else []), *facts])
        if event.kernel in (MEAN, GAP):
            file.flush()
        row = event._asdict()
        if event.seconds is not None:
            row["seconds"] = f"{event.seconds:.6f}"
        row["amplitude"] = "" if math.isnan(event.amplitude) else f"{event.amplitude:.9g}"
        time = [(start + timedelta(seconds=event.seconds)).isoformat()] if start else []
        writer.writerow([*(row[name] for name in fields), *time, *facts.values()])
    file.flush()


def read_events(path: str | os.PathLike) -> Iterator[Event]:
    """Events as `write_events` wrote them, without their times; ValueError for another file."""
    for line, row in _rows(path):
        kernel = (row["kernel"] or "").strip()
        try:
            amplitude = math.nan if kernel == GAP else float(row["amplitude"] or "")
            yield Event(None, int(row["sample"] or ""), amplitude, kernel, int(row["length"] or ""))
        except ValueError:
            given = [row[name] for name in Event._fields[1:]]
            raise ValueError(
                f"{path}: line {line} has {given} for sample, amplitude, kernel and length. Find "
                "the events again."
            ) from None


def rate_of_events(path: str | os.PathLike) -> float | None:
    """The sampling rate in Hz that a file of events says, if it does."""
    _, row = next(_rows(path), (0, {}))
    try:
        return float(row.get("sampling_rate") or "nan") or None
    except ValueError:
        raise ValueError(
            f"{path}: the sampling rate is {row['sampling_rate']!r}. Find the events again."
        ) from None


def _rows(path: str | os.PathLike) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Number and fields of each line of a file of events."""
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file)
            if missing := set(Event._fields[1:]) - set(reader.fieldnames or ()):
                raise FileError(
                    f"{path}: has no column {', '.join(sorted(missing))}. Take a file that `san "
                    "events` wrote."
                )
            yield from enumerate(reader, start=2)
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileError(f"{path}: is no text: {error}. Find the events again.") from error
