// Other methods on the same windows, as sanbook/methods/fixed.py has them: each adds one entry after
// the other, and each window stops at its own smallest phi. `filters` are orthogonal wavelets by name.
function otherMethods(filters) {
  // Loss after 0, 1, ... entries: the largest coefficients first. Each draws `values` from its first
  // sample to its last.
  function lossesOfLargest(x, coefficients, drawing) {
    const order = [...coefficients.keys()].sort((i, j) => Math.abs(coefficients[j]) - Math.abs(coefficients[i]));
    const residual = Float64Array.from(x), scale = residual.reduce((sum, value) => sum + Math.abs(value), 0);
    const losses = [1];
    let total = scale;
    for (const i of order.slice(0, x.length >> 1)) {
      const { values, first, last } = drawing(i), amplitude = coefficients[i];
      for (let t = first; t <= last; t++) {
        const before = residual[t];
        residual[t] = before - amplitude * values[t];
        total += Math.abs(residual[t]) - Math.abs(before);
      }
      losses.push(total / scale);
    }
    return losses;
  }

  function dct(x) {
    const n = x.length, cosines = Float64Array.from({ length: 4 * n }, (_, i) => Math.cos((Math.PI * i) / (2 * n)));
    const drawing = (k) => {
      const norm = Math.sqrt((k ? 2 : 1) / n);
      const values = new Float64Array(n);
      for (let t = 0; t < n; t++) values[t] = norm * cosines[((2 * t + 1) * k) % (4 * n)];
      return { values, first: 0, last: n - 1 };
    };
    const coefficients = Array.from(x, (_, k) => drawing(k).values.reduce((sum, value, t) => sum + value * x[t], 0));
    return lossesOfLargest(x, coefficients, drawing);
  }

  // "Periodization" of PyWavelets: beyond its borders a window begins anew; of an odd number of
  // samples the last is repeated.
  function wavelets([low, high], level) {
    const half = low.length / 2;
    return (x) => {
      const lengths = [x.length];
      while (lengths.length <= level) lengths.push((lengths.at(-1) + 1) >> 1);
      const place = (k, j, even) => (((half + 2 * k - j) % even) + even) % even;
      const details = [];
      let rest = Float64Array.from(x);
      for (let l = 0; l < level; l++) {
        const even = 2 * lengths[l + 1], [next, detail] = [0, 1].map(() => new Float64Array(even / 2));
        for (let k = 0; k < even / 2; k++) {
          for (let j = 0; j < low.length; j++) {
            const value = rest[Math.min(place(k, j, even), lengths[l] - 1)];
            next[k] += low[j] * value;
            detail[k] += high[j] * value;
          }
        }
        details.unshift(detail);
        rest = next;
      }
      const bands = [rest, ...details];
      const at = bands.flatMap((band, b) => Array.from(band, (_, k) => [b, k]));
      // One coefficient of 1, upwards from its band; all else is zero.
      const drawing = (i) => {
        const [b, k] = at[i];
        let values = new Float64Array(bands[b].length), [first, last] = [k, k];
        values[k] = 1;
        for (let l = level - Math.max(b, 1), filter = b ? high : low; l >= 0; l--, filter = low) {
          const drawn = new Float64Array(lengths[l]), even = 2 * lengths[l + 1];
          let [from, to] = [lengths[l], -1];
          for (let k = first; k <= last; k++) {
            for (let j = 0; values[k] && j < low.length; j++) {
              const t = place(k, j, even);
              if (t >= lengths[l]) continue;
              drawn[t] += filter[j] * values[k];
              if (t < from) from = t;
              if (t > to) to = t;
            }
          }
          [values, first, last] = [drawn, from, to];
        }
        return { values, first, last };
      };
      return lossesOfLargest(x, bands.flatMap((band) => [...band]), drawing);
    };
  }

  // Straight lines between samples; where the error is largest, the next sample is sent.
  function lines(x) {
    const n = x.length, places = [0, n - 1], scale = x.reduce((sum, value) => sum + Math.abs(value), 0);
    const errors = new Float64Array(n);
    const draw = (from, to) => {
      const slope = (x[to] - x[from]) / (to - from);
      for (let t = from + 1; t < to; t++) errors[t] = Math.abs(x[t] - (slope * (t - from) + x[from]));
    };
    draw(0, n - 1);
    const losses = [];
    for (;;) {
      losses.push(errors.reduce((sum, value) => sum + value, 0) / scale);
      let worst = 0;
      for (let t = 1; t < n; t++) if (errors[t] > errors[worst]) worst = t;
      if (errors[worst] === 0 || places.length >= n >> 1) break;
      const i = places.findIndex((place) => place > worst);
      draw(places[i - 1], worst);
      draw(worst, places[i]);
      errors[worst] = 0;
      places.splice(i, 0, worst);
    }
    return [losses[0], losses[0], ...losses]; // both ends are always sent
  }

  // The largest samples as they are, which is doing without any kernel.
  const samples = (x) => lossesOfLargest(x, x, (i) => ({ values: { [i]: 1 }, first: i, last: i }));

  // Means over windows of L~, CR^-1 and phi, each with the number of entries of its smallest phi.
  function measure(path, fewest, windows) {
    const each = windows.map((x) => {
      const cost = (count) => (2 * Math.max(count, fewest)) / x.length;
      const all = path(x).map((loss, count) => [loss, cost(count), Math.hypot(loss, cost(count))]);
      return all.reduce((best, one) => (one[2] < best[2] ? one : best));
    });
    return [0, 1, 2].map((i) => each.reduce((sum, one) => sum + one[i], 0) / each.length);
  }

  // DCT, straight lines, the wavelet and the level that are best on validation, and single samples.
  return ({ validation, test }) => {
    const n = test[0].length;
    const candidates = Object.entries(filters).flatMap(([name, filter]) => {
      const deepest = Math.max(0, Math.floor(Math.log2(n / (filter[0].length - 1))));
      const levels = new Set([2, 1, 0].map((above) => Math.max(1, deepest - above)));
      return [...levels].map((level) =>
        ({ label: `Wavelets (${name}, ${level} levels)`, path: wavelets(filter, level) }));
    });
    for (const candidate of candidates) candidate.phi = measure(candidate.path, 0, validation)[2];
    const best = candidates.reduce((one, other) => (other.phi < one.phi ? other : one));
    return [["DCT", dct, 0], ["Straight lines", lines, 2], [best.label, best.path, 0],
      ["Single samples", samples, 0]].map(
      ([label, path, fewest]) => ({ label, means: measure(path, fewest, test) }),
    );
  };
}

// Whether a SAN of this phi is the right tool, by what `otherMethods` has measured. It has to beat zeros,
// and single samples without a kernel. `strongest` is the share of the energy that the strongest tenth
// of the samples holds: 0.44 in noise, 0.2 in a sine, 0.8 to 0.9 in the ECGs of the book.
function verdictOf(phi, others, strongest, tie) {
  const wrong = "A SAN is the wrong tool for this recording";
  if (phi >= 1) return `That is no better than sending nothing at all, whose φ is 1. ${wrong}.`;
  if (!others.length) return "";
  const samples = others.at(-1), best = others.reduce((one, other) => (other.means[2] < one.means[2] ? other : one));
  const { label, means: [, , least] } = best, shorter = least < phi - tie;
  const described = `${label.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase())}, φ̄ ${least.toFixed(2)} by the same stop`;
  if (samples.means[2] < phi + tie) {
    return `Single samples, sent without any kernel, have φ̄ ${samples.means[2].toFixed(2)}. No kernel beats doing ` +
      `without one, so nothing was found that recurs. ${wrong}. The shortest description is by ${described}.`;
  }
  const stands = `The strongest tenth of the samples holds ${(100 * strongest).toFixed(0)} % of the energy, in noise 44 %:`;
  if (strongest < 0.6) {
    return `${stands} no short events stand out. ` + (shorter
      ? `${wrong}: the shortest description is by ${described}.`
      : `Yet no other method tried is better; the nearest is ${described}.`);
  }
  return `${stands} events stand out. ` + (shorter
    ? `To list them, use the activations. To describe the recording briefly, a SAN is the wrong tool: use ${described}.`
    : `No other method tried is better, the nearest is ${described}. A SAN suits this recording.`);
}
