"""The recordings of the first experiment (article Sec. IV-A): what they are and how clean."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from torch import Tensor

import sanbook.data
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.data.manifest import MANIFEST
from sanbook.show import figures

KINDS = {
    "real": "of the paper",
    "substitute": "of another record or channel",
    "unverified": "unverified",
    "simulated": "simulated",
}


class Report(reports.Page):
    """The recordings by name, see `sanbook.data.load`."""

    def __init__(self, recordings: Mapping[str, DataSet]) -> None:
        self.recordings = recordings
        self.known = {name: MANIFEST[name] for name in recordings}
        self.cards = reports.cards(recordings)
        self.clean = pd.DataFrame([self._signs(name) for name in recordings])

    def _signs(self, name: str) -> dict:
        """Signs of lost or coarse signal."""
        recording = self.recordings[name]
        windows = [*recording.train, *recording.validation, *recording.test]
        deviation = max(window.abs().max().item() for window in windows)
        return {
            "database": name,
            "data": recording.card.source,
            "longest constant stretch (samples)": max(map(longest_run, windows)),
            "distinct values per window": sum(len(w.unique()) for w in windows) // len(windows),
            "largest deviation (standard deviations)": f"{deviation:.1f}",
        }

    def _seconds(self) -> dict[str, float]:
        """How long the samples of each recording with a known sampling rate last."""
        samples = sanbook.data.SAMPLES
        return {n: samples / source.sampling_rate for n, source in self.known.items()
                if source.channel}  # fmt: skip

    def findings(self) -> show.Shown:
        """Which recordings are the paper's, how long they last, where signal is lost."""
        counts = [
            f"{count} {words}"
            for kind, words in KINDS.items()
            if (count := self.sources.count(kind))
        ]
        seconds = self._seconds()
        shortest, longest = min(seconds, key=seconds.get), max(seconds, key=seconds.get)
        stretch = self.clean.set_index("database")["longest constant stretch (samples)"]
        return show.findings(
            f"**Data:** the page shows {reports.counted(len(self.sources), 'recording')}: "
            f"{reports.listed(counts)}.",
            f"**Duration:** the same {sanbook.data.SAMPLES:,} samples last {seconds[shortest]:.2g} "
            f"s in {shortest} and {seconds[longest] / 60:.0f} minutes in {longest}, so one kernel "
            "size means different durations.",
            f"**Lost signal:** in {stretch.idxmax()}, {stretch.max()} samples in a row are equal, "
            "which means lost or saturated signal.",
        )

    def table(self) -> show.Shown:
        """What each recording is."""
        seconds = self._seconds()
        rows = [
            {
                "database": name,
                "signal": source.signal,
                "record": source.record,
                "channel": source.channel or "not confirmed",
                "sampling rate (Hz)": f"{source.sampling_rate:g}" if name in seconds else None,
                "duration (s)": f"{seconds[name]:,.1f}" if name in seconds else None,
            }
            for name, source in self.known.items()
        ]
        return show.table(
            pd.DataFrame(rows),
            name="tab-recordings",
            caption=f"The recordings and the duration of their first {sanbook.data.SAMPLES:,} "
            "samples. Where the channel is not confirmed, neither is the sampling rate.",
        )

    @figures.style()
    def windows(self) -> show.Shown:
        """The windows of every recording."""
        signals = reports.listed([f"{n} {r.card.signal}" for n, r in self.recordings.items()])
        count = len(self.recordings)
        figure, panels = plt.subplots(count, figsize=(8, count), sharex=True, squeeze=False)
        for axes, (name, recording) in zip(panels.flat, self.recordings.items(), strict=True):
            figures.draw_windows(axes, recording)
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
            axes.set_yticks([])
        panels[-1, 0].set_xlabel("sample")
        return self.figure_of(
            "fig-recordings",
            figure,
            "The twelve standardized windows of each recording in the order of time: six "
            "for training, two for validation and four for testing.",
            f"{reports.counted(len(self.recordings), 'line plot')}: {signals}.",
        )

    def quality(self) -> show.Shown:
        """How clean the windows are."""
        return show.table(
            self.clean,
            name="tab-clean",
            caption="Signs of lost or coarse signal in the windows that the experiment uses.",
        )


def longest_run(window: Tensor) -> int:
    """The largest number of equal samples in a row.

    >>> longest_run(Tensor([1, 2, 2, 2, 1]))
    3
    """
    return int(window.unique_consecutive(return_counts=True)[1].max())
