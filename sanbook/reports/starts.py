"""Three ways to start the kernels, compared on recordings, segments of EEG and images."""

import dataclasses
import math
from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from san_core import SAN, inverse_compression_ratio, normalized_loss, phi
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reports.procedure import APART, FUNCTIONS, PAIR
from sanbook.reproduction.procedure import best_of
from sanbook.reproduction.reference import describe_reference, read_reference
from sanbook.show.names import NAMES, START_WORDS
from sanbook.training import PROTOCOLS, Protocol, initial_san, orders_of_epochs, sweep
from sanbook.training.classifiers import CNN, FNN, classify_reconstructions

TITLES = {"normal": "normal", "constant": "0.1", "segment": "segment"}
STARTS = tuple(START_WORDS)
RESTARTS = (1, 2, 5, 10)
# A published kernel size of each data set with labels, at which the starts are compared.
CLASSES = {"uci_epilepsy": 15, "mnist": 3, "fashion_mnist": 3}
CLASSES_STARTS = ("normal", "segment")  # from equal weights two kernels stay equal
CLASSES_SEEDS = 2
VARIANTS = ("as published", "annealed distance", "adjoint decoding")
VARIANTS_SIZES = (17, 65, 129)  # odd, so that the flipped kernel is the adjoint
VARIANTS_SEEDS = 2


# --- computing ------------------------------------------------------------------------------------


def compare_classes(examples: DataSet, epochs: int) -> pd.DataFrame:
    """SANs and classifiers of a data set with labels from each start, a row for each run."""
    table = examples.card.name.replace("-", "_")
    m = CLASSES[table]
    network, parts = CNN if examples.train.ndim == 2 else FNN, []
    for init in CLASSES_STARTS:
        protocol = dataclasses.replace(PROTOCOLS[table], init=init, epochs=epochs)
        for activation in FUNCTIONS:
            swept = sweep(examples, activation, [m], seeds=range(CLASSES_SEEDS), protocol=protocol)
            rows, _ = classify_reconstructions(swept, examples, network)
            parts.append(rows[rows.rule == "best"].assign(activation=activation, init=init))
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(dataset=examples.card.name, data_source=examples.card.data_source)


class AdjointSAN(SAN):
    """A SAN that draws the template itself, not its mirror image: decoding is the adjoint.

    Only for kernels of odd size in one dimension.
    """

    def partial_reconstructions(self, a: Tensor) -> Tensor:
        """What each kernel draws, ``(B, q, n) -> (B, q, n)``."""
        kernels = [kernel.flip(0)[None, None] for kernel in self.kernels]
        drawn = [F.conv1d(a[:, [i]], kernel, padding="same") for i, kernel in enumerate(kernels)]
        return torch.cat(drawn, dim=1)


def train_variant(
    recording: DataSet, kernel_size: int, seed: int, variant: str, protocol: Protocol
) -> dict[str, float]:
    """Train one SAN with Extrema in plain torch, as published or with one change.

    Args:
        recording: The data, ``(B, n)`` each.
        kernel_size: m, odd.
        seed: Of the weights and of the order of the batches.
        variant: One of `VARIANTS`. "annealed distance" lowers the minimum distance between extrema
            by half a cosine, from twice its final value in the first epoch. "adjoint decoding"
            draws the template itself.
        protocol: See `sanbook.training.Protocol`.

    Returns:
        ``validation_phi`` and, on test, ``phi`` after the last epoch.
    """
    plain = initial_san(kernel_size, seed, "extrema", recording.train, protocol)
    kind = AdjointSAN if variant == "adjoint decoding" else SAN
    model = kind([kernel_size], "extrema", 1, protocol.border_tolerance)
    model.load_state_dict(plain.state_dict())
    distance = kernel_size - protocol.border_tolerance
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    orders = orders_of_epochs(len(recording.train), seed, protocol)
    for epoch, order in enumerate(orders):
        if variant == "annealed distance":
            share = 0.5 * (1 + math.cos(math.pi * epoch / max(1, protocol.epochs - 1)))
            model.border_tolerance = protocol.border_tolerance - round(share * distance)
        for batch in order.split(protocol.batch_size):
            x = recording.train[batch]
            optimizer.zero_grad()
            F.l1_loss(model(x), x).backward()
            optimizer.step()
    model.border_tolerance = protocol.border_tolerance
    return {
        "validation_phi": mean_phi(model, recording.validation),
        "phi": mean_phi(model, recording.test),
    }


@torch.no_grad()
def mean_phi(model: SAN, x: Tensor) -> float:
    """Mean phi of examples, by the methods of the model."""
    a = model.encode(x)
    inverse_cr = inverse_compression_ratio(a, model.num_weights, model.ndim)
    return phi(inverse_cr, normalized_loss(x, model.decode(a))).mean().item()


def compare_variants(recording: DataSet, epochs: int) -> pd.DataFrame:
    """Every variant on a recording, from normal weights: the size is chosen on validation."""
    protocol = dataclasses.replace(PROTOCOLS["physionet"], epochs=epochs)
    rows = [
        {"database": recording.card.name, "variant": variant, "seed": seed, "kernel_size": m}
        | train_variant(recording, m, seed, variant, protocol)
        for variant in VARIANTS
        for seed in range(VARIANTS_SEEDS)
        for m in VARIANTS_SIZES
    ]
    rows = pd.DataFrame(rows).assign(data_source=recording.card.data_source)
    return rows.loc[rows.groupby(["variant", "seed"]).validation_phi.idxmin()]


# --- showing --------------------------------------------------------------------------------------


class Starts(reports.Page):
    """The reference results of the three starts, and what this build computes."""

    def __init__(self, profile: str) -> None:
        self.profile, self.cards = profile, {}
        self.parts = {"starts_classes": [], "variants": []}
        rows = read_reference("starts")
        self.rows = rows[rows.activation.isin(FUNCTIONS)]
        self.recordings = list(self.rows.database.unique())
        self.seeds = self.rows.seed.nunique()
        self.phi = self.rows.groupby([*PAIR, "init"]).phi.mean().unstack()[list(STARTS)]

    def findings(self) -> show.Shown:
        """Which start is best, what restarts add, and where a start does harm."""
        mean = self.phi.mean()
        best = mean.idxmin()
        said = ", ".join(f"{mean[init]:.3f} from {START_WORDS[init]}" for init in STARTS)
        loss = (self.phi[best] - self.phi.drop(columns=best).min(axis=1)).sort_values()
        database, activation = loss.index[-1]
        compared = ""
        if self.seeds >= 6:
            compared = (
                " Two networks of each start reach "
                f"{self.restarts_of(STARTS, 2):.3f}, and six networks of the best start alone "
                f"{self.restarts_of([best], 6):.3f}, at equal cost."
            )
        return show.findings(
            f"Mean φ̄ on {len(self.recordings)} recordings and four functions is {said}, with the "
            f"kernel size chosen on validation. {describe_reference()}",
            f"The start with the smallest mean is not the best everywhere: on {database} with "
            f"{NAMES[activation]}, {START_WORDS[best]} give a φ̄ that is {loss.iloc[-1]:.2f} larger "
            "than the φ̄ of the best other start.",
            "One network of each start is trained, and one of the three is chosen on validation: "
            f"the mean φ̄ is {self.restarts_of(STARTS, 1):.3f}.{compared}",
        )

    def restarts_of(self, inits: Sequence[str], count: int) -> float:
        """Mean test phi of the best by validation of ``count`` seeds of each of some starts."""
        teams = best_of(self.rows[self.rows.init.isin(inits)], count)
        place = teams.sort_values("seed").groupby([*PAIR, "init"]).cumcount()
        teams = teams.assign(team=place)
        chosen = teams.loc[teams.groupby([*PAIR, "team"]).validation_phi.idxmin()]
        return chosen.groupby(PAIR).phi.mean().mean()

    def table(self) -> show.Shown:
        """phi by function and start, with the number of recordings where each start is best."""
        near = self.phi.le(self.phi.min(axis=1) + APART, axis=0).groupby("activation").sum()
        means = self.phi.groupby("activation").mean()
        sizes = self.rows.groupby(["activation", "init"]).bytes.mean().unstack()
        of_all = f"{{}} of {len(self.recordings)}".format
        table = {
            **{f"φ̄, {TITLES[init]}": means[init] for init in STARTS},
            **{f"best, {TITLES[init]}": near[init].map(of_all) for init in STARTS},
            **{f"bytes, {TITLES[init]}": sizes[init].map("{:.0f}".format) for init in STARTS},
        }
        table = pd.DataFrame(table).loc[FUNCTIONS].rename(index=NAMES).rename_axis("function")
        return show.table(
            table.reset_index(),
            name="tab-starts",
            caption=f"Mean φ̄ on test over {len(self.recordings)} recordings and {self.seeds} seeds "
            f"from each start. Best: recordings on which a start is best or within {APART:g} of "
            "the best. Bytes: mean true size of a test window of 1,000 samples (2,000 bytes as "
            "stored), its kernel included.",
        )

    def restarts(self) -> show.Shown:
        """What restarts alone give at equal cost."""
        inits = {START_WORDS[init]: [init] for init in STARTS} | {"each start": STARTS}
        rows = [
            {"networks": f"{count} {'of' if len(some) > 1 else 'from'} {words}",
             "trainings": count * len(some), "φ̄": self.restarts_of(some, count)}
            for words, some in inits.items()
            for count in RESTARTS
            if count <= self.seeds
        ]  # fmt: skip
        return show.table(
            pd.DataFrame(rows),
            sortable=True,
            name="tab-restarts",
            caption="Mean φ̄ on test of the network that is best on validation among several, over "
            f"{len(self.recordings)} recordings and four functions. Trainings: sweeps over the "
            "kernel sizes that the choice costs.",
        )

    def recordings_table(self) -> show.Shown:
        """Every recording and function."""
        table = self.phi.reset_index()
        table["activation"] = table.activation.map(NAMES)
        apart = self.phi.segment - self.phi[["normal", "constant"]].min(axis=1)
        table["segment against the better other"] = apart.map("{:+z.3f}".format).to_numpy()
        return show.table(
            table.rename(columns={init: f"φ̄, {title}" for init, title in TITLES.items()}),
            sortable=True,
            name="tab-starts-recordings",
            caption=f"Mean φ̄ on test over {self.seeds} seeds, by recording and function. Kernel "
            "size and epoch are chosen on validation.",
        )

    def harm(self) -> show.Shown:
        """Where the choice on validation goes wrong: test beside validation."""
        means = self.rows.groupby([*PAIR, "init"])[["validation_phi", "phi"]].mean()
        gap = (means.phi - means.validation_phi).sort_values(ascending=False).head(6)
        names = {"activation": "function", "init": "start", "validation_phi": "φ̄ on validation",
                 "phi": "φ̄ on test"}  # fmt: skip
        table = means.loc[gap.index].rename(index=NAMES | TITLES).reset_index()
        return show.table(
            table.rename(columns=names),
            name="tab-harm",
            caption="The six largest gaps between validation, where the kernel size is chosen, and "
            "test.",
        )

    def classes(self) -> show.Shown:
        """Segments of EEG and images from normal weights and from patches."""
        rows = read_reference("starts_classes")
        each = rows.groupby(["dataset", "activation", "init"], sort=False)
        forms = {"phi": ("φ̄", "{:.3f}"), "accuracy_percent": ("accuracy (%)", "{:.1f}"),
                 "dead": ("dead", "{}")}  # fmt: skip
        found = each.agg({"phi": "mean", "accuracy_percent": "mean", "dead": "sum"}).unstack()
        table = {
            f"{name}, {TITLES[init]}": found[column, init].map(form.format)
            for column, (name, form) in forms.items()
            for init in CLASSES_STARTS
        }
        table = pd.DataFrame(table).rename(index=NAMES).rename_axis(["data", "function"])
        sizes = ", ".join(f"{m} for {name.replace('_', '-')}" for name, m in CLASSES.items())
        return show.table(
            table.reset_index(),
            name="tab-starts-classes",
            caption=f"Two kernels from normal weights and from segments of the training data "
            f"(patches of images), {CLASSES_SEEDS} seeds each, dead networks included. m is "
            f"{sizes}.",
        )

    def variants(self) -> show.Shown:
        """The two changes that the paper's outlook suggests."""
        rows = read_reference("variants")
        phi_of = rows.groupby(["database", "variant"]).phi.mean().unstack()[list(VARIANTS)]
        best = phi_of.idxmin(axis=1).value_counts().reindex(list(VARIANTS), fill_value=0)
        table = {
            "variant": VARIANTS,
            "φ̄": phi_of.mean().array,
            "best on": [f"{count} of {len(phi_of)}" for count in best],
        }
        return show.table(
            pd.DataFrame(table),
            name="tab-variants",
            caption=f"Extrema from normal weights: mean φ̄ on test over {len(phi_of)} recordings "
            f"and {VARIANTS_SEEDS} seeds, m of {', '.join(map(str, VARIANTS_SIZES))} chosen on "
            "validation, after 30 epochs.",
        )

    def add(self, name: str, card, rows: pd.DataFrame) -> None:
        """Keep rows of this build, "starts_classes" or "variants", for the reference results."""
        self.cards[card.name] = vars(card)
        self.parts[name].append(rows)

    def write_results(self, results: str) -> None:
        """Leave starts.json for the reference results; nothing without a folder."""
        tables = {
            name: pd.concat(parts, ignore_index=True).round(5)
            for name, parts in self.parts.items()
            if parts
        }
        self.leave(results, "starts", **tables)
