"""A live figure with a slider for the kernel size: what each trained SAN makes of an example."""

import pandas as pd
import torch

from san_core import SAN, inverse_compression_ratio, normalized_loss, phi
from sanbook import show
from sanbook.reports import rounded
from sanbook.show.names import describe_activations


def explorer(
    label: str,
    examples: str,
    x: torch.Tensor,
    points: pd.DataFrame,
    models: dict[str, dict[int, SAN]],
    chosen: dict[str, int],
    first: str,
) -> show.Shown:
    """Any of the trained SANs on one example.

    Args:
        label: The data set: its name, a colon, and what it is.
        examples: What the data set holds, "windows" or "images".
        x: The first test example, ``(n,)`` or ``(height, width)``.
        points: Means over all test examples: activation, kernel_size and the three metrics.
        models: A SAN of each activation function and kernel size.
        chosen: The kernel size with which each activation function starts.
        first: The activation function with which the figure starts.
    """
    name = label.partition(":")[0]
    order = ["normalized_reconstruction_loss", "inverse_compression_ratio", "phi"]
    networks = {}
    for activation, of_size in models.items():
        of_activation = points[points.activation == activation].set_index("kernel_size")
        of_activation = of_activation[order].round(4)
        networks[activation] = {
            "chosen": chosen[activation],
            "kernels": {m: [rounded(w) for w in model.kernels] for m, model in of_size.items()},
            "metrics": {m: of_activation.loc[m].to_numpy() for m in of_size},
            "points": of_activation[order[:2]].to_numpy(),
        }
        if x.ndim == 2:
            networks[activation]["maps"] = {m: _maps(model, x) for m, model in of_size.items()}
    return show.live(
        "explorer",
        label=f"fig-explorer-{name}",
        caption=f"Any of the networks on the first of the test {examples} of {label}: choose an "
        "activation function and a kernel size.",
        data={
            "activations": describe_activations(),
            "border_tolerance": models[first][chosen[first]].border_tolerance,
            "label": label,
            "examples": examples,
            "example": rounded(x),
            "kernel_sizes": sorted(models[first]),
            "first": first,
            "networks": networks,
        },
    )


def _maps(model: SAN, x: torch.Tensor) -> dict:
    """What a SAN makes of one image ``(height, width)``."""
    with torch.no_grad():
        s, a = model.similarities(x[None]), model.encode(x[None])
        x_hat = model.decode(a)
    inverse_cr = inverse_compression_ratio(a, model.num_weights, ndim=2)
    loss = normalized_loss(x[None], x_hat)
    metrics = torch.cat([loss, inverse_cr, phi(inverse_cr, loss)])
    return {
        "s": rounded(s[0], 3),
        "kept": (a[0] != 0).int().numpy(),
        "activations": int(a.count_nonzero()),
        "x_hat": rounded(x_hat[0], 3),
        "metrics": rounded(metrics),
    }
