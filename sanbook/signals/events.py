"""Events: a signal as a list of places, amplitudes and kernels, and the signal that they draw.

An `EventModel` is a trained SAN, of the paper or with scales, and the length of its windows. It
turns a recording of any length into events, window by window, and events back into samples.
Amplitudes are in the recording's units, so a list needs nothing beside it but the model.

Axes: n samples of a window, q maps of the network.
"""

import csv
import dataclasses
import functools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pandas as pd
import torch

from san_core import SAN, phi
from sanbook.data.dataset import DataSet, Provenance
from sanbook.methods import base as methods
from sanbook.methods.networks import TrainedMultiscaleSAN
from sanbook.scales import MultiscaleSAN, fit_scales
from sanbook.signals.formats import Recording
from sanbook.signals.windows import Window, windows_of
from sanbook.training import Protocol, Trained, evaluate, sweep
from sanbook.training.files import load_facts, load_model, save_model

MEAN, GAP = "mean", "gap"
SCALES = "scales"  # stands for a multiscale SAN among the activation functions
PROTOCOL = Protocol()  # that of the PhysioNet experiment
TIE = 0.01  # of phi: seeds differ by as much


class Event(NamedTuple):
    """What a signal has at a place: ``kernel``, drawn around ``sample`` (from 0 on).

    ``seconds`` are those of the sample, None if no sampling rate is known. ``amplitude`` is that of
    the largest sample of what is drawn, in the recording's units, and ``length`` how many samples
    it has. ``kernel`` is a number from 0 on. Each window begins with an event of its own: "mean",
    whose amplitude is added to all its samples, or "gap", if a sample of it is missing.
    """

    seconds: float | None
    sample: int
    amplitude: float
    kernel: str
    length: int


@dataclasses.dataclass(frozen=True)
class EventModel:
    """A trained network for windows of ``window`` samples, at ``sampling_rate`` Hz if known."""

    network: SAN | MultiscaleSAN
    window: int
    sampling_rate: float | None = None
    units: str = "unknown"

    @classmethod
    def of(cls, network: SAN | MultiscaleSAN, data: DataSet) -> "EventModel":
        """A network that was trained on a data set of `sanbook.signals.windows.load_signal`."""
        card: Provenance = data.card
        return cls(network, data.train.shape[1], card.sampling_rate, card.units)

    def at(self, sampling_rate: float | None) -> "EventModel":
        """The same model, for a recording with this sampling rate; None keeps its own."""
        return dataclasses.replace(self, sampling_rate=sampling_rate or self.sampling_rate)

    @functools.cached_property
    def kernels(self) -> list[np.ndarray]:
        """What each map draws around an entry of 1, ``(m,)`` each."""
        network = self.network
        kernels = network.kernels() if isinstance(network, MultiscaleSAN) else network.kernels
        return [kernel.detach().double().numpy()[::-1] for kernel in kernels]

    @functools.cached_property
    def peaks(self) -> np.ndarray:
        """The sample of largest magnitude of each of the `kernels`, ``(q,)``."""
        return np.array([kernel[np.abs(kernel).argmax()] for kernel in self.kernels])

    def find(self, window: Window) -> list[Event]:
        """The events of a window, none of a rest that is shorter than a window."""
        if window.fault == "rest":
            return []
        if window.fault == "gap":
            return [self._event(window.start, math.nan, GAP, self.window)]
        events = [self._event(window.start, window.mean, MEAN, self.window)]
        if window.fault == "constant":
            return events
        with torch.no_grad():
            a = self.network.encode(window.standardized[None])[0].double().numpy()
        amplitudes = a * (window.deviation * self.peaks)[:, None]
        for place, kernel in zip(*np.nonzero(amplitudes.T), strict=True):
            length = len(self.kernels[kernel])
            amplitude = float(amplitudes[kernel, place])
            events.append(self._event(window.start + int(place), amplitude, str(kernel), length))
        return events

    def _event(self, sample: int, amplitude: float, kernel: str, length: int) -> Event:
        seconds = sample / self.sampling_rate if self.sampling_rate else None
        return Event(seconds, sample, amplitude, kernel, length)

    def events(self, recording: Recording) -> Iterator[Event]:
        """The events of a recording, window by window, as soon as each has come."""
        for window in windows_of(recording, self.window):
            yield from self.find(window)

    def rebuild(self, events: Iterable[Event]) -> Iterator[np.ndarray]:
        """The windows that events draw, one after the other, float64 ``(n,)``; NaN for a gap.

        Each window begins with its "mean" or "gap". ValueError if one is missing, or an event does
        not belong to this model.
        """
        window, start, entries = None, 0, []
        for event in events:
            if event.kernel not in (MEAN, GAP):
                entries.append(self._entry(event, start, window))
                continue
            if window is not None:
                yield self._draw(window, entries)
                start += self.window
            if event.sample != start or event.length != self.window:
                raise ValueError(
                    f"expected the window from sample {start} on, {self.window} samples long, got "
                    f"one of {event.length} from sample {event.sample} on; take all events of a "
                    "recording in their order, and the model that found them"
                )
            if event.kernel == MEAN and not math.isfinite(event.amplitude):
                raise ValueError(f"expected a finite mean, got {event.amplitude} at sample {start}")
            window, entries = event, []
        if window is not None:
            yield self._draw(window, entries)

    def _entry(self, event: Event, start: int, window: Event | None) -> tuple[int, int, float]:
        """Map, place in the window and activation of an event, the latter in units."""
        if window is None or not start <= event.sample < start + self.window:
            raise ValueError(
                f'expected the event "{MEAN}" or "{GAP}" of a window before those in it, got '
                f"kernel {event.kernel} at sample {event.sample}; take all events in their order"
            )
        known = [str(kernel) for kernel, peak in enumerate(self.peaks) if peak]
        if event.kernel not in known or not math.isfinite(event.amplitude):
            raise ValueError(
                f"expected a finite amplitude of one of the kernels {', '.join(known)}, got "
                f"{event.amplitude} of {event.kernel!r} at sample {event.sample}; take the model "
                "that found the events"
            )
        kernel = int(event.kernel)
        return kernel, event.sample - start, event.amplitude / self.peaks[kernel]

    def _draw(self, window: Event, entries: Sequence[tuple[int, int, float]]) -> np.ndarray:
        if window.kernel == GAP:
            return np.full(self.window, math.nan)
        a = torch.zeros(1, len(self.kernels), self.window)
        scale = max((abs(amplitude) for _, _, amplitude in entries), default=1.0)
        for kernel, place, amplitude in entries:
            # Single precision has no room for all units, so they come back afterwards.
            a[0, kernel, place] = amplitude / scale
        with torch.no_grad():
            return self.network.decode(a)[0].double().numpy() * scale + window.amplitude

    def save(self, path: str | os.PathLike) -> None:
        """Write a file that `load` reads, in the safetensors format."""
        rate = {"sampling_rate": repr(self.sampling_rate)} if self.sampling_rate else {}
        save_model(self.network, path, {"window": str(self.window), "units": self.units, **rate})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "EventModel":
        """Read what `save` wrote; nothing in it is executed. ValueError for another file."""
        facts = load_facts(path)
        network = load_model(path)
        try:
            rate = float(facts["sampling_rate"]) if "sampling_rate" in facts else None
            model = cls(network, int(facts["window"]), rate, facts["units"])
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: expected a model with its window and units, as `san fit` writes it, got "
                f"{sorted(facts)} beside the kernels; fit it again"
            ) from error
        largest = max(kernel.size for kernel in model.kernels)
        if not 1 <= largest <= model.window:
            raise ValueError(
                f"{path}: expected kernels of up to the window of {model.window} samples, got one "
                f"of {largest}; fit it again"
            )
        return model


# --- files of events ------------------------------------------------------------------------------


def write_events(file: TextIO, events: Iterable[Event]) -> None:
    """Write events as CSV, each window as soon as it comes.

    The first line names the fields of `Event`, without ``seconds`` if no sampling rate is known. A
    gap has no amplitude; others have nine digits, of which single precision has seven.
    """
    writer, fields = csv.writer(file), None
    for event in events:
        if fields is None:
            fields = [name for name in Event._fields if getattr(event, name) is not None]
            writer.writerow(fields)
        if event.kernel in (MEAN, GAP):
            file.flush()
        row = event._asdict()
        if event.seconds is not None:
            row["seconds"] = f"{event.seconds:.6f}"
        row["amplitude"] = "" if math.isnan(event.amplitude) else f"{event.amplitude:.9g}"
        writer.writerow([row[name] for name in fields])
    file.flush()


def read_events(path: str | os.PathLike) -> Iterator[Event]:
    """Events as `write_events` wrote them; ValueError for another file."""
    path = Path(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            missing = {"sample", "amplitude", "kernel", "length"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(
                    f"{path.name}: expected events as `san events` writes them, got no column "
                    f"{', '.join(sorted(missing))}; name such a file"
                )
            for line, row in enumerate(reader, start=2):
                yield _event_of(row, f"line {line} of {path.name}")
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path.name}: expected lines of text, got: {error}") from error


def _event_of(row: dict[str, str | None], where: str) -> Event:
    kernel = (row["kernel"] or "").strip()
    try:
        amplitude = math.nan if kernel == GAP else float(row["amplitude"] or "")
        return Event(None, int(row["sample"] or ""), amplitude, kernel, int(row["length"] or ""))
    except ValueError:
        given = [row[name] for name in ("sample", "amplitude", "kernel", "length")]
        raise ValueError(
            f"{where}: expected a sample, an amplitude, a kernel and a length, got {given}; mend "
            "the line or find the events again"
        ) from None


# --- training -------------------------------------------------------------------------------------


def default_kernel_sizes(window: int) -> list[int]:
    """Up to 24 sizes from 3 samples to a quarter of a window, in even steps of their logarithm.

    >>> default_kernel_sizes(100)
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25]
    """
    return sorted({int(m) for m in np.geomspace(3, max(3, window // 4), 24).round()})


def fit_model(
    data: DataSet,
    activation: str = "extrema",
    kernel_sizes: Sequence[int] = (),
    *,
    shared_by: int = 1,
    seeds: Sequence[int] = (0, 1, 2),
    protocol: Protocol = PROTOCOL,
) -> tuple[EventModel, pd.DataFrame]:
    """Train a SAN of every kernel size and seed, and keep the one that `choose_network` chooses.

    The activation "scales" stands for a multiscale SAN, which chooses its own sizes and is trained
    with the first seed.

    ``kernel_sizes`` are by default `default_kernel_sizes`. Returns the model and a table of the
    seeds, as `choose_network` does.
    """
    if activation == SCALES:
        network = fit_scales(data.train, data.validation, seed=seeds[0])
        measured = methods.evaluate(TrainedMultiscaleSAN(network), data.validation, shared_by)
        row = {"seed": seeds[0], "phi": measured[:, 2].mean().item()}
        return EventModel.of(network, data), pd.DataFrame([row])
    sizes = kernel_sizes or default_kernel_sizes(data.train.shape[1])
    trained = sweep(data, activation, sizes, seeds=seeds, protocol=protocol)
    network, table = choose_network(trained, data, shared_by)
    return EventModel.of(network, data), table


def choose_network(trained: Trained, data: DataSet, shared_by: int) -> tuple[SAN, pd.DataFrame]:
    """The network to take of a sweep, chosen on validation, and how its seeds compare.

    It has the smallest mean phi on validation; networks less than `TIE` above it count as equal,
    and of these the one with the fewest events is taken. The weights are charged once to
    ``shared_by`` windows, as a list of events needs its kernel once. The table has a row for each
    seed at the chosen size: kernel_size, seed, and the means phi and events of a validation window.
    """
    rows, (count, n) = [], data.validation.shape
    for kernel_size, seed in trained.best:
        model = trained.model(kernel_size, seed)
        inverse_cr, loss, _ = evaluate(model, data.validation).unbind(dim=1)
        events = (inverse_cr.sum().item() / count * n - model.num_weights) / 2
        shared = methods.share_weights(inverse_cr, model.num_weights, n, shared_by)
        rows.append((kernel_size, seed, phi(shared, loss).mean().item(), events))
    table = pd.DataFrame(rows, columns=["kernel_size", "seed", "phi", "events"])
    best = table.loc[table[table.phi <= table.phi.min() + TIE].events.idxmin()]
    network = trained.model(int(best.kernel_size), int(best.seed))
    return network, table[table.kernel_size == best.kernel_size].reset_index(drop=True)
