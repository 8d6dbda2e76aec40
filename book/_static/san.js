// Sparsely Activated Networks in the browser: what san_core.py and sanbook/training/loops.py do, once
// for figures, for training (trainer.js) and for workers, which get the text of this function.
//
// An example lies on a line, as loops.py says: rows with blanks between, before and behind them, so
// that no loop asks where the borders are. What is drawn has its blanks the other way round. A signal
// is an image of one row. Symbols as in san_core.py: n samples, q kernels of m, s similarities, a
// activations. `engine` brings the arrays and the correlation of trainer.js's SIMD; without it all is
// in double precision.
function makeSan(engine) {
  const ACTIVATIONS = ["identity", "relu", "top-k absolutes", "extrema-pool indices", "extrema"];

  // out[to + p] += sum over r < taps of kernel[at + r] * line[from + p + r], for p < count.
  function correlatePlainly(line, from, kernel, at, taps, out, to, count) {
    for (let p = 0; p < count; p++) {
      let sum = 0;
      for (let r = 0; r < taps; r++) sum += kernel[at + r] * line[from + p + r];
      out[to + p] += sum;
    }
  }

  const { allocate, correlate } = engine ?? {
    allocate: (lengths) => lengths.map((length) => new Float64Array(length)),
    correlate: correlatePlainly,
  };

  // --- lines, and what is kept on them ------------------------------------------------------------

  // `spatial` is [n] or [height, width].
  function layoutOf(spatial, m) {
    const ndim = spatial.length, [height, width] = [1, ...spatial].slice(-2);
    const rows = ndim === 2 ? m : 1, stride = width + (m >> 1);
    const before = ((rows - 1) >> 1) * stride + ((m - 1) >> 1);
    const after = (rows >> 1) * stride + (m >> 1);
    const span = (height - 1) * stride + width;
    return { ndim, height, width, rows, stride, before, after, span, size: before + span + after };
  }

  // The functions of `keep` list the entries that a sparse activation function keeps and return how
  // many; zeros are left out.
  function keepTopk(s, k, layout, kept, { magnitudes }) {
    for (let p = 0; p < s.length; p++) magnitudes[p] = Math.abs(s[p]);
    const threshold = kthLargest(magnitudes, k);
    let ties = k, count = 0;
    for (let p = 0; p < s.length; p++) ties -= Math.abs(s[p]) > threshold ? 1 : 0;
    for (let p = 0; p < s.length; p++) {
      const magnitude = Math.abs(s[p]);
      if (magnitude === 0) continue;
      const tied = magnitude === threshold;
      if (magnitude > threshold || (tied && ties > 0)) {
        kept[count++] = p;
        if (tied) ties--;
      }
    }
    return count;
  }

  // Hoare's selection; reorders the values.
  function kthLargest(values, k) {
    let first = 0, last = values.length - 1;
    while (first < last) {
      const pivot = values[(first + last) >> 1];
      let i = first, j = last;
      while (i <= j) {
        while (values[i] > pivot) i++;
        while (values[j] < pivot) j--;
        if (i <= j) {
          const value = values[i];
          values[i++] = values[j];
          values[j--] = value;
        }
      }
      if (k - 1 <= j) last = j;
      else if (k - 1 >= i) first = i;
      else break;
    }
    return values[k - 1];
  }

  function keepStrongestOfCells(s, cell, { ndim, height, width, stride }, kept) {
    const cellRows = ndim === 2 ? cell : 1;
    let count = 0;
    for (let top = 0; top + cellRows <= height; top += cellRows) {
      for (let left = 0; left + cell <= width; left += cell) {
        let strongest = 0, largest = 0;
        for (let i = top; i < top + cellRows; i++) {
          for (let p = i * stride + left; p < i * stride + left + cell; p++) {
            const magnitude = Math.abs(s[p]);
            if (magnitude > largest) {
              largest = magnitude;
              strongest = p;
            }
          }
        }
        if (largest > 0) kept[count++] = strongest;
      }
    }
    return count;
  }

  function keepExtrema(s, reach, layout, kept, { candidates, suppressed }) {
    const { height, width, stride } = layout, found = listExtrema(s, layout, candidates);
    sortStrongestFirst(candidates, found, s);
    suppressed.fill(0);
    let count = 0;
    for (let c = 0; c < found; c++) {
      const p = candidates[c];
      if (suppressed[p]) continue;
      kept[count++] = p;
      const i = Math.floor(p / stride), j = p - i * stride;
      const first = Math.max(0, j - reach), end = Math.min(width, j + reach + 1);
      for (let row = Math.max(0, i - reach); row < Math.min(height, i + reach + 1); row++) {
        suppressed.fill(1, row * stride + first, row * stride + end);
      }
    }
    return count;
  }

  // Peaks and valleys along every axis. A peak is positive, higher than the entry before and not lower
  // than the one after; a valley is not positive, not higher than the one before and lower than the
  // one after. The map goes on flat beyond its borders.
  function listExtrema(s, { ndim, height, width, stride }, found) {
    let count = 0;
    for (let i = 0; i < height; i++) {
      for (let j = 0, p = i * stride; j < width; j++, p++) {
        const here = s[p], positive = here > 0;
        if (here === 0) continue;
        if ((j > 0 && here > s[p - 1]) !== positive) continue;
        if ((j < width - 1 && s[p + 1] > here) === positive) continue;
        if (ndim === 2) {
          if ((i > 0 && here > s[p - stride]) !== positive) continue;
          if ((i < height - 1 && s[p + stride] > here) === positive) continue;
        }
        found[count++] = p;
      }
    }
    return count;
  }

  // Shell sort by falling magnitude, ties by rising place.
  function sortStrongestFirst(entries, count, s) {
    for (let gap = count; gap > 1; ) {
      gap = Math.floor(((gap + 1) * 5) / 11);
      for (let end = gap; end < count; end++) {
        const p = entries[end], strength = Math.abs(s[p]);
        let i = end;
        while (i >= gap) {
          const other = entries[i - gap], its = Math.abs(s[other]);
          if (its > strength || (its === strength && other < p)) break;
          entries[i] = other;
          i -= gap;
        }
        entries[i] = p;
      }
    }
  }

  // The steps of extrema on a signal: each extremum that is kept, and those that it suppresses.
  function suppress(s, minDistance) {
    const found = [];
    listExtrema(s, layoutOf([s.length], 1), found);
    sortStrongestFirst(found, found.length, s);
    const steps = [];
    for (let waiting = found; waiting.length; ) {
      const [kept, ...others] = waiting, near = (p) => Math.abs(p - kept) <= minDistance;
      steps.push({ kept, suppressed: others.filter(near) });
      waiting = others.filter((p) => !near(p));
    }
    return steps;
  }

  // k, the cell or the minimum distance, which follow from m; null for the two dense functions.
  function density(activation, m, spatial, borderTolerance) {
    if (activation === "top-k absolutes") return spatial.reduce((d, side) => d * Math.floor(side / m), 1);
    if (activation === "extrema-pool indices") return m;
    return activation === "extrema" ? Math.max(m - borderTolerance, 1) : null;
  }

  // --- one network and one example ----------------------------------------------------------------

  // q kernels, one after the other in `w`, for examples of one size; an engine holds one network.
  function network(spatial, m, q, activation, d) {
    const kind = ACTIVATIONS.indexOf(activation), shortest = Math.min(...spatial);
    const n = spatial.reduce((one, other) => one * other);
    if (kind < 0) throw new RangeError(`activation must be one of ${ACTIVATIONS}, but is ${activation}`);
    if (!(m >= 1 && m <= shortest)) {
      throw new RangeError(`kernel size must lie in 1..${shortest}, the shortest side of x, but is ${m}`);
    }
    const most = [0, 0, n, shortest, Infinity][kind];
    if (kind > 1 && !(d >= 1 && d <= most)) throw new RangeError(`density must lie in 1..${most}, but is ${d}`);
    const dense = kind < 2, layout = layoutOf(spatial, m);
    const { ndim, height, width, rows, stride, before, after, span, size } = layout;
    const one = rows * m; // samples of a kernel
    const kernels = Array(4).fill(q * one), lines = Array(3).fill(size + 8);
    const [w, mirrored, encoder, decoder, x, xHat, error, sError, ...maps] = allocate(
      [...kernels, ...lines, span, ...Array(q).fill(span), ...Array(dense ? q : 0).fill(size + 8)],
    );
    const s = maps.slice(0, q), a = maps.slice(q);
    const kept = s.map(() => new Int32Array(span)), counts = new Int32Array(q);
    const keep = [null, null, keepTopk, keepStrongestOfCells, keepExtrema][kind];
    const scratch = {
      magnitudes: new Float64Array(span), candidates: new Int32Array(span), suppressed: new Uint8Array(span),
    };

    // Kernels turned by half a turn.
    function mirror(from, to) {
      for (let k = 0; k < q; k++) {
        for (let r = 0; r < one; r++) to[k * one + r] = from[(k + 1) * one - 1 - r];
      }
    }

    function blankGaps(entries) {
      for (let i = 1; i < height; i++) entries.fill(0, (i - 1) * stride + width, i * stride);
    }

    // out[p] += what a kernel sees of a line from p on.
    function read(line, kernel, at, out, to) {
      for (let t = 0; t < rows; t++) correlate(line, t * stride, kernel, at + t * m, m, out, to, span);
    }

    // Similarities, activations and reconstruction of an example; returns how many are kept.
    function encodeAndDraw(example) {
      for (let i = 0; i < height; i++) {
        for (let j = 0, p = before + i * stride; j < width; j++) x[p + j] = example[i * width + j];
      }
      xHat.fill(0);
      let total = 0;
      for (let k = 0; k < q; k++) {
        const map = s[k].fill(0), at = k * one;
        read(x, w, at, map, 0);
        blankGaps(map);
        if (dense) {
          counts[k] = activateDensely(map, a[k]);
          read(a[k], w, at, xHat, after);
        } else {
          counts[k] = keep(map, d, layout, kept[k], scratch);
          draw(map, kept[k], counts[k], at);
          let check = 0;
          for (let p = 0; p < span; p++) check += 0 * map[p]; // NaN if training diverged
          xHat[after] += check;
        }
        total += counts[k];
      }
      return total;
    }

    function activateDensely(map, entries) {
      let count = 0;
      for (let p = 0; p < span; p++) {
        const value = kind === 0 || !(map[p] <= 0) ? map[p] : 0;
        entries[before + p] = value;
        if (value !== 0) count++;
      }
      return count;
    }

    function draw(map, places, count, at) {
      for (let i = 0; i < count; i++) {
        const p = places[i], value = map[p];
        for (let t = 0; t < rows; t++) {
          const to = p + t * stride, from = at + t * m;
          for (let r = 0; r < m; r++) xHat[to + r] += value * mirrored[from + r];
        }
      }
    }

    // Normalized loss of what was drawn; its derivatives, times `weight`, go to `error`.
    function absoluteError(example, weight) {
      let loss = 0, scale = 0;
      for (let i = 0; i < height; i++) {
        for (let j = 0, p = after + i * stride; j < width; j++, p++) {
          const value = example[i * width + j], difference = xHat[p] - value;
          loss += Math.abs(difference);
          scale += Math.abs(value);
          error[p] = difference > 0 ? weight : difference < 0 ? -weight : 0;
        }
      }
      return loss / scale;
    }

    // What one example says of the kernels, as encoder and as mirrored decoder.
    function addGradient() {
      for (let k = 0; k < q; k++) {
        const at = k * one;
        if (!dense) {
          addGradientAt(s[k], kept[k], counts[k], at);
          continue;
        }
        read(error, mirrored, at, sError.fill(0), 0);
        blankGaps(sError);
        if (kind === 1) {
          for (let p = 0; p < span; p++) if (!(a[k][before + p] > 0)) sError[p] = 0;
        }
        for (let t = 0; t < rows; t++) {
          correlate(error, t * stride, a[k], before, span, decoder, at + t * m, m);
          correlate(x, t * stride, sError, 0, span, encoder, at + t * m, m);
        }
      }
    }

    function addGradientAt(map, places, count, at) {
      for (let i = 0; i < count; i++) {
        const p = places[i], value = map[p];
        let back = 0;
        for (let t = 0; t < rows; t++) {
          const from = p + t * stride, to = at + t * m;
          for (let r = 0; r < m; r++) {
            const e = error[from + r];
            back += e * mirrored[to + r];
            decoder[to + r] += value * e;
          }
        }
        for (let t = 0; t < rows; t++) {
          const from = p + t * stride, to = at + t * m;
          for (let r = 0; r < m; r++) encoder[to + r] += back * x[from + r];
        }
      }
    }

    // Gradient of the mean absolute error of a batch; `seen` gets each example's count and loss.
    function gradient(examples, batch, seen) {
      mirror(w, mirrored);
      encoder.fill(0);
      decoder.fill(0);
      for (const b of batch) {
        const count = encodeAndDraw(examples[b]);
        seen(count, absoluteError(examples[b], 1 / (batch.length * n)));
        addGradient();
      }
      mirror(decoder, mirrored);
      for (let i = 0; i < encoder.length; i++) encoder[i] += mirrored[i];
      return encoder;
    }

    function inverseCr(count) {
      return (q * one + (ndim + 1) * count) / n;
    }

    // Means over examples of L~, CR^-1 and phi. RangeError if a loss is not finite.
    function summary() {
      const sums = [0, 0, 0];
      let examples = 0;
      return {
        add(count, loss) {
          if (!Number.isFinite(loss)) throw new RangeError(
            "the loss must be finite; check x and the kernels for their size");
          const cost = inverseCr(count);
          [loss, cost, Math.hypot(cost, loss)].forEach((value, i) => (sums[i] += value));
          examples += 1;
        },
        means: () => sums.map((sum) => sum / examples),
      };
    }

    function measure(examples, kernels) {
      w.set(kernels);
      mirror(w, mirrored);
      const sums = summary();
      for (const example of examples) sums.add(encodeAndDraw(example), absoluteError(example, 1));
      return sums.means();
    }

    // Arrays as long as an example, from a line.
    const taken = (line, from) => Array.from({ length: n },
      (_, i) => line[from + Math.floor(i / width) * stride + (i % width)]);

    // What the network makes of an example: maps, reconstruction, count of activations, metrics.
    function describe(example, kernels) {
      w.set(kernels);
      mirror(w, mirrored);
      const count = encodeAndDraw(example), loss = absoluteError(example, 1), cost = inverseCr(count);
      const activations = s.map((map, k) => {
        if (dense) return taken(a[k], before);
        const sparse = new Float64Array(span);
        for (const p of kept[k].subarray(0, counts[k])) sparse[p] = map[p];
        return taken(sparse, 0);
      });
      const maps = s.map((map) => taken(map, 0));
      return { s: maps, a: activations, xHat: taken(xHat, after), count, loss, inverseCr: cost,
        phi: Math.hypot(cost, loss) };
    }

    return { w, gradient, measure, summary, describe };
  }

  // --- for figures --------------------------------------------------------------------------------

  // What kernels make of x: a signal is an array of numbers, an image an array of rows, and so are
  // kernels and maps. `d` stands in for the density that follows from m. Of an x that is zero
  // everywhere the loss is NaN.
  function code(x, kernels, activation, { borderTolerance = 2, d } = {}) {
    const image = Array.isArray(x[0]), width = x[0].length;
    const spatial = image ? [x.length, width] : [x.length], m = kernels[0].length;
    const used = d ?? density(activation, m, spatial, borderTolerance);
    const coded = network(spatial, m, kernels.length, activation, used).describe(x.flat(), kernels.flat(2));
    if (!Number.isFinite(coded.loss) && x.flat().some(Boolean)) {
      throw new RangeError("the loss must be finite; check x and the kernels for their size");
    }
    if (!image) return coded;
    const rowsOf = (flat) => x.map((_, y) => flat.slice(y * width, (y + 1) * width));
    return { ...coded, s: coded.s.map(rowsOf), a: coded.a.map(rowsOf), xHat: rowsOf(coded.xHat) };
  }

  // What a kernel draws at a place of n samples: its mirror image.
  function draw(kernel, place, n) {
    const first = place - Math.floor(kernel.length / 2);
    return Array.from({ length: n }, (_, t) => kernel[kernel.length - 1 - (t - first)] ?? 0);
  }

  return { ACTIVATIONS, code, density, draw, network, suppress };
}

const san = makeSan();
