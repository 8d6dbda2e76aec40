"""The compiled loops of `sanbook.training.loops` for tensors and SANs.

Axes as in `san_core` and `sanbook.training.loops`.
"""

import numpy as np
import torch
from torch import Tensor

import san_core
from san_core import ACTIVATION_FUNCTIONS, SAN, sparsity_density
from sanbook.training import loops
from sanbook.training.loops import Layout, layout_of

_KINDS = {
    san_core.identity: loops.IDENTITY,
    san_core.relu: loops.RELU,
    san_core.topk_absolutes: loops.TOPK,
    san_core.extrema_pool_indices: loops.POOL,
    san_core.extrema: loops.EXTREMA,
}


def kind_of(activation: str) -> int | None:
    """The number of an activation function that the loops know, None for any other.

    A name counts by its function, whatever sparsity density is registered beside it.
    """
    function, _ = ACTIVATION_FUNCTIONS.get(activation, (None, None))
    return _KINDS.get(function)


def as_images(x: Tensor) -> np.ndarray:
    """Examples ``(B, *spatial)`` as the loops want them, ``(B, H, W)``; copied if they must be."""
    images = x if x.ndim == 3 else x.unsqueeze(1)
    return images.detach().contiguous().numpy()


def train(
    model: SAN, images: np.ndarray, orders: np.ndarray, batch_size: int, learning_rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Train a copy of the kernels of a SAN on images, or signals, ``(B, H, W)``.

    ``orders`` ``(E, B)`` are the examples of each epoch, one after the other. All kernels have one
    size. Returns the kernels after each epoch, ``(E, q, *(m,) * ndim)``, and for each example in
    its batch, before the step, the number of its activations and its normalized loss, ``(E, B)``.
    """
    kernels, d, layout = _describe(model, images)
    after_epoch = np.empty((len(orders), *kernels.shape), np.float32)
    activations, losses = loops.train(
        images, orders, batch_size, kernels, kind_of(model.activation), d, learning_rate, layout,
        after_epoch,
    )  # fmt: skip
    after_epoch = torch.from_numpy(after_epoch).view(-1, len(kernels), *model.kernels[0].shape)
    return after_epoch, torch.from_numpy(activations), torch.from_numpy(losses)


def code(
    model: SAN, images: np.ndarray, kernels: Tensor | None = None, x_hat: np.ndarray | None = None
) -> tuple[Tensor, Tensor]:
    """Activations and normalized loss of each image ``(B, H, W)``, each ``(E, B)``.

    ``kernels`` are E sets, ``(E, q, *(m,) * ndim)``, to be used in place of those of the model.
    The reconstructions are written to ``x_hat``, ``(B, H, W)``, if it is given.
    """
    own, d, layout = _describe(model, images)
    sets = own[None] if kernels is None else kernels.numpy().reshape(-1, *own.shape)
    x_hat = images[:0] if x_hat is None else x_hat
    activations, losses = loops.code(images, sets, kind_of(model.activation), d, layout, x_hat)
    return torch.from_numpy(activations), torch.from_numpy(losses)


def _describe(model: SAN, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, Layout]:
    """A SAN as the loops want it: its kernels (q, R, m), their sparsity densities, the layout.

    Smaller kernels are padded to the size of the largest, around a common centre.
    """
    spatial = images.shape[-model.ndim :]
    sizes = [len(kernel) for kernel in model.kernels]
    layout = layout_of(spatial, max(sizes))
    kernels = np.zeros((len(sizes), layout.rows, layout.taps), np.float32)
    d = np.zeros(len(sizes), np.int64)
    for k, (size, kernel) in enumerate(zip(sizes, model.kernels, strict=True)):
        first = (layout.taps - 1) // 2 - (size - 1) // 2
        rows = slice(first, first + size) if model.ndim == 2 else slice(None)
        kernels[k, rows, first : first + size] = kernel.detach().numpy()
        density = sparsity_density(model.activation, size, spatial, model.border_tolerance)
        d[k] = density or 0  # dense functions have none
    return kernels, d, layout
