"""The playground: signals, trained kernels and digits to play with in the reader's browser."""

import dataclasses
from collections.abc import Mapping

import torch

from san_core import ACTIVATIONS, SAN
from sanbook import reports, show
from sanbook.data import DataSet
from sanbook.show.names import NAMES, describe_activations
from sanbook.training import PROTOCOLS, Protocol, evaluate, sweep

SIZES = [1, 2, 4, 7, 10, 15, 22, 33, 50, 75, 110, 160, 229]
SIZES_OF_IMAGES = range(1, 7)


@dataclasses.dataclass
class Report(reports.Page):
    """What the page offers, its SANs trained here.

    Args:
        recordings: Their first test windows and kernels of theirs are offered.
        images: Those that may be chosen instead of a drawing, and train the kernels.
        profile: "quick" trains the SANs of recordings for four epochs.
    """

    recordings: Mapping[str, DataSet]
    images: DataSet
    profile: str

    def __post_init__(self) -> None:
        self.images = self.images.first(train=2000, validation=200, test=100)
        self.protocol = Protocol() if self.profile == "paper" else Protocol(epochs=4)
        self.kernels = {
            name: _kernels(data, SIZES, self.protocol, 5) for name, data in self.recordings.items()
        }
        shown = (*self.recordings.values(), self.images)
        self.cards = {data.card.name: vars(data.card) for data in shown}
        self.offered = {
            "activations": describe_activations(),
            "border_tolerance": self.protocol.border_tolerance,
            "kernel_sizes": SIZES,
            "signals": {
                name: {
                    "label": f"{name}: {data.card.signal}, {data.card.source}",
                    "x": reports.rounded(data.test[0]),
                }
                for name, data in self.recordings.items()
            },
            "kernels": {
                name: {a: {m: kernel[0] for m, kernel in of.items()} for a, of in kernels.items()}
                for name, kernels in self.kernels.items()
            },
        }

    def signals(self) -> show.Shown:
        """A signal through a SAN, all of it to be changed."""
        return show.live(
            "playground",
            self.offered,
            label="fig-playground",
            caption="The playground: signal, kernel, similarity with its activations, and the "
            "place in the plane of φ. The first signals are test windows of the experiments; the "
            "trained kernels come from the training windows of the same recordings.",
        )

    def digits(self) -> show.Shown:
        """A drawing through SANs that were trained on digits."""
        protocol = dataclasses.replace(PROTOCOLS["mnist"], epochs=1)
        return show.live(
            "drawing",
            {
                "digits": [reports.rounded(x, 2) for x in self.images.test[:10]],
                "kernels": _kernels(self.images, SIZES_OF_IMAGES, protocol, 4),
                "activations": describe_activations(),
                "border_tolerance": protocol.border_tolerance,
            },
            label="fig-drawing",
            caption="A digit of yours through networks that were trained on "
            f"{len(self.images.train):,} images ({self.images.card.source}).",
        )

    def findings(self) -> show.Shown:
        """The SAN with the smallest φ on each window."""
        return show.findings(*map(self._best, self.recordings))

    def _best(self, name: str) -> str:
        x = self.recordings[name].test[:1].double()
        measured = []
        for activation, of_size in self.kernels[name].items():
            for m, kernel in of_size.items():
                model = SAN([m], activation, border_tolerance=self.protocol.border_tolerance)
                model.double().kernels[0].data = torch.tensor(kernel[0])
                measured.append((evaluate(model, x)[0, 2].item(), activation, m))
        phi, activation, m = min(measured)
        return (
            f"The window of {name} is described best by {NAMES[activation]} with a kernel of "
            f"{reports.counted(m, 'sample')}, of all networks offered here: φ = {phi:.2f}."
        )

    def write_results(self, results: str) -> None:
        """Leave what the page offers, for those who check it."""
        self.leave(results, "playground", cards=reports.cards(self.recordings), **self.offered)


def _kernels(data: DataSet, sizes, protocol: Protocol, decimals: int) -> dict[str, dict]:
    """Trained kernels ``(q, *(m,) * ndim)`` of each activation function and size."""
    swept = {a: sweep(data, a, sizes, seeds=[0], protocol=protocol) for a in ACTIVATIONS}
    return {
        a: {m: reports.rounded(trained.best[m, 0], decimals) for m in sizes}
        for a, trained in swept.items()
    }
