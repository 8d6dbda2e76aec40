"""What every loader of data returns: three parts as tensors, and a card that says what they are.

Axes: B examples, n samples; a set of signals is (B, n), one of images (B, height, width).
"""

import dataclasses
from typing import TYPE_CHECKING

from sanbook.data.manifest import Source

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where the numbers of a data set come from.

    `source` is one of

    - "real": the paper's data, every byte known by its hash;
    - "unverified": what claims to be the paper's data, but no hash is known to verify it by;
    - "substitute": another recording or channel of the same database;
    - "simulated": simulated data;
    - "own": a reader's own signal (`sanbook.signals.windows.load_signal`).

    `note` says so in sentences for a page. `sampling_rate` is in Hz, None for images; `version` is
    that of the official source; `origin` is whose bytes the files have: "official", "copy",
    "substitute" or "unverified"; both are None for what is simulated or own. `sha256` maps the name
    of each file read to its hash. A recording has a `record` and a `channel`; simulated data have a
    `simulator` and a `seed` instead. `classes` are the names that labels count; `blank` is how many
    examples of each part were left out because they are zero everywhere, where the metric is not
    defined.
    """

    name: str
    signal: str
    sampling_rate: float | None
    units: str
    source: str
    note: str
    version: str | None = None
    origin: str | None = None
    record: str | None = None
    channel: str | None = None
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)
    simulator: str | None = None
    seed: int | None = None
    classes: tuple[str, ...] = ()
    blank: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def data_source(self) -> str:
        """The source in a few words, as result records give it, such as "substitute: f1 PCG"."""
        if self.source in ("real", "own"):
            return self.source
        if self.source == "simulated":
            return f"simulated: {self.simulator}"
        return f"{self.source}: {self.record} {self.channel}" if self.record else self.source


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """Three parts of a data set, float32 ``(B, *spatial)``, their labels and their card.

    `labels` are int64 (B,) for each part, numbers of `card.classes`; None for a recording.
    """

    train: "Tensor"
    validation: "Tensor"
    test: "Tensor"
    card: Provenance
    labels: dict[str, "Tensor"] | None = None

    def first(self, train: int, validation: int, test: int) -> "DataSet":
        """A copy of the first examples of each part, to try something quickly."""
        counts = {"train": train, "validation": validation, "test": test}
        # A view would keep all the others in memory.
        parts = {part: getattr(self, part)[:count].clone() for part, count in counts.items()}
        labels = self.labels and {part: self.labels[part][:n] for part, n in counts.items()}
        return dataclasses.replace(self, **parts, labels=labels)


def simulated(source: Source, simulator: str, reason: str, **facts) -> Provenance:
    """The provenance of simulated data: how they were made, and why they are used."""
    replaced = f"the paper's record {source.record}" if source.record else source.title
    return Provenance(
        name=source.name,
        signal=source.signal,
        sampling_rate=source.sampling_rate,
        source="simulated",
        note=f"Simulated data in place of {replaced}: {simulator}, because {reason}.",
        simulator=simulator,
        seed=source.seed,
        **facts,
    )
