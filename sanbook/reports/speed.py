"""How fast the book computes, from the measurements of ``tools/bench.py``."""

import matplotlib.pyplot as plt
import pandas as pd

from sanbook import reports, show
from sanbook.reproduction.reference import REPRODUCED
from sanbook.show import figures
from sanbook.show.names import COLORS, NAMES

DENSE = ("identity", "relu")  # keep nearly everything, so all five correlations are dense
LABELS = {
    "what": "computation",
    "seconds": "book (s)",
    "reference_seconds": "plain way (s)",
    "ratio": "times faster",
    "note": "note",
}


class Report:
    """The measurements as tables, figures and sentences.

    Args:
        file: name of the measurements in ``data/reproduced``, or another path.

    Attributes:
        bench: one row for each case.
    """

    def __init__(self, file: str) -> None:
        path = REPRODUCED / file
        if not path.exists():
            raise reports.ParameterError(
                f"file: there is no file {path}. Run `make bench`, which takes about six minutes."
            )
        self.bench = pd.read_csv(path).set_index("case")

    def _number(self, case: str) -> float:
        """The number with which the note of a case begins."""
        return float(self.bench.note[case].split()[0])

    def about(self) -> show.Shown:
        """What was measured."""
        row, memory = self.bench.loc["e1-database"], self.bench.loc["peak-megabytes"]
        processors = reports.counted(int(memory.note.split()[-2]), "processor")
        return show.say(
            f"On a machine with {processors}, a sweep over five activation functions "
            f"and 249 kernel sizes takes {row.seconds:.1f} s ({row.note}). The data are noise with "
            "the shape of one database. Training the same networks one by one would take "
            f"{row.reference_seconds:.0f} s, which is {row.ratio:.0f} times as long. All "
            f"measurements together take at most {memory.seconds:.0f} MB of memory."
        )

    def cases(self) -> show.Shown:
        """Every case."""
        table = self.bench.drop(index="peak-megabytes")[list(LABELS)]
        times = ["seconds", "reference_seconds", "ratio"]
        table[times] = table[times].map(
            lambda value: f"{float(f'{value:.3g}'):,g}", na_action="ignore"
        )
        return show.table(
            table.rename(columns=LABELS),
            name="tab-speed",
            caption="Seconds as the book computes, and in the plain way.",
        )

    @figures.style()
    def sweeps(self) -> show.Shown:
        """A sweep of each activation function."""
        cases = self.bench.loc[[f"e1-{a}" for a in NAMES]].set_axis(list(NAMES))
        figure, axes = plt.subplots(figsize=(8, 3))
        names = list(NAMES.values())
        axes.barh(names, cases.reference_seconds, color="0.85", label="one by one")
        axes.barh(names, cases.seconds, color=list(COLORS.values()), label="in a sweep")
        axes.set(xscale="log", xlabel="seconds")
        axes.invert_yaxis()
        axes.legend()
        return show.figure(
            figure,
            name="fig-speed",
            caption="Seconds for 249 kernel sizes on noise with the shape of one database: in a "
            "sweep (coloured), and one network after the other (grey).",
            alt="Horizontal bars on a logarithmic axis of seconds. Times faster than one by one: "
            f"{reports.scores(cases.ratio, '{:.0f}')}.",
            sources=[],  # of time, not of data
        )

    def operations(self) -> show.Shown:
        """Operations of an epoch of MNIST."""
        seconds = pd.Series({a: self.bench.seconds[f"mnist-epoch-{a}"] for a in NAMES})
        images = self._number("mnist-epoch-identity")
        correlation = images * 2 * 2 * 784 * sum(m * m for m in range(1, 7)) / 1e9
        counts = pd.Series({a: correlation * (5 if a in DENSE else 1) for a in NAMES})
        columns = {"time (s)": seconds, "operations (10⁹)": counts,
                   "operations (10⁹ per second)": counts / seconds}  # fmt: skip
        table = pd.DataFrame(columns).rename(index=NAMES).rename_axis("activation")
        return show.table(
            table.reset_index(),
            name="tab-operations",
            caption=f"An epoch of {images:,.0f} images with six kernel sizes: the operations of "
            "its correlations.",
        )

    def limits(self) -> show.Shown:
        """How far the loops are from the machine's fastest operations."""
        row, floor = self.bench.loc["e1-database"], self.bench.loc["e1-database-floor"]
        return show.say(
            "Products of large matrices, the fastest operations of this machine, reach "
            f"{self._number('e1-database-floor'):.0f} · 10⁹ operations per second. At this rate "
            "the plain correlations of one database, five for each training step and two for each "
            f"evaluation, would take {floor.seconds:.1f} s. The sweep takes "
            f"{row.seconds / floor.seconds:.1f} times as long."
        )
