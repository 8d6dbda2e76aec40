"""What things are called and how they are coloured, in the order of the paper."""

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
METRICS = {
    "inverse_compression_ratio": "CR⁻¹",
    "normalized_reconstruction_loss": "L̃",
    "phi": "φ̄",
}
