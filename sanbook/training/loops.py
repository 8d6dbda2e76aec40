"""All compiled loops of training: codes of SANs computed sparsely, and small classifiers.

All stand in one file, because numba's cache does not see that a function of another file changed.
`sanbook.training.kernels` calls the loops with tensors.

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

from typing import NamedTuple

import numba
import numpy as np

# What the loops know. A branch on a number compiles once; passing functions would five times.
IDENTITY, RELU, TOPK, POOL, EXTREMA = range(5)

# Called functions become part of their caller. Otherwise a process that compiles a caller may run
# another copy of a called function than a process that reads the caller from numba's cache, and
# the two copies may add in another order.
_OPTIONS = {"cache": True, "nogil": True, "forceinline": True, "error_model": "numpy"}
# Products and sums may be fused: where two windows are equal, their similarities still are.
_compiled = numba.njit(**_OPTIONS, fastmath={"contract"})
# Sums over many samples may also be reordered, so that several are added at once.
_compiled_sum = numba.njit(**_OPTIONS, fastmath={"contract", "reassoc", "nsz"})


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
def mirror(kernels, mirrored):
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
def train(images, orders, batch_size, kernels, kind, d, learning_rate, layout, after_epoch):
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
    mirror(kernels, space.mirrored)
    space.encoder[:] = 0
    space.decoder[:] = 0
    for i, b in enumerate(batch):
        _encode_and_draw(images[b], kernels, kind, d, layout, space)
        activations[i] = space.counts.sum()
        losses[i] = _absolute_error(images[b], layout, space, weight)
        _add_gradient(kind, layout, space)
    mirror(space.decoder, space.mirrored)  # the gradient of the kernels as they are
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
def code(x, kernels, kind, d, layout, x_hat):
    """Activations and normalized losses (E, B) of examples (B, H, W) by kernels (E, q, R, m).

    Where ``x_hat`` (B, H, W) has room for them, the reconstructions are written there.
    """
    activations = np.empty((len(kernels), len(x)), np.int64)
    losses = np.empty((len(kernels), len(x)), np.float32)
    space = _space(kernels[0], layout)
    for e in range(len(kernels)):
        mirror(kernels[e], space.mirrored)
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


# --- classifiers: axes c, o of a layer as in `sanbook.training.classifiers` --------------------

TAPS = 5  # of the kernels of the convolutions


@_compiled_sum
def _convolve(x, kernels, bias, pooled, second):
    """Write the ReLU of the larger of each two neighbours of convolutions, and which it is.

    ``x`` is (B, c, n), ``kernels`` (o, c, TAPS), ``bias`` (o,); ``pooled`` and ``second``, whether
    the larger one is the second, are (B, o, (n - TAPS + 1) // 2).
    """
    similarities = np.empty(x.shape[2] - TAPS + 1, np.float32)
    for b in range(len(x)):
        for o in range(len(kernels)):
            similarities[:] = bias[o]
            for c in range(x.shape[1]):
                samples, w = x[b, c], kernels[o, c]
                for p in range(len(similarities)):
                    total = similarities[p]
                    for t in range(TAPS):
                        total += w[t] * samples[p + t]
                    similarities[p] = total
            for p in range(pooled.shape[2]):
                first, other = similarities[2 * p], similarities[2 * p + 1]
                second[b, o, p] = other > first
                larger = other if other > first else first
                pooled[b, o, p] = np.float32(0) if larger < 0 else larger


@_compiled_sum
def _add_gradients(gradient, x, kernels, pooled, second, of_x, of_kernels, of_bias):
    """Add the gradients of what `_convolve` reads, given that of ``pooled``.

    ``of_x`` may be empty: the gradient of the data themselves is of no use.
    """
    similarities = np.zeros(x.shape[2] - TAPS + 1, np.float32)  # their gradients
    for b in range(len(x)):
        for o in range(len(kernels)):
            total = np.float32(0)
            for p in range(gradient.shape[2]):
                g = gradient[b, o, p] if pooled[b, o, p] > 0 else np.float32(0)
                total += g
                similarities[2 * p] = np.float32(0) if second[b, o, p] else g
                similarities[2 * p + 1] = g if second[b, o, p] else np.float32(0)
            of_bias[o] += total
            for c in range(x.shape[1]):
                for t in range(TAPS):
                    samples, total = x[b, c, t:], np.float32(0)
                    for p in range(len(similarities)):
                        total += similarities[p] * samples[p]
                    of_kernels[o, c, t] += total
                    if len(of_x):
                        of_samples, w = of_x[b, c, t:], kernels[o, c, t]
                        for p in range(len(similarities)):
                            of_samples[p] += w * similarities[p]


@_compiled_sum
def _layers(values, convolutions, dense):
    """Kernels (o, c, TAPS), matrices (o, c) and biases (o,) of all layers, views of values (P,).

    ``convolutions`` and ``dense`` have a row (o, c) for each layer.
    """
    kernels = []
    matrices = []
    biases = []
    at = 0
    for i in range(len(convolutions)):
        o, c = convolutions[i, 0], convolutions[i, 1]
        kernels.append(values[at : at + o * c * TAPS].reshape(o, c, TAPS))
        biases.append(values[at + o * c * TAPS : at + o * c * TAPS + o])
        at += o * c * TAPS + o
    for i in range(len(dense)):
        o, c = dense[i, 0], dense[i, 1]
        matrices.append(values[at : at + o * c].reshape(o, c))
        biases.append(values[at + o * c : at + o * c + o])
        at += o * c + o
    return kernels, matrices, biases


@_compiled_sum
def _forward(x, layers):
    """What each layer reads, maps (B, c, n) and then units (B, c), and last the scores.

    Also which of two neighbours was the larger one, of each convolution.
    """
    kernels, matrices, biases = layers
    maps = [x.reshape(len(x), 1, -1)]
    second = []
    for i in range(len(kernels)):
        shape = len(x), len(kernels[i]), (maps[i].shape[2] - TAPS + 1) // 2
        maps.append(np.empty(shape, np.float32))
        second.append(np.empty(shape, np.bool_))
        _convolve(maps[i], kernels[i], biases[i], maps[i + 1], second[i])
    units = [maps[-1].reshape(len(x), -1)]
    for i in range(len(matrices)):
        given = np.dot(units[i], matrices[i].T) + biases[len(kernels) + i]
        units.append(given if i == len(matrices) - 1 else np.maximum(given, np.float32(0)))
    return maps, second, units


@_compiled_sum
def differentiate(x, labels, values, gradient, convolutions, dense):
    """Write the gradient (P,) of the mean cross-entropy of a batch (B, n)."""
    gradient[:] = 0
    layers = _layers(values, convolutions, dense)
    kernels, matrices, _ = layers
    of_kernels, of_matrices, of_biases = _layers(gradient, convolutions, dense)
    maps, second, units = _forward(x, layers)
    error = units[-1]  # derivative of the loss by the scores: softmax minus the true class
    for b in range(len(error)):
        error[b] = np.exp(error[b] - error[b].max())
        error[b] /= error[b].sum()
        error[b, labels[b]] -= np.float32(1)
    error /= np.float32(len(x))
    for i in range(len(matrices) - 1, -1, -1):
        of_matrices[i][:] += np.dot(error.T, units[i])
        of_biases[len(kernels) + i][:] += error.sum(axis=0)
        if i or len(kernels):  # the gradient of the data themselves is of no use
            error = np.dot(error, matrices[i])
        if i:
            error = np.where(units[i] > 0, error, np.float32(0))
    for i in range(len(kernels) - 1, -1, -1):
        of_maps = np.zeros_like(maps[i] if i else maps[0][:0])
        error_of_maps = error.reshape(maps[i + 1].shape)
        _add_gradients(
            error_of_maps, maps[i], kernels[i], maps[i + 1], second[i],
            of_maps, of_kernels[i], of_biases[i],
        )  # fmt: skip
        error = of_maps.reshape(len(of_maps), -1)


@_compiled_sum
def predict(x, values, convolutions, dense, predicted):
    """Write the class of the largest score of examples (B, n)."""
    _, _, units = _forward(x, _layers(values, convolutions, dense))
    for b in range(len(x)):
        predicted[b] = np.argmax(units[-1][b])
