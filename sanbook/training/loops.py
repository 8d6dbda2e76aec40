"""Sparse codes computed sparsely: what is kept, drawn and learned, as compiled plain loops.

After a sparse activation function almost every activation is zero, so the loops visit only the
entries that are kept: they find them, draw their kernels and take both gradients there. Dense
activation functions keep most entries, so there whole maps are correlated.

**An example lies on a line.** Its rows follow each other, with blanks between them, before the
first and behind the last, as many as a kernel reaches beyond the borders. A signal is an image of
one row. The kernel at entry ``p`` then covers the samples ``p + t * stride + r`` of the line, for
row ``t`` and column ``r`` of the kernel, and no loop has to ask where the borders are::

    read   |  before  | row | gap | row | gap | row |  after   |
    drawn  |  after   | row | gap | row | gap | row |  before  |

What is drawn has its blanks the other way round, since the pattern that is drawn at an entry is
the mirror image of the one that is read there. So an entry has the same ``p`` on both lines.

Axes as in `san_core` (B examples, q kernels, n samples, m kernel size), and

- ``E``: epochs, or sets of kernels; ``H``, ``W``: height and width of an example, (1, n) for a
  signal; ``R``: rows of a kernel, 1 for a signal, else m; ``span``: entries from the first to the
  last, those in the gaps included; ``size``: samples of a whole line

Everything is in single precision, and no result depends on the number of threads.
"""

import logging
from typing import NamedTuple

import numba
import numpy as np
import torch
from numba.core import event
from torch import Tensor

import san_core
from san_core import ACTIVATION_FUNCTIONS, SAN, sparsity_density

# What the loops know. A branch on a number compiles once; passing functions would five times.
IDENTITY, RELU, TOPK, POOL, EXTREMA = range(5)
_KINDS = {
    san_core.identity: IDENTITY,
    san_core.relu: RELU,
    san_core.topk_absolutes: TOPK,
    san_core.extrema_pool_indices: POOL,
    san_core.extrema: EXTREMA,
}

_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
# Products and sums may be fused: where two windows are equal, their similarities still are.
_compiled = numba.njit(**_OPTIONS, fastmath={"contract"})
# Sums over many samples may also be reordered, so that several are added at once.
_compiled_sum = numba.njit(**_OPTIONS, fastmath={"contract", "reassoc", "nsz"})


class _Announcement(event.Listener):
    """Says once that the loops are being compiled: a cold start takes seconds."""

    def on_start(self, event):
        """Compiling starts; what is in the cache on disk never comes here."""
        if event.data["dispatcher"].py_func.__module__ == __name__ and not self.said:
            self.said = True
            logging.getLogger(__name__).warning(
                "Compiling the loops of sanbook.training.loops: some 15 s, once on this machine"
            )

    def on_end(self, event):
        """Nothing to say."""

    said = False


event.register("numba:compile", _Announcement())


# --- lines ----------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """How examples and kernels lie on lines, in samples; `layout_of` makes it."""

    height: int
    width: int
    ndim: int
    rows: int
    taps: int
    stride: int
    before: int
    after: int
    span: int
    size: int


def layout_of(spatial: tuple[int, ...], kernel_size: int) -> Layout:
    """The layout of examples ``(*spatial,)`` and kernels of ``kernel_size``.

    >>> layout_of((28, 28), 3)[3:]
    (3, 3, 29, 30, 30, 811, 871)
    """
    height, width = (1, *spatial)[-2:]
    rows, before, after = 1, (kernel_size - 1) // 2, kernel_size // 2
    stride = width + after  # the blanks behind a row are also those before the next one
    if len(spatial) == 2:
        rows, before, after = kernel_size, before * (stride + 1), after * (stride + 1)
    span = (height - 1) * stride + width
    size = before + span + after
    return Layout(height, width, len(spatial), rows, kernel_size, stride, before, after, span, size)


class _Space(NamedTuple):
    """Memory for one example and one batch, used again for the next."""

    x: np.ndarray  # (size,) the example, read
    s: np.ndarray  # (q, span) similarities
    a: np.ndarray  # (q, size) activations of a dense function, read
    kept: np.ndarray  # (q, span) the entries that a sparse function keeps
    counts: np.ndarray  # (q,) how many activations are not zero
    x_hat: np.ndarray  # (size,) the reconstruction, drawn
    error: np.ndarray  # (size,) derivative of the loss by the reconstruction, drawn
    s_error: np.ndarray  # (span,) derivative of the loss by the similarities
    mirrored: np.ndarray  # (q, R, m) the kernels turned by half a turn, as they are drawn
    encoder: np.ndarray  # (q, R, m) gradient of the kernels that read
    decoder: np.ndarray  # (q, R, m) gradient of the mirrored kernels


@_compiled
def _space(kernels, layout):
    q, span, size = len(kernels), layout.span, layout.size
    return _Space(
        x=np.zeros(size, np.float32),
        s=np.zeros((q, span), np.float32),
        a=np.zeros((q, size), np.float32),
        kept=np.zeros((q, span), np.int64),
        counts=np.zeros(q, np.int64),
        x_hat=np.zeros(size, np.float32),
        error=np.zeros(size, np.float32),
        s_error=np.zeros(span, np.float32),
        mirrored=np.zeros_like(kernels),
        encoder=np.zeros_like(kernels),
        decoder=np.zeros_like(kernels),
    )


@_compiled
def _lay(example, layout, line):
    """Put the rows of an example (H, W) on a line, from its first entry on."""
    for i in range(layout.height):
        row, samples = line[i * layout.stride :], example[i]
        for j in range(layout.width):
            row[j] = samples[j]


@_compiled
def _blank_gaps(entries, layout):
    for i in range(layout.height - 1):
        entries[i * layout.stride + layout.width : (i + 1) * layout.stride] = 0


@_compiled
def _mirror(kernels, mirrored):
    """Turn kernels (q, R, m) by half a turn."""
    for k in range(len(kernels)):
        forward, backward = kernels[k].reshape(-1), mirrored[k].reshape(-1)
        for t in range(len(forward)):
            backward[t] = forward[len(forward) - 1 - t]


# --- what is kept ---------------------------------------------------------------------------------


@_compiled
def _keep(kind, d, s, layout, kept):
    """List the entries (span,) that a sparse activation function keeps; returns how many.

    A kept entry that is 0 shows nowhere and is left out.
    """
    if kind == TOPK:
        return _keep_topk(s, d, kept)
    if kind == POOL:
        return _keep_strongest_of_cells(s, d, layout, kept)
    return _keep_extrema(s, d, layout, kept)


@_compiled
def _keep_topk(s, k, kept):
    """The k entries of largest absolute value, ties to the lower index (Sec. III-A3)."""
    magnitudes = np.abs(s)
    threshold = _kth_largest(magnitudes, k)
    ties = k
    for p in range(len(s)):
        ties -= magnitudes[p] > threshold
    count = 0
    for p in range(len(s)):
        if magnitudes[p] == 0:
            continue
        tied = magnitudes[p] == threshold
        if magnitudes[p] > threshold or (tied and ties > 0):
            kept[count] = p
            count += 1
            ties -= tied
    return count


@_compiled
def _kth_largest(magnitudes, k):
    """The k-th largest of numbers that are not negative, found bit by bit.

    Their bits, read as whole numbers, are in the same order. From the highest bit on, a bit of the
    result is set if k numbers at least are as large.
    """
    bits = magnitudes.view(np.uint32)
    result = np.zeros(1, np.uint32)
    for place in range(30, -1, -1):
        candidate = result[0] | np.uint32(1 << place)
        as_large = 0
        for p in range(len(bits)):
            as_large += bits[p] >= candidate
        if as_large >= k:
            result[0] = candidate
        if as_large == k:
            break  # lower bits would tell the k apart
    return result.view(np.float32)[0]


@_compiled
def _keep_strongest_of_cells(s, cell, layout, kept):
    """The entry of largest absolute value of each cell, ties to the lower index (Sec. III-A4)."""
    cell_rows = 1 if layout.ndim == 1 else cell
    count = 0
    for top in range(0, layout.height - cell_rows + 1, cell_rows):
        for left in range(0, layout.width - cell + 1, cell):
            strongest, largest = 0, np.float32(0)
            for i in range(top, top + cell_rows):
                for j in range(left, left + cell):
                    p = i * layout.stride + j
                    if abs(s[p]) > largest:
                        strongest, largest = p, abs(s[p])
            if largest > 0:
                kept[count] = strongest
                count += 1
    return count


@_compiled
def _keep_extrema(s, min_distance, layout, kept):
    """Greedy non-maximum suppression of peaks and valleys (Sec. III-A5).

    From the strongest on, ties to the lower index, each one that is not suppressed is kept and
    suppresses all others within ``min_distance`` along every axis.
    """
    candidates = np.empty(len(s), np.int64)
    candidates = candidates[: _extrema(s, layout, candidates)]
    _sort_strongest_first(candidates, s)
    suppressed = np.zeros(len(s), np.bool_)
    count = 0
    for p in candidates:
        if not suppressed[p]:
            kept[count] = p
            count += 1
            _suppress(p, min_distance, layout, suppressed)
    return count


@_compiled
def _sort_strongest_first(entries, s):
    """Shell sort by falling absolute value, ties by rising index; NumPy's compiles for seconds."""
    gap = len(entries)
    while gap > 1:
        gap = (gap + 1) * 5 // 11
        for end in range(gap, len(entries)):
            p, i = entries[end], end
            while i >= gap:
                q = entries[i - gap]
                if abs(s[q]) > abs(s[p]) or (abs(s[q]) == abs(s[p]) and q < p):
                    break
                entries[i] = q
                i -= gap
            entries[i] = p


@_compiled
def _suppress(p, reach, layout, suppressed):
    i, j = divmod(p, layout.stride)
    first, end = max(0, j - reach), min(layout.width, j + reach + 1)
    for row in range(max(0, i - reach), min(layout.height, i + reach + 1)):
        for column in range(first, end):
            suppressed[row * layout.stride + column] = True


@_compiled
def _extrema(s, layout, found):
    """List peaks and valleys that are not 0 (`san_core.is_extremum`); returns how many.

    The map goes on flat beyond its borders: there each sample is its own neighbour.
    """
    width = layout.width
    extremum = np.empty(width, np.bool_)
    flat = np.empty(width + 2, np.float32)  # a row with its neighbours beyond the borders
    count = 0
    for i in range(layout.height):
        here = s[i * layout.stride : i * layout.stride + width]
        flat[0], flat[width + 1] = here[0], here[width - 1]
        for j in range(width):
            flat[j + 1] = here[j]
            extremum[j] = here[j] != 0
        _turns(flat[:width], here, flat[2:], extremum)
        if layout.ndim == 2:
            above = s[max(i - 1, 0) * layout.stride :][:width]
            below = s[min(i + 1, layout.height - 1) * layout.stride :][:width]
            _turns(above, here, below, extremum)
        for j in range(width):
            if extremum[j]:
                found[count] = i * layout.stride + j
                count += 1
    return count


@_compiled
def _turns(before, here, after, extremum):
    """Leave those marked that are a peak or a valley along one axis."""
    for j in range(len(here)):
        positive = here[j] > 0
        rises_before, rises_after = here[j] > before[j], after[j] > here[j]
        extremum[j] &= (rises_before == positive) & (rises_after != positive)


# --- correlation of whole maps --------------------------------------------------------------------


@_compiled
def _correlate(line, kernel, layout, out):
    """Add the correlation of a line (size,) with a kernel (R, m) to entries (span,).

    Four columns of the kernel at once: the sums then stay in registers for as long.
    """
    span, fours = len(out), layout.taps // 4 * 4
    for t in range(layout.rows):
        row, at = kernel[t], line[t * layout.stride :]
        for r in range(0, fours, 4):
            w0, w1, w2, w3 = row[r], row[r + 1], row[r + 2], row[r + 3]
            x0, x1, x2, x3 = at[r:], at[r + 1 :], at[r + 2 :], at[r + 3 :]
            for p in range(span):
                out[p] += w0 * x0[p] + w1 * x1[p] + w2 * x2[p] + w3 * x3[p]
        for r in range(fours, layout.taps):
            w0, x0 = row[r], at[r:]
            for p in range(span):
                out[p] += w0 * x0[p]


@_compiled_sum
def _correlate_by_tap(entries, line, layout, gradient):
    """Add to a kernel's gradient (R, m) the products of entries (span,) and what they cover."""
    span, fours = len(entries), layout.taps // 4 * 4
    for t in range(layout.rows):
        row, at = gradient[t], line[t * layout.stride :]
        for r in range(0, fours, 4):
            x0, x1, x2, x3 = at[r:], at[r + 1 :], at[r + 2 :], at[r + 3 :]
            g0 = g1 = g2 = g3 = np.float32(0)
            for p in range(span):
                v = entries[p]
                g0, g1, g2, g3 = g0 + v * x0[p], g1 + v * x1[p], g2 + v * x2[p], g3 + v * x3[p]
            row[r] += g0
            row[r + 1] += g1
            row[r + 2] += g2
            row[r + 3] += g3
        for r in range(fours, layout.taps):
            x0, g0 = at[r:], np.float32(0)
            for p in range(span):
                g0 += entries[p] * x0[p]
            row[r] += g0


# --- one example ----------------------------------------------------------------------------------


@_compiled
def _read(line, kernel, layout, s):
    """Write the similarities (span,) of a line (size,) with a kernel (R, m); gaps have none."""
    s[:] = 0
    _correlate(line, kernel, layout, s)
    _blank_gaps(s, layout)


@_compiled
def _encode_and_draw(example, kernels, kind, d, layout, space):
    """Similarities, activations and reconstruction of one example (H, W), all left in ``space``."""
    _lay(example, layout, space.x[layout.before :])
    space.x_hat[:] = 0
    for k in range(len(kernels)):
        s = space.s[k]
        _read(space.x, kernels[k], layout, s)
        if kind in (IDENTITY, RELU):
            a = space.a[k, layout.before : layout.before + layout.span]
            space.counts[k] = _activate_densely(kind, s, a)
            drawn = space.x_hat[layout.after : layout.after + layout.span]
            _correlate(space.a[k], kernels[k], layout, drawn)
        else:
            space.counts[k] = _keep(kind, d[k], s, layout, space.kept[k])
            space.x_hat[layout.after] += _zero_if_finite(s)
            _draw(s, space.kept[k, : space.counts[k]], space.mirrored[k], layout, space.x_hat)


@_compiled_sum
def _zero_if_finite(s):
    """0, or NaN if training diverged: nothing would be kept then, and nobody would know."""
    total = np.float32(0)
    for p in range(len(s)):
        total += np.float32(0) * s[p]
    return total


@_compiled
def _activate_densely(kind, s, a):
    """Identity or ReLU of entries (span,); returns how many are not zero."""
    count = 0
    for p in range(len(s)):
        a[p] = s[p] if kind == IDENTITY or s[p] > 0 else np.float32(0)
        count += a[p] != 0
    return count


@_compiled
def _draw(s, kept, mirrored, layout, x_hat):
    """Draw the kernel, as strong as the similarity, wherever an entry is kept."""
    for p in kept:
        for t in range(layout.rows):
            window = x_hat[p + t * layout.stride :]
            for r in range(layout.taps):
                window[r] += s[p] * mirrored[t, r]


@_compiled_sum
def _absolute_error(example, layout, space, weight):
    """Normalized loss of the reconstruction; its derivatives, times ``weight``, go to ``space``."""
    loss, scale = np.float32(0), np.float32(0)
    for i in range(layout.height):
        first = layout.after + i * layout.stride
        x, x_hat, error = example[i], space.x_hat[first:], space.error[first:]
        for j in range(layout.width):
            difference = x_hat[j] - x[j]
            loss += abs(difference)
            scale += abs(x[j])
            error[j] = weight * np.sign(difference)
    return loss / scale


@_compiled
def _add_gradient(kind, layout, space):
    """Add what one example says of the kernels, as encoder and as mirrored decoder."""
    for k in range(len(space.mirrored)):
        mirrored, encoder, decoder = space.mirrored[k], space.encoder[k], space.decoder[k]
        if kind in (IDENTITY, RELU):
            a = space.a[k, layout.before : layout.before + layout.span]
            space.s_error[:] = 0
            _correlate(space.error, mirrored, layout, space.s_error)
            _blank_gaps(space.s_error, layout)
            if kind == RELU:
                for p in range(len(a)):
                    space.s_error[p] = space.s_error[p] if a[p] > 0 else np.float32(0)
            _correlate_by_tap(a, space.error, layout, decoder)
            _correlate_by_tap(space.s_error, space.x, layout, encoder)
        else:
            kept, s = space.kept[k, : space.counts[k]], space.s[k]
            _add_gradient_at(kept, s, mirrored, layout, space.error, space.x, encoder, decoder)


@_compiled
def _add_gradient_at(kept, s, mirrored, layout, error, x, encoder, decoder):
    """The same at the kept entries only: elsewhere nothing is drawn, and no error comes back."""
    for p in kept:
        s_error = np.float32(0)
        for t in range(layout.rows):
            window = error[p + t * layout.stride :]
            for r in range(layout.taps):
                s_error += window[r] * mirrored[t, r]
                decoder[t, r] += s[p] * window[r]
        for t in range(layout.rows):
            window = x[p + t * layout.stride :]
            for r in range(layout.taps):
                encoder[t, r] += s_error * window[r]


# --- many examples --------------------------------------------------------------------------------


@_compiled
def _train(images, orders, batch_size, kernels, kind, d, learning_rate, layout, after_epoch):
    """Train the kernels (q, R, m) of one SAN, in place, on images (B, H, W) in ``orders`` (E, B).

    Writes the kernels after each epoch (E, q, R, m). Returns the activations and the normalized
    loss of each example in its batch, before that batch's step, (E, B) both.
    """
    activations, losses = np.empty(orders.shape, np.int64), np.empty(orders.shape, np.float32)
    space, step = _space(kernels, layout), 0
    first, second = np.zeros_like(kernels), np.zeros_like(kernels)
    for epoch in range(len(orders)):
        for start in range(0, orders.shape[1], batch_size):
            batch = orders[epoch, start : start + batch_size]
            counts, loss = activations[epoch, start:], losses[epoch, start:]
            _gradient(images, batch, kernels, kind, d, layout, space, counts, loss)
            step += 1
            adam(kernels, space.encoder, first, second, step, learning_rate, after_epoch[epoch])
    return activations, losses


@_compiled
def _gradient(images, batch, kernels, kind, d, layout, space, activations, losses):
    """Gradient of the mean absolute error of a batch; it is left in ``space.encoder``."""
    weight = np.float32(1 / (len(batch) * layout.height * layout.width))
    _mirror(kernels, space.mirrored)
    space.encoder[:] = 0
    space.decoder[:] = 0
    for i, b in enumerate(batch):
        _encode_and_draw(images[b], kernels, kind, d, layout, space)
        activations[i] = space.counts.sum()
        losses[i] = _absolute_error(images[b], layout, space, weight)
        _add_gradient(kind, layout, space)
    _mirror(space.decoder, space.mirrored)  # the gradient of the kernels as they are
    encoder, decoder = space.encoder.reshape(-1), space.mirrored.reshape(-1)
    for i in range(len(encoder)):
        encoder[i] += decoder[i]


@_compiled
def adam(kernels, gradient, first, second, step, learning_rate, after):
    """One step of Adam, betas 0.9 and 0.999, epsilon 1e-8; ``after`` gets the kernels, too."""
    rate = np.float32(learning_rate / (1 - 0.9**step))
    correction = np.float32(np.sqrt(1 - 0.999**step))
    # Kernel by kernel, so that equal ones stay equal: a vector and its remainder round differently.
    for k in range(len(kernels)):
        w, g, result = kernels[k].reshape(-1), gradient[k].reshape(-1), after[k].reshape(-1)
        mean, square = first[k].reshape(-1), second[k].reshape(-1)
        for i in range(len(w)):
            mean[i] += np.float32(0.1) * (g[i] - mean[i])
            square[i] = np.float32(0.999) * square[i] + np.float32(0.001) * g[i] * g[i]
            w[i] -= rate * mean[i] / (np.sqrt(square[i]) / correction + np.float32(1e-8))
            result[i] = w[i]


@_compiled
def _code(x, kernels, kind, d, layout, x_hat):
    """Activations and normalized losses (E, B) of examples (B, H, W) by kernels (E, q, R, m).

    Where ``x_hat`` (B, H, W) has room for them, the reconstructions are written there.
    """
    activations = np.empty((len(kernels), len(x)), np.int64)
    losses = np.empty((len(kernels), len(x)), np.float32)
    space = _space(kernels[0], layout)
    for e in range(len(kernels)):
        _mirror(kernels[e], space.mirrored)
        for b in range(len(x)):
            _encode_and_draw(x[b], kernels[e], kind, d, layout, space)
            activations[e, b] = space.counts.sum()
            losses[e, b] = _absolute_error(x[b], layout, space, np.float32(1))
            if len(x_hat):
                _take(space.x_hat[layout.after :], layout, x_hat[b])
    return activations, losses


@_compiled
def _take(line, layout, example):
    """Take the rows of an example (H, W) from a line, from its first entry on."""
    for i in range(layout.height):
        row, samples = line[i * layout.stride :], example[i]
        for j in range(layout.width):
            samples[j] = row[j]


@_compiled
def _store(x, kernels, kind, d, layout, places, values, ends):
    """Store what a sparse activation function keeps of examples (B, H, W), one after the other.

    ``places`` and ``values`` are (A,), ``ends`` (B, q). Returns whether there was room for all, and
    all similarities are finite.
    """
    space, count = _space(kernels, layout), 0
    for b in range(len(x)):
        _lay(x[b], layout, space.x[layout.before :])
        for k in range(len(kernels)):
            s = space.s[k]
            _read(space.x, kernels[k], layout, s)
            kept = space.kept[k, : _keep(kind, d[k], s, layout, space.kept[k])]
            if count + len(kept) > len(places) or _zero_if_finite(s) != 0:
                return False
            for p in kept:
                places[count] = p
                values[count] = s[p]
                count += 1
            ends[b, k] = count
    return True


@_compiled
def _draw_stored(which, places, values, ends, mirrored, layout, x_hat):
    """Draw the stored examples ``which`` (B,) to ``x_hat`` (B, H, W)."""
    line, s = np.empty(layout.size, np.float32), np.empty(layout.span, np.float32)
    for i, b in enumerate(which):
        line[:] = 0
        for k in range(len(mirrored)):
            begin = ends[b, k - 1] if k else (ends[b - 1, -1] if b else 0)
            kept = places[begin : ends[b, k]]
            s[kept] = values[begin : ends[b, k]]
            _draw(s, kept, mirrored[k], layout, line)
        _take(line[layout.after :], layout, x_hat[i])


@_compiled
def _mark_kept(s, kind, d, layout, marks):
    """Mark in (B, H, W) the entries that a sparse activation function keeps of maps (B, H, W)."""
    line, kept = np.zeros(layout.span, np.float32), np.empty(layout.span, np.int64)
    for b in range(len(s)):
        _lay(s[b], layout, line)
        for p in kept[: _keep(kind, d, line, layout, kept)]:
            marks[b, p // layout.stride, p % layout.stride] = True


# --- for the rest of the book ---------------------------------------------------------------------


def kind_of(activation: str) -> int | None:
    """The number of an activation function that the loops know, None for any other.

    A name counts by its function, whatever sparsity density is registered beside it.
    """
    function, _ = ACTIVATION_FUNCTIONS.get(activation, (None, None))
    return _KINDS.get(function)


def kept(s: Tensor, activation: str, d: int, ndim: int = 1) -> Tensor:
    """Where `san_core.activate` of a sparse activation function is not 0.

    ``s`` is ``(..., *spatial)``, ``d`` as in `san_core.sparsity_density`; returns booleans of the
    same shape. ValueError if the activation function is not one of the three sparse ones, or ``s``
    is not finite; TypeError if ``s`` is not in single precision.

    >>> kept(torch.tensor([1.0, -3.0, 2.0, 0.5]), "top-k absolutes", d=2)
    tensor([False,  True,  True, False])
    """
    kind = kind_of(activation)
    if kind not in (TOPK, POOL, EXTREMA):
        raise ValueError(f"expected a sparse activation function of the paper, got {activation!r}")
    if s.dtype != torch.float32:
        raise TypeError(f"s must be in single precision, torch.float32, but is {s.dtype}")
    if not s.isfinite().all():
        raise ValueError("s must be finite, but has NaN or infinite entries; did training diverge?")
    spatial = tuple(s.shape[s.ndim - ndim :])
    maps = as_images(s.reshape(-1, *spatial))
    marks = np.zeros(maps.shape, np.bool_)
    _mark_kept(maps, kind, d, layout_of(spatial, 1), marks)
    return torch.from_numpy(marks).view(s.shape)


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
    activations, losses = _train(
        images, orders, batch_size, kernels, kind_of(model.activation), d, learning_rate, layout,
        after_epoch,
    )  # fmt: skip
    after_epoch = torch.from_numpy(after_epoch).view(-1, len(kernels), *model.kernels[0].shape)
    return after_epoch, torch.from_numpy(activations), torch.from_numpy(losses)


def counts_and_losses(model: SAN, images: np.ndarray, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Activations and normalized loss of each image ``(B, H, W)``, each ``(E, B)``.

    ``kernels`` are E sets, ``(E, q, *(m,) * ndim)``, to be used in place of those of the model.
    """
    own, d, layout = _describe(model, images)
    kernels = kernels.numpy().reshape(-1, *own.shape)
    kind = kind_of(model.activation)
    activations, losses = _code(images, kernels, kind, d, layout, images[:0])
    return torch.from_numpy(activations), torch.from_numpy(losses)


def reconstruct(model: SAN, images: np.ndarray, x_hat: np.ndarray) -> Tensor:
    """Write the reconstructions of images to ``x_hat``, both ``(B, H, W)``.

    Returns the number of activations of each image, ``(B,)``.
    """
    kernels, d, layout = _describe(model, images)
    activations, _ = _code(images, kernels[None], kind_of(model.activation), d, layout, x_hat)
    return torch.from_numpy(activations[0])


class Codes(NamedTuple):
    """What a SAN keeps of B examples, to draw them again and again; `store` makes it."""

    places: np.ndarray  # (A,) entries on the line, map by map
    values: np.ndarray  # (A,) similarities there
    ends: np.ndarray  # (B, q) where the entries of a map end
    mirrored: np.ndarray  # (q, R, m) the kernels as they are drawn
    layout: Layout

    def draw(self, which: np.ndarray, x_hat: np.ndarray) -> None:
        """Write the reconstructions of the examples ``which`` ``(B,)``, ``(B, H, W)``."""
        places, values, ends, mirrored, layout = self
        _draw_stored(which, places, values, ends, mirrored, layout, x_hat)


def store(model: SAN, images: np.ndarray, most: int) -> Codes | None:
    """The codes of images ``(B, H, W)``, None if they have more than ``most`` activations.

    None also for a dense activation function, and where similarities are not finite.
    """
    kind = kind_of(model.activation)
    kernels, d, layout = _describe(model, images)
    if kind not in (TOPK, POOL, EXTREMA) or layout.span > 2**16:
        return None
    places, values = np.empty(most, np.uint16), np.empty(most, np.float32)
    ends, mirrored = np.empty((len(images), len(kernels)), np.int64), np.empty_like(kernels)
    _mirror(kernels, mirrored)
    stored = _store(images, kernels, kind, d, layout, places, values, ends)
    return Codes(places, values, ends, mirrored, layout) if stored else None


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
