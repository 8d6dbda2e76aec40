"""Sparsely Activated Networks (SANs): the paper as code.

P. Bizopoulos and D. Koutsouris, *Sparsely Activated Networks*, arXiv 1907.06592,
doi 10.1109/TNNLS.2020.2984514. The order is that of the article: the metric phi (Sec. II), the
five activation functions (Sec. III-A), the network (Sec. III-B). Equation names such as
``eq-phi`` are labels in the book's lessons 1 to 3, which lie in notebooks/learn.

Axes, the same letters everywhere:

- ``B``: examples of a batch; ``q``: kernels of one network
- ``n``: samples of one example; ``m``: kernel size along one axis, a kernel is (m,) or (m, m)
- ``*spatial``: (n,) for signals (``ndim=1``), (height, width) for images (``ndim=2``)

An activation function takes similarity maps ``(..., *spatial)`` and treats each map on its own. It
keeps some entries with their values and gradients and sets the others to 0.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# --- Section II: the metric phi -------------------------------------------------------------------


def inverse_compression_ratio(a: Tensor, num_weights: int, ndim: int = 1) -> Tensor:
    r"""Description length of the activations and the weights, relative to that of the data.

    .. math:: CR^{-1} = \frac{W + (\mathrm{dim} + 1) \sum_i \|a_i\|_0}{n}

    Every non-zero activation costs its amplitude and its ``ndim`` coordinates. (``eq-inverse-cr``,
    Sec. II. ``W`` counts every sample of a kernel; the published 2D tables count ``m`` instead of
    ``m * m``.)

    ``a`` is ``(B, q, *spatial)``, ``num_weights`` is ``W``, the samples of all kernels together.
    Returns ``(B,)``, at least 0; 1 is as verbose as the data. ValueError if ``a`` has other axes.

    >>> a = torch.tensor([[[0.0, 3.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]])
    >>> inverse_compression_ratio(a, num_weights=3)  # (3 + 2 * 2) / 10
    tensor([0.7000])
    """
    _check_rank(a, ndim, leading="B, q", exactly=True)
    counts = a.count_nonzero(dim=tuple(range(1, a.ndim)))  # (B,)
    return inverse_compression_ratio_from_counts(counts, num_weights, a[0, 0].numel(), ndim)


def inverse_compression_ratio_from_counts(counts, num_weights, n: int, ndim: int = 1):
    """CR^-1 of examples whose non-zero activations are counted (``eq-inverse-cr``, Sec. II).

    ``counts`` are the non-zero activations of each example and ``num_weights`` is ``W``: numbers or
    tensors that broadcast. ``n`` are the samples of one example.

    >>> inverse_compression_ratio_from_counts(2, num_weights=3, n=10)
    0.7
    """
    return (num_weights + (ndim + 1) * counts) / n


def normalized_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    r"""Mean absolute error of a reconstruction, relative to that of predicting zeros.

    .. math:: \tilde{L} = \frac{\mathcal{L}(\hat{x}, x)}{\mathcal{L}(0, x)}
              = \frac{\sum |\hat{x} - x|}{\sum |x|}

    (``eq-normalized-loss``, Sec. II.)

    ``x`` and ``x_hat`` are ``(B, *spatial)``. Returns ``(B,)``, at least 0; 1 is no better than
    predicting zeros. ValueError if the shapes differ, an example is zero everywhere (the ratio is
    undefined), or a reconstruction is not finite (the training diverged).

    >>> normalized_loss(torch.tensor([[2.0, -2.0]]), torch.tensor([[1.0, -2.0]]))
    tensor([0.2500])
    """
    if x.shape != x_hat.shape:
        raise ValueError(f"x_hat must have the shape of x, {(*x.shape,)}, but is {(*x_hat.shape,)}")
    axes = tuple(range(1, x.ndim))
    scale = x.abs().sum(dim=axes)  # (B,)
    if blank := (scale == 0).nonzero().flatten().tolist():
        raise ValueError(
            f"the loss relative to zeros is undefined: examples {blank} of {len(x)} are zero "
            "everywhere; leave them out and say so"
        )
    loss = (x_hat - x).abs().sum(dim=axes) / scale
    if broken := (~loss.isfinite()).nonzero().flatten().tolist():
        raise ValueError(
            f"the loss must be finite, but examples {broken} of {len(x)} give NaN or infinity; "
            "check x for non-finite samples and the training for divergence"
        )
    return loss


def phi(inverse_cr: Tensor, loss: Tensor) -> Tensor:
    r"""The metric phi (flithos): distance from a free and perfect description.

    .. math:: \varphi = \sqrt{(CR^{-1})^2 + \tilde{L}^2}

    (``eq-phi``, Sec. II.) A set is scored by the mean of phi over its examples, not by the phi of
    the means. phi has no useful gradient: train with the loss, select with phi.

    Both arguments and the result are ``(B,)``, at least 0; smaller is better.

    >>> phi(torch.tensor([0.3]), torch.tensor([0.4]))
    tensor([0.5000])
    """
    return torch.hypot(inverse_cr, loss)


# --- Section III-A: the activation functions ------------------------------------------------------


def identity(s: Tensor) -> Tensor:
    """Keep every similarity, ``a = s``: the dense reference (``eq-identity``, Sec. III-A1).

    >>> identity(torch.tensor([1.0, -3.0, 2.0, 0.5]))
    tensor([ 1.0000, -3.0000,  2.0000,  0.5000])
    """
    return s


def relu(s: Tensor) -> Tensor:
    """Keep the positive similarities, ``a = max(s, 0)`` (``eq-relu``, Sec. III-A2).

    >>> relu(torch.tensor([1.0, -3.0, 2.0, 0.5]))
    tensor([1.0000, 0.0000, 2.0000, 0.5000])
    """
    return torch.relu(s)


def topk_absolutes(s: Tensor, k: int, ndim: int = 1) -> Tensor:
    """Keep the ``k`` entries of largest ``|s|`` of each map (``eq-topk``, Sec. III-A3).

    ``s`` and the result are ``(..., *spatial)``. Ties go to the lower index (row-major). ValueError
    unless ``1 <= k <= n``, or if ``s`` has fewer than ``ndim`` axes.

    >>> topk_absolutes(torch.tensor([1.0, -3.0, 2.0, 0.5]), k=2)
    tensor([ 0., -3.,  2.,  0.])
    """
    _check_rank(s, ndim)
    maps = s.flatten(-ndim)  # (..., n)
    n = maps.shape[-1]
    if not 1 <= k <= n:
        raise ValueError(f"k must lie in 1..{n}, the number of samples of a map, but k={k}")
    strongest_first = maps.abs().argsort(dim=-1, descending=True, stable=True)
    kept = torch.zeros_like(maps, dtype=torch.bool).scatter(-1, strongest_first[..., :k], True)
    return torch.where(kept, maps, 0.0).view_as(s)


def extrema_pool_indices(s: Tensor, cell: int, ndim: int = 1) -> Tensor:
    """Keep the entry of largest ``|s|`` of each cell (``eq-extrema-pool``, Sec. III-A4).

    ``s`` and the result are ``(..., *spatial)``. Each map is cut into cells of ``cell`` samples
    (``cell x cell`` in 2D) from the first sample on; samples after the last whole cell lie in no
    cell and become 0. Ties go to the lower index. ValueError unless ``cell`` lies in 1..shortest
    side, or if ``s`` has fewer than ``ndim`` axes.

    >>> extrema_pool_indices(torch.tensor([1.0, -3.0, 2.0, 0.5, 9.0]), cell=2)
    tensor([ 0., -3.,  2.,  0.,  0.])
    """
    _check_rank(s, ndim)
    spatial = s.shape[-ndim:]
    shortest = min(spatial)
    if not 1 <= cell <= shortest:
        raise ValueError(f"cell must lie in 1..{shortest}, the shortest side, but cell={cell}")
    pool = F.max_pool1d if ndim == 1 else F.max_pool2d
    maps = s.reshape(-1, 1, *spatial)  # pooling wants (batch, channel, *spatial)
    _, strongest = pool(maps.detach().abs(), cell, return_indices=True)
    kept = torch.zeros_like(maps, dtype=torch.bool).flatten(1)
    kept = kept.scatter(1, strongest.flatten(1), True).view(s.shape)
    return torch.where(kept, s, 0.0)


def extrema(s: Tensor, min_distance: int, ndim: int = 1) -> Tensor:
    """Keep peaks and valleys that survive greedy non-maximum suppression (``eq-extrema``).

    `is_extremum` defines peaks and valleys. The strongest of them (largest ``|s|``, ties to the
    lower index, row-major) is kept and suppresses all others within ``min_distance`` samples along
    every axis, inclusive; then the strongest of the rest, and so on. (Sec. III-A5.)

    ``s`` and the result are ``(..., *spatial)``. ValueError if ``min_distance < 1``, ``s`` has
    fewer than ``ndim`` axes or is not finite.

    >>> extrema(torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0, 0.5]), min_distance=2)
    tensor([ 0.,  3.,  0.,  0., -1.,  0.])
    """
    _check_rank(s, ndim)
    if min_distance < 1:
        raise ValueError(f"min_distance must be at least 1 sample, but is {min_distance}")
    if not s.isfinite().all():
        raise ValueError("s must be finite, but has NaN or infinite entries; did training diverge?")
    spatial = s.shape[-ndim:]
    reach = min(min_distance, max(spatial))
    pool = F.max_pool1d if ndim == 1 else F.max_pool2d

    def largest_within_reach(maps: Tensor) -> Tensor:
        return pool(maps, kernel_size=2 * reach + 1, stride=1, padding=reach)

    maps = s.detach().reshape(-1, 1, *spatial)  # pooling wants (batch, channel, *spatial)
    strongest_first = maps.flatten(1).abs().argsort(dim=1, descending=True, stable=True)
    # No two entries of a map share a rank; the strongest has rank n, what is no extremum has 0.
    rank = strongest_first.argsort(dim=1).neg().add(strongest_first.shape[1]).double()
    undecided = rank.view_as(maps) * is_extremum(maps, ndim)
    kept = torch.zeros_like(maps, dtype=torch.bool)
    # The order only matters within reach, so every local maximum of the ranks is kept at once.
    while undecided.any():
        maxima = (undecided > 0) & (undecided == largest_within_reach(undecided))
        kept |= maxima
        undecided *= largest_within_reach(maxima.double()) == 0
    return torch.where(kept.view(s.shape), s, 0.0)


def is_extremum(s: Tensor, ndim: int = 1) -> Tensor:
    """Where peaks and valleys are, before any is suppressed (``eq-extrema``, Sec. III-A5).

    A peak is positive, higher than the sample before and not lower than the one after. A valley is
    not positive, not higher than the sample before and lower than the one after. The map goes on
    flat beyond its borders: its first sample can be a valley, its last a peak. In 2D the condition
    holds along both axes.

    ``(..., *spatial)`` in, booleans of the same shape out.

    >>> is_extremum(torch.tensor([0.0, 3.0, 3.0, -1.0, -1.0, 2.0])).int()
    tensor([1, 1, 0, 0, 1, 1], dtype=torch.int32)
    """
    positive = s > 0
    extremum = torch.ones_like(positive)
    for axis in range(-ndim, 0):
        rises = s.diff(dim=axis) > 0  # one entry less along the axis
        border = [0, 0] * (-1 - axis)  # F.pad counts axes from the last; it pads False: flat
        rises_before, rises_after = F.pad(rises, [*border, 1, 0]), F.pad(rises, [*border, 0, 1])
        extremum &= (rises_before == positive) & (rises_after != positive)
    return extremum


#: The names of the paper's five, in its order.
ACTIVATIONS = ("identity", "relu", "top-k absolutes", "extrema-pool indices", "extrema")

#: The activation functions by name: the function of the similarities, the sparsity density ``d``
#: and ``ndim``; and ``d`` as a function of the kernel size ``m``, the spatial shape and the border
#: tolerance. A dense function has no density, so it takes the similarities alone. "Contributing"
#: shows how to register one of your own.
#:
#: :meta hide-value:
ACTIVATION_FUNCTIONS: dict[str, tuple[Callable[..., Tensor], Callable[..., int] | None]] = {
    "identity": (identity, None),
    "relu": (relu, None),
    "top-k absolutes": (
        topk_absolutes,
        lambda m, spatial, border_tolerance: math.prod(side // m for side in spatial),
    ),
    "extrema-pool indices": (extrema_pool_indices, lambda m, spatial, border_tolerance: m),
    "extrema": (extrema, lambda m, spatial, border_tolerance: max(m - border_tolerance, 1)),
}


def sparsity_density(
    activation: str, kernel_size: int, spatial: Sequence[int], border_tolerance: int = 2
) -> int | None:
    """The sparsity density ``d`` of an activation function, which follows from ``m`` (Sec. III-A).

    Top-k keeps ``floor(side / m)`` entries (in 2D the product over both sides), extrema-pool has
    cells of ``m``, extrema a minimum distance of ``max(m - border_tolerance, 1)``: a tolerance of
    ``t`` lets kernels overlap by ``t - 1`` samples. (The article's text has no border tolerance in
    the distance; its code and its published numbers have.) None for a dense function.

    ``spatial`` is the shape of one map. ValueError if ``activation`` is not in
    `ACTIVATION_FUNCTIONS` or ``kernel_size < 1``.

    >>> sparsity_density("top-k absolutes", kernel_size=3, spatial=(28, 28))
    81
    >>> sparsity_density("extrema", kernel_size=7, spatial=(1000,), border_tolerance=3)
    4
    """
    if kernel_size < 1:
        raise ValueError(f"kernel_size must be at least 1 sample, but is {kernel_size}")
    _, density = _registered(activation)
    return density and density(kernel_size, tuple(spatial), border_tolerance)


def activate(s: Tensor, activation: str, d: int | None, ndim: int = 1) -> Tensor:
    r"""Apply an activation function, ``a = \phi(s, d)`` (``eq-activation``, Sec. III-A).

    ``s`` and the result are ``(..., *spatial)``; ``d`` is from `sparsity_density`. ValueError if
    ``activation`` is not in `ACTIVATION_FUNCTIONS`, or as the activation function itself.

    >>> activate(torch.tensor([1.0, -3.0, 2.0, 0.5]), "top-k absolutes", d=1)
    tensor([ 0., -3.,  0.,  0.])
    """
    function, _ = _registered(activation)
    return function(s) if d is None else function(s, d, ndim)


def _registered(activation: str) -> tuple[Callable[..., Tensor], Callable[..., int] | None]:
    if activation not in ACTIVATION_FUNCTIONS:
        raise ValueError(
            f"activation must be one of {list(ACTIVATION_FUNCTIONS)}, but is {activation!r}"
        )
    return ACTIVATION_FUNCTIONS[activation]


# --- Section III-B: the network -------------------------------------------------------------------


class SAN(nn.Module):
    r"""A Sparsely Activated Network: one layer, the same kernels to encode and to decode.

    .. math:: s_i = x * w_i, \quad a_i = \phi(s_i, d_i), \quad r_i = a_i * w_i, \quad
              \hat{x} = \sum_i r_i

    (``eq-similarity``, ``eq-activation``, ``eq-partial``, ``eq-reconstruction``, Sec. III-B.)
    As in the published code ``*`` is cross-correlation with zeros beyond the borders, so a pattern
    is drawn as the mirror image of the template that was matched.

    Args:
        kernel_sizes: ``m`` of each kernel, at least 1; even ones too.
        activation: a name in `ACTIVATION_FUNCTIONS`.
        ndim: 1 for signals, 2 for images.
        border_tolerance: in samples; see `sparsity_density`.
        init: ``"normal"`` draws weights from N(0, 0.1^2), as the article says; ``"constant"`` sets
            them to 0.1, as its code does (equal kernels then stay equal for ever).
        generator: source of the normal weights; ``None`` uses torch's own.

    Raises:
        ValueError: an argument is none of those above.

    >>> model = SAN([7], "top-k absolutes", generator=torch.Generator().manual_seed(0))
    >>> x = torch.sin(torch.arange(100.0) / 5).expand(3, 100)  # (B, n)
    >>> model.encode(x).shape, model(x).shape, model.num_weights
    (torch.Size([3, 1, 100]), torch.Size([3, 100]), 7)
    """

    def __init__(
        self,
        kernel_sizes: Sequence[int],
        activation: str,
        ndim: int = 1,
        border_tolerance: int = 2,
        init: str = "normal",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not len(kernel_sizes) or min(kernel_sizes) < 1:
            sizes = list(kernel_sizes)
            raise ValueError(
                f"kernel_sizes must be one or more of at least 1 sample, but are {sizes}"
            )
        _registered(activation)
        if ndim not in (1, 2):
            raise ValueError(f"ndim must be 1 (signals) or 2 (images), but is {ndim}")
        if init not in ("normal", "constant"):
            raise ValueError(f"init must be 'normal' or 'constant', but is {init!r}")
        self.activation, self.ndim, self.border_tolerance = activation, ndim, border_tolerance
        self.kernels = nn.ParameterList()  # (m,) or (m, m) each
        for kernel_size in kernel_sizes:
            shape = (kernel_size,) * ndim
            if init == "normal":
                weights = torch.normal(0.0, 0.1, shape, generator=generator)
            else:
                weights = torch.full(shape, 0.1)
            self.kernels.append(nn.Parameter(weights))

    @property
    def num_weights(self) -> int:
        """The samples of all kernels together, ``W``."""
        return sum(kernel.numel() for kernel in self.kernels)

    def similarities(self, x: Tensor) -> Tensor:
        """Similarity maps ``s_i = x * w_i``, ``(B, *spatial) -> (B, q, *spatial)``.

        ValueError if ``x`` has other axes, or a kernel is larger than an example.
        """
        _check_rank(x, self.ndim, leading="B", exactly=True)
        return torch.stack([_correlate(x, w) for w in self.kernels], dim=1)

    def encode(self, x: Tensor) -> Tensor:
        """Activation maps ``a_i = phi(s_i, d_i)``, ``(B, *spatial) -> (B, q, *spatial)``."""
        maps = []
        for s, w in zip(self.similarities(x).unbind(dim=1), self.kernels, strict=True):
            d = sparsity_density(self.activation, len(w), s.shape[1:], self.border_tolerance)
            maps.append(activate(s, self.activation, d, self.ndim))  # (B, *spatial)
        return torch.stack(maps, dim=1)

    def partial_reconstructions(self, a: Tensor) -> Tensor:
        """What each kernel draws, ``r_i = a_i * w_i``, ``(B, q, *spatial) -> (B, q, *spatial)``.

        ValueError if ``a`` has other axes or not one map for each kernel.
        """
        _check_rank(a, self.ndim, leading="B, q", exactly=True)
        if a.shape[1] != len(self.kernels):
            raise ValueError(
                f"a: {a.shape[1]} maps for {len(self.kernels)} kernels. Give one per kernel."
            )
        return torch.stack([_correlate(a[:, i], w) for i, w in enumerate(self.kernels)], dim=1)

    def decode(self, a: Tensor) -> Tensor:
        """Sum of what the kernels draw, ``(B, q, *spatial) -> (B, *spatial)``."""
        return self.partial_reconstructions(a).sum(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of examples, ``(B, *spatial) -> (B, *spatial)``."""
        return self.decode(self.encode(x))


def _correlate(maps: Tensor, kernel: Tensor) -> Tensor:
    """Cross-correlation of ``(B, *spatial)`` with one kernel, same size out, zeros beyond borders.

    An even kernel reaches one sample further ahead of its centre than behind it, as "same" padding
    does in torch.
    """
    m, ndim = len(kernel), kernel.ndim
    shortest = min(maps.shape[1:])
    if m > shortest:
        raise ValueError(
            f"kernel size must lie in 1..{shortest}, the shortest side of an example, but is {m}"
        )
    convolve = F.conv1d if ndim == 1 else F.conv2d
    padded = F.pad(maps, [(m - 1) // 2, m // 2] * ndim)
    return convolve(padded[:, None], kernel[None, None])[:, 0]


def _check_rank(tensor: Tensor, ndim: int, leading: str = "...", exactly: bool = False) -> None:
    """Complain unless ``tensor`` has ``ndim`` spatial axes behind the leading ones."""
    expected = ndim + (len(leading.split(",")) if exactly else 0)
    if tensor.ndim < expected or (exactly and tensor.ndim > expected):
        spatial = "n" if ndim == 1 else "height, width"
        raise ValueError(
            f"a tensor ({leading}, {spatial}) for ndim={ndim} is needed, but its shape is "
            f"{tuple(tensor.shape)}. Reshape it."
        )
