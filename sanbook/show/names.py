"""What things are called and how they are coloured, in the order of the paper."""

from collections.abc import Sequence

# The names of `san_core.ACTIVATIONS` as a reader sees them.
NAMES = {
    "identity": "Identity",
    "relu": "ReLU",
    "top-k absolutes": "top-k absolutes",
    "extrema-pool indices": "Extrema-Pool indices",
    "extrema": "Extrema",
}
# Okabe and Ito's colours, which colour-blind readers can tell apart, one per activation function.
COLORS = dict(zip(NAMES, ["#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00"], strict=True))
# The starts of `sanbook.training.INITS`: the two of the published runs, and one that is ours.
START_WORDS = {"normal": "normal weights", "constant": "weights of 0.1",
               "segment": "segments of the signal"}  # fmt: skip
METRICS = {
    "inverse_compression_ratio": "CR⁻¹",
    "normalized_reconstruction_loss": "L̃",
    "phi": "φ̄",
}


def describe_activations() -> dict[str, dict[str, str]]:
    """Name and colour of each activation function, for a live figure."""
    # Black would not be seen in the dark theme.
    shown = {**COLORS, "identity": "var(--pst-color-text-base)"}
    return {name: {"label": NAMES[name], "color": shown[name]} for name in NAMES}


def over_seeds(seeds: Sequence[int]) -> str:
    """How many seeds a number is of.

    >>> over_seeds([4]), over_seeds([0, 1, 2])
    ('one seed', 'means over 3 seeds')
    """
    return "one seed" if len(seeds) == 1 else f"means over {len(seeds)} seeds"
