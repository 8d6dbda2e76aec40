"""Whole records beside the four test windows of the paper, and kernels on other recordings."""

import resource
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import wfdb

import sanbook.data
from san_core import SAN
from sanbook import reports, show
from sanbook.data.dataset import Provenance
from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.show import figures
from sanbook.show.names import NAMES
from sanbook.signals.compare import METHODS
from sanbook.signals.formats import open_recording
from sanbook.signals.study import Plan, Study, find_units, run_study
from sanbook.signals.windows import windows_of
from sanbook.training import PROTOCOLS, evaluate

LABELS = {**METHODS, "wavelets": "wavelets"}
ORDER = list(LABELS)
SPARSE = [name for name in METHODS if name not in ("identity", "relu")]
NEAR = 0.05  # of φ̄


def plan(profile: str) -> Plan:
    """What is trained for each record: the kernel sizes, and one small multiscale SAN."""
    sizes = np.geomspace(3, 249, 24 if profile == "paper" else 3).round().astype(int).tolist()
    candidates = ((2, 7),) if profile == "paper" else ((1, 5),)
    return Plan(kernel_sizes=tuple(sizes), candidates=candidates, rounds=(4,))


class Records:
    """The records of databases in a folder of their own, as `san study` takes them.

    Args:
        databases: of PhysioNet.
        data, directory: as in `sanbook.data.load`.
        whole: whether a record is there from its beginning to its end, or its first 12,000 samples.

    Attributes:
        folder: one folder for each database.
        cards: where each record comes from.
        seconds: processor time of `study`.
    """

    def __init__(self, databases: Sequence[str], data: str, directory: str, whole: bool) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name) / "records"
        self.directory, self.seconds = directory or None, 0.0
        self.cards = {name: self._keep(name, data, whole) for name in databases}

    def _keep(self, name: str, data: str, whole: bool) -> Provenance:
        loaded = sanbook.data.load(name, data, self.directory)
        target = self.folder / name
        target.mkdir(parents=True)
        if loaded.card.source == "simulated":
            windows = torch.cat([loaded.train, loaded.validation, loaded.test])
            signal, names, units = windows.numpy().reshape(-1, 1), ["own"], ["NU"]
        else:
            stored = data_folder(self.directory) / MANIFEST[name].folder
            if whole:
                for file in stored.glob(f"{loaded.card.record}.*"):
                    (target / file.name).symlink_to(file.resolve())
                return loaded.card
            header, samples = str(stored / loaded.card.record), sanbook.data.SAMPLES
            record = wfdb.rdrecord(header, sampto=samples, channels=[0])
            signal, names, units = record.p_signal, record.sig_name, record.units
        rate = loaded.card.sampling_rate
        wfdb.wrsamp("start", rate, units, names, signal, fmt=["16"], write_dir=str(target))
        return loaded.card

    def study(self, plan: Plan) -> Study:
        """Train on the first eight windows of each channel and describe every window."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run_study(self.folder, Path(self._temporary.name) / "results", plan)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.failures:
            raise RuntimeError(f"study: {done.failures}. Remove the records that cannot be used.")
        return done

    def windows(self, most: int) -> dict[str, torch.Tensor]:
        """Up to about ``most`` standardized windows of the first channel of each record."""
        windows = {}
        for unit in find_units(self.folder)[0]:
            if unit.channel == 0:
                recording = open_recording(unit.path, 0)
                usable = [cut for cut in windows_of(recording, 1000) if not cut.fault]
                chosen = usable[:: max(1, len(usable) // most)]
                windows[unit.name.split("/")[0]] = torch.stack([c.standardized for c in chosen])
        return windows


def carry(done: Study, windows: dict[str, torch.Tensor], activation: str) -> pd.DataFrame:
    """φ̄ of the kernel of each recording (index) on windows of each recording (columns)."""
    matrix = pd.DataFrame(index=list(windows), columns=list(windows), dtype=float)
    tolerance = PROTOCOLS["physionet"].border_tolerance
    first = {name: kernels for (name, channel), kernels in done.kernels.items() if not channel}
    for name, kernels in first.items():
        (kernel,) = torch.from_numpy(kernels[activation]).float()
        model = SAN([len(kernel)], activation, border_tolerance=tolerance)
        model.kernels[0].data = kernel
        for target, x in windows.items():
            matrix.loc[name.split("/")[0], target] = evaluate(model, x)[:, 2].mean().item()
    return matrix


@dataclass
class Report(reports.Page):
    """What whole records say beside four windows.

    Attributes:
        four: φ̄ of the four test windows, recording × method; ``whole`` of all windows.
    """

    records: Records
    done: Study
    carried: pd.DataFrame  # see `carry`
    profile: str

    def __post_init__(self) -> None:
        self.cards = {name: vars(card) for name, card in self.records.cards.items()}
        self.databases = list(self.cards)
        self.carried = self.carried.loc[self.databases, self.databases]
        self.table = self.done.table.assign(database=self.done.table.record.str.split("/").str[0])
        self.first = self.table[self.table.channel == 0]
        self.four, self.whole = (
            rows.groupby(["database", "method"]).phi.mean().unstack().loc[self.databases, ORDER]
            for rows in (self.first[self.first.part == "test"], self.first)
        )
        of_one = self.first[self.first.method == "identity"]
        self.windows = of_one.groupby("database").size()[self.databases]

    def findings(self) -> show.Shown:
        """Whether four windows represent a record, whether rankings hold, whether kernels carry."""
        gap = (self.whole - self.four)[SPARSE].abs()
        near, pairs = int((gap < NEAR).sum().sum()), gap.size
        name, method = gap.stack().idxmax()
        four, whole = (phis[list(NAMES)].rank(axis=1) for phis in (self.four, self.whole))
        same_order = int((four == whole).all(axis=1).sum())
        same_best = int((self.four.idxmin(axis=1) == self.whole.idxmin(axis=1)).sum())
        verdict = "mostly represent" if near > pairs / 2 else "seldom represent"
        recordings = reports.counted(len(self.databases), "recording")
        return show.findings(
            f"**Four windows {verdict} their record.** For {near} of {pairs} pairs of a recording "
            f"and a sparse method, φ̄ of four windows and φ̄ of all windows differ by less than "
            f"{NEAR:g}. The largest difference is {LABELS[method]} on {name}: "
            f"{self.four.loc[name, method]:.2f} on four windows, "
            f"{self.whole.loc[name, method]:.2f} on all {self.windows[name]}.",
            f"**Rankings:** the order of the five activation functions is the same on four windows "
            f"and on the whole record for {same_order} of {recordings}, and the best of all "
            f"methods for {same_best}.",
            self._transfer(),
        )

    def _transfer(self) -> str:
        away = ~np.eye(len(self.databases), dtype=bool)
        if not away.any():
            return "**Transfer:** one recording has no other recording to carry its kernel to."
        ratios = self.carried.div(np.diag(self.carried), axis=1).to_numpy()[away]
        return (
            f"**Transfer:** an Extrema kernel of another recording scores {np.median(ratios):.2f} "
            "times the φ̄ of the recording's own kernel, in the median. The kernel of "
            f"another recording is better for {int((ratios < 1).sum())} of {len(ratios)} pairs."
        )

    @figures.style()
    def spread(self) -> show.Shown:
        """φ of four windows and of all windows."""
        names, methods = list(self.four.index), [m for m in ORDER if m not in ("identity", "relu")]
        figure, axes = plt.subplots(figsize=(9, 0.6 + 0.75 * len(names)))
        for i, method in enumerate(methods):
            phi = self.first[self.first.method == method].groupby("database").phi
            at = np.arange(len(names)) + 0.7 * (i / (len(methods) - 1) - 0.5)
            low, middle, high = (phi.quantile(q)[names] for q in (0.05, 0.5, 0.95))
            color = plt.colormaps["tab10"](i)
            axes.hlines(at, low, high, color=color, linewidth=3, alpha=0.4)
            axes.plot(middle, at, "|", color=color, markersize=9)
            axes.plot(self.four[method], at, "o", color=color, markersize=4, label=LABELS[method])
        axes.set(yticks=range(len(names)), yticklabels=names, xlabel="φ", xlim=(0, None))
        axes.invert_yaxis()
        axes.legend(ncols=3, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1))
        return self.figure_of(
            "fig-study-spread",
            figure,
            "φ of each method on four test windows and on the whole record. Dots: mean of the four "
            "windows. Ticks and bars: median and central 90 % of all windows. Identity and ReLU "
            "appear in the table below only.",
            "Bars for each recording and method. φ̄ of all windows with Extrema: "
            f"{reports.scores(self.whole.extrema)}.",
        )

    def means(self) -> show.Shown:
        """The same as numbers."""
        table = self.four.map("{:.2f} / ".format) + self.whole.map("{:.2f}".format)
        table = table.rename(columns=LABELS).rename_axis("recording")
        table.insert(0, "windows", self.windows)
        return show.table(
            table.reset_index(),
            name="tab-study",
            caption="φ̄ of the four test windows / of all windows of the record.",
            sortable=True,
        )

    @figures.style()
    def drift(self) -> show.Shown:
        """φ along the records."""
        late = self.first[(self.first.method == "extrema") & (self.first.part == "later")]
        last = late.groupby("database").phi.agg(lambda phi: phi.tail(12).mean())
        said = reports.scores(last) if len(last) else "no record has later windows"
        figure, panels = figures.panels(
            len(self.records.cards), across=3, width=9, height=1.9, sharey=True
        )
        for axes, (name, card) in zip(panels.flat, self.records.cards.items(), strict=False):
            minute = 60 * card.sampling_rate  # in samples
            for method, color in (("extrema", "#D55E00"), ("scales", "#0072B2")):
                line = self.first[(self.first.database == name) & (self.first.method == method)]
                axes.plot(line.start / minute, line.phi, color=color, linewidth=0.7,
                          label=LABELS[method])  # fmt: skip
            axes.set_title(name)
            axes.axvspan(0, sanbook.data.SAMPLES / minute, color="0.9", zorder=0)
        panels[0, 0].set(ylim=(0, 1.2), ylabel="φ")
        panels[0, 0].legend(fontsize=7)
        figure.supxlabel("minutes", fontsize=10)
        return self.figure_of(
            "fig-study-drift",
            figure,
            "φ of every window along the record. The twelve windows of the paper are on grey.",
            f"Lines of φ over time. φ̄ of the last twelve windows with Extrema: {said}.",
        )

    def channels(self) -> show.Shown:
        """φ̄ of the other channels."""
        several = self.table.groupby("database").channel.transform("max") > 0
        rows = self.table[several & (self.table.part == "test")]
        if rows.empty:
            return show.say("No record of this build has a second channel.")
        table = rows.groupby(["database", "channel", "method"]).phi.mean().unstack()[ORDER]
        return show.table(
            table.map("{:.2f}".format).rename(columns=LABELS).reset_index(),
            name="tab-study-channels",
            caption="φ̄ of the four test windows of each channel of records that have several.",
        )

    @figures.style()
    def transfer(self) -> show.Shown:
        """φ̄ of each kernel on each recording."""
        names, most = list(self.carried), max(1.2, self.carried.to_numpy().max())
        figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.55 * len(names)))
        axes.imshow(self.carried, cmap="viridis_r", vmin=0, vmax=most, aspect="auto")
        for i, j in np.ndindex(self.carried.shape):
            value = self.carried.iat[i, j]
            shade = "white" if value > 0.6 * most else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=shade, fontsize=8)
        ticks = range(len(names))
        axes.set(xticks=ticks, yticks=ticks, yticklabels=names, xlabel="windows of",
                 ylabel="kernel of")  # fmt: skip
        axes.set_xticklabels(names, rotation=30, ha="right")
        axes.spines[:].set_visible(False)
        return self.figure_of(
            "fig-study-carried",
            figure,
            "φ̄ of the Extrema kernel of each recording (rows) on windows of each recording "
            "(columns).",
            f"Matrix of φ̄; on the diagonal φ̄ is {reports.between(np.diag(self.carried))}, in all "
            f"{reports.between(self.carried.to_numpy().ravel())}.",
        )

    def cost(self) -> show.Shown:
        """How long the study took."""
        units = self.table.groupby(["database", "channel"]).ngroups
        windows = int((self.table.method == "identity").sum())
        return show.say(
            f"Here {reports.counted(units, 'unit')} with {reports.counted(windows, 'window')} took "
            f"{self.records.seconds:.0f} s of processor time."
        )

    def write_results(self, directory: str) -> None:
        """Leave ``study.json``; nothing without a directory."""
        self.leave(
            directory,
            "study",
            four=self.four.reset_index(),
            whole=self.whole.reset_index(),
            carried=self.carried.reset_index(),
            seconds=self.records.seconds,
        )
