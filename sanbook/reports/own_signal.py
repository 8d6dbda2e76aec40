"""Analyse a signal of your own: which method suits it, and which events a SAN finds in it."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import sanbook.data
from sanbook import reports, show
from sanbook.data.dataset import DataSet, Provenance
from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.show import figures
from sanbook.show.names import NAMES
from sanbook.signals.compare import Comparison
from sanbook.signals.events import EventModel
from sanbook.signals.fit import default_kernel_sizes
from sanbook.signals.formats import Recording, open_recording
from sanbook.signals.windows import windows_of


class Signal:
    """The signal of the page: the file that was given, or the whole mitdb recording.

    Attributes:
        file: path of the file.
        provenance: of mitdb, None for a file that was given.
    """

    def __init__(self, path: str, column: str, data: str, directory: str) -> None:
        self.file, self.column, self.rate, self.provenance = path, column, None, None
        if path:
            return
        loaded = sanbook.data.load("mitdb", data, directory or None)
        self.provenance, self.rate = loaded.card, loaded.card.sampling_rate
        if loaded.card.source == "simulated":
            self._folder = tempfile.TemporaryDirectory()
            self.file = f"{self._folder.name}/simulated.npy"
            windows = [loaded.train, loaded.validation, loaded.test]
            np.save(self.file, np.concatenate(windows).ravel())
        else:
            folder = data_folder(directory or None) / MANIFEST["mitdb"].folder
            self.file, self.column = str(folder / f"{loaded.card.record}.hea"), 0

    def open(self) -> Recording:
        """The signal, to be read from its beginning."""
        return open_recording(self.file, self.column, self.rate)

    def of(self, card: Provenance) -> Provenance:
        """The provenance of windows of this signal."""
        if self.provenance is None:
            return card
        known = ("source", "name", "signal", "record", "simulator", "seed", "version", "origin")
        return replace(card, **{name: getattr(self.provenance, name) for name in known})


def kernel_sizes(window: int, profile: str) -> list[int]:
    """The kernel sizes to train, in samples: those of `san compare`, or every eighth of them.

    >>> kernel_sizes(1000, "quick")
    [3, 17, 79]
    """
    return default_kernel_sizes(window)[:: 1 if profile == "paper" else 8]


@dataclass
class Report(reports.Page):
    """What a comparison of methods says about a signal, and the events of its SANs.

    Attributes:
        few: the model with the fewest events.
        last_window: the last window without a fault.
    """

    signal: Signal
    dataset: DataSet  # the windows of the signal
    usable: int  # number of usable windows in the whole signal
    compared: Comparison
    profile: str
    seeds: list[int]  # of the SANs that were compared

    def __post_init__(self) -> None:
        self.card = self.signal.of(self.dataset.card)
        self.cards = {self.card.name: vars(self.card)}
        self.few = self.compared.models[self.compared.few_events.method]
        self.window = self.dataset.train.shape[1]
        *_, self.last_window = (
            w for w in windows_of(self.signal.open(), self.window) if not w.fault
        )

    def findings(self) -> show.Shown:
        """What to use the signal with, and whether the seeds agree."""
        return show.findings(*self.compared.advice, self._seeds())

    def _seeds(self) -> str:
        apart = len(self.compared.flags)
        if len(self.seeds) == 1:
            return "**One seed** was trained. Add seeds to see how much depends on the start."
        if not apart:
            return f"**The {len(self.seeds)} seeds agree** for every activation function."
        return (
            f"**The seeds disagree** for {apart} of {reports.counted(len(NAMES), 'function')}: "
            "the result depends on where the training starts."
        )

    def by_seed(self) -> show.Shown:
        """φ̄ on validation of the seeds of each activation function."""
        names = {"method": "activation", "kernel_size": "m", "low": "φ̄, smallest of the seeds",
                 "high": "φ̄, largest of the seeds"}  # fmt: skip
        table = self.compared.table.set_index("method").loc[list(NAMES.values())].reset_index()
        return show.table(
            table[list(names)].astype({"kernel_size": int}).rename(columns=names),
            name="tab-own-seeds",
            caption="φ̄ on validation at the selected kernel size, with shared weights "
            f"({reports.counted(len(self.seeds), 'seed')}).",
        )

    def first_events(self, model: EventModel) -> show.Shown:
        """The first events that a model finds."""
        events = pd.DataFrame(model.events(self.signal.open()))
        shown = events.head(8).astype({"sample": str, "length": str})
        return show.table(
            shown.rename(columns={"seconds": "time (s)", "length": "length (samples)"}),
            name="tab-own-events",
            caption=f"The first of the {len(events):,} events of {self.card.name}.",
        )

    def events(self, which: str) -> show.Shown:
        """The last window, with the "fewest" events or with those that follow it most closely."""
        chosen = self.compared.few_events if which == "fewest" else self.compared.events
        method, model = chosen.method, self.compared.models[chosen.method]
        window = self.last_window
        found = model.find(window)
        (drawn,) = model.rebuild(e._replace(sample=e.sample - window.start) for e in found)
        error, deviation = np.abs(drawn - window.values), np.abs(window.values - window.mean)
        units = "" if model.units == "unknown" else f" {model.units}"
        events = reports.counted(len(found) - 1, "event")
        amplitudes = [event.amplitude for event in found[1:]] or [0]
        return self.figure_of(
            "fig-own-new" if which == "fewest" else "fig-own-close",
            figures.plot_events(model, window),
            f"The last window of {self.card.name} (grey), its reconstruction from {events} "
            f"by {method}, and the events. {describe(error.sum() / deviation.sum())} The mean "
            f"error is {error.mean():.3g}{units}, the largest {error.max():.3g}{units}.",
            f"A window of {self.window} samples and its reconstruction; below, a line for each "
            f"of {events}, with amplitudes of {reports.between(amplitudes, '{:.2g}')}{units}.",
        )

    def _message(self) -> dict[str, int]:
        """How many numbers a receiver of the shortest list of events needs."""
        events = pd.DataFrame(self.few.events(self.signal.open()))
        return {
            "kernel, once": self.few.network.num_weights,
            "means, one per window": int((events.kernel == "mean").sum()),
            "events, two numbers each": 2 * int((~events.kernel.isin(["mean", "gap"])).sum()),
        }

    def message(self) -> show.Shown:
        """What the shortest list of events consists of."""
        sent = self._message()
        windows, total = sent["means, one per window"], sum(sent.values())
        rows = [(part, f"{n:,}", f"{100 * n / total:.1f}") for part, n in sent.items()]
        rows.append(("for comparison: the samples", f"{windows * self.window:,}", None))
        return show.table(
            pd.DataFrame(rows, columns=["part", "numbers", "share of the message (%)"]),
            name="tab-own-message",
            caption=f"The message that describes the {windows:,} windows of {self.card.name}.",
        )

    def write_results(self, directory: str) -> None:
        """Leave ``own_signal.json`` and the model; nothing without a directory."""
        if not directory:
            return
        table, name = self.compared.table, "own_signal.safetensors"
        self.leave(
            directory,
            "own_signal",
            window=self.window,
            compared=table.astype(object).where(table.notna(), None),
            advice=self.compared.advice,
            flags=self.compared.flags,
            sent=self._message(),
            model=name,
            few=self.compared.few_events.method,
        )
        self.few.save(Path(directory) / name)


def describe(loss: float) -> str:
    """What a normalized loss means.

    >>> describe(0.2), describe(0.9)
    ('The events reconstruct nearly all of it.', 'The events reconstruct little of it.')
    """
    much = "nearly all of it" if loss < 0.25 else "its main pattern and leave out the details"
    return f"The events reconstruct {much if loss < 0.6 else 'little of it'}."
