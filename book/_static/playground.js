// The playground: one signal, one kernel, one activation function, computed by san.js as you drag.
document.addEventListener("DOMContentLoaded", () => plot.start("playground", startPlayground));

function startPlayground(root, data) {
  // Kernels that need no training, of unit norm; u goes from -1 to 1 along the kernel.
  const SHAPES = {
    bump: (u) => Math.exp(-4 * u * u),
    edge: (u) => u * Math.exp(-4 * u * u),
  };
  const SIZES = data.kernel_sizes;
  const DENSITY = {
    "top-k absolutes": "k, activations to keep",
    "extrema-pool indices": "cell (samples)",
    extrema: "minimum extrema distance (samples)",
  };
  const first = Object.keys(data.signals)[0];
  const trained = Object.keys(data.kernels).map((name) => [name, `trained on ${name}`]);
  const shapes = Object.keys(SHAPES).map((name) => [name, name]);
  const at = plot.controls(root, {
    signal: ["Signal", "select", { ...data.signals, own: "your own" }],
    activation: ["Activation function", "select", data.activations],
    kernel: ["Kernel", "select", Object.fromEntries([...trained, ...shapes, ["own", "your own"]])],
    index: ["Kernel size m:", "range", { min: 0, max: SIZES.length - 1, value: SIZES.indexOf(10) }],
    density: ["Density:", "range", { min: 1 }],
    follow: ["density follows from m, as in the paper", "checkbox", { checked: "" }],
  });
  at.activation.value = "extrema";
  const numbers = plot.add(root, "div", { class: "san-numbers" });
  const message = plot.add(root, "p", { class: "san-message", role: "alert" });
  const say = plot.speaker(root);
  const view = plot.network(root);
  plot.add(root, "p", { class: "san-hint" },
    "Draw on the signal or on the kernel with the mouse or a finger, or change their numbers below.");
  const own = plot.add(root, "details");
  plot.add(own, "summary", {}, "Paste your own signal or kernel, as numbers");

  // What is on show: a signal, a kernel, and what an own kernel of any size is taken from.
  let x = data.signals[first].x;
  let w = [];
  let drawn = [1];

  // --- from the controls to a signal and a kernel -----------------------------------------------

  function chooseKernel() {
    const source = at.kernel.value;
    const m = SIZES[at.index.value];
    if (source in data.kernels) w = data.kernels[source][at.activation.value][m];
    else if (source in SHAPES) w = normalized(sampled(m, SHAPES[source]));
    else w = stretched(drawn, m);
  }

  // Values of a function at the centres of m equal parts of -1 to 1.
  function sampled(m, shape) {
    return Array.from({ length: m }, (_, j) => shape((2 * j + 1) / m - 1));
  }

  // Values at m places from the first to the last, on the straight lines between them.
  function stretched(values, m) {
    const last = values.length - 1;
    return Array.from({ length: m }, (_, j) => {
      const place = m > 1 ? (j / (m - 1)) * last : last / 2;
      const [before, after] = [Math.floor(place), Math.ceil(place)];
      return values[before] + (place - before) * (values[after] - values[before]);
    });
  }

  function normalized(values) {
    const norm = Math.hypot(...values);
    return norm > 0 ? values.map((value) => value / norm) : values.map(() => 1 / Math.sqrt(values.length));
  }

  function standardized(values) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    if (values.every((value) => value === values[0])) {
      throw new RangeError("a constant signal has no deviation to divide by");
    }
    const deviation = Math.sqrt(squares / (values.length - 1));
    return values.map((value) => (value - mean) / deviation);
  }

  function parsed(text, most) {
    const words = text.split(/[\s,;]+/).filter(Boolean);
    const values = words.map(Number);
    if (!values.length || values.length > most || !values.every(Number.isFinite)) {
      const wrong = words.find((word) => !Number.isFinite(Number(word)));
      throw new RangeError(`expected 1 to ${most} numbers, but got ${wrong ? `"${wrong}"` : values.length}`);
    }
    return values;
  }

  function takeSignal(values) {
    x = values;
    at.signal.value = "own";
  }

  function takeKernel(values) {
    w = drawn = values;
    at.kernel.value = "own";
  }

  // --- from a signal and a kernel to the figure -------------------------------------------------

  function update() {
    const activation = at.activation.value, n = x.length;
    let d = san.density(activation, w.length, [n], data.border_tolerance);
    at.density.parentNode.hidden = at.follow.parentNode.hidden = d === null;
    if (d !== null) {
      at.density.max = n;
      if (at.follow.checked) at.density.value = d;
      d = Number(at.density.value);
      at.density.say(`${DENSITY[activation]}: ${d}`);
    }
    at.index.say(`${w.length} samples`);
    if (!x.some(Boolean)) throw new RangeError("the loss relative to an all-zero signal is undefined");
    const coded = san.code(x, [w], activation, { d });
    const { color } = data.activations[activation];
    view.show({ ...coded, x, w: [w], color, points: [], current: [coded.loss, coded.inverseCr] });
    const shown = [["φ", coded.phi], ["CR⁻¹", coded.inverseCr], ["L̃", coded.loss],
      ["activations", `${coded.count} of ${n}`]];
    plot.numbers(numbers, shown);
    message.textContent = "";
    say(numbers.textContent);
  }

  // Change something and draw the figure, or say why that cannot be.
  function attempt(change) {
    try {
      change();
      update();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      plot.numbers(numbers, [["φ", "–"]]);
      message.textContent = `Not drawn: ${error.message}.`;
    }
  }

  // --- events -----------------------------------------------------------------------------------

  const texts = [
    ["Signal, numbers between spaces, commas or lines", () => x, takeSignal, 10000,
      "Subtract the mean, divide by the deviation", standardized],
    ["Kernel", () => w, takeKernel, 1000, "Scale the kernel to unit norm", normalized],
  ].map(([label, values, take, most, button, mend]) => {
    const text = plot.add(plot.add(own, "label", {}, label), "textarea", { rows: 4, spellcheck: "false" });
    // A typed text is taken as it is, so the texts are not written anew.
    text.addEventListener("input", () => attempt(() => take(parsed(text.value, most))));
    plot.add(own, "button", { type: "button" }, button).addEventListener("click", () => {
      attempt(() => take(mend(values())));
      writeTexts();
    });
    return [text, values];
  });

  function writeTexts() {
    for (const [text, values] of texts) {
      text.value = values().map((value) => Number(value.toPrecision(4))).join(" ");
    }
  }

  const choices = {
    signal() {
      x = data.signals[at.signal.value]?.x ?? x;
      if (at.signal.value === "own") own.open = true; // where it is pasted
    },
    activation() {
      if (at.kernel.value in data.kernels) chooseKernel();
      at.follow.checked = true; // a density means something else for each of them
    },
    kernel() {
      if (at.kernel.value === "own") drawn = w;
      else chooseKernel();
    },
    index: chooseKernel,
    density: () => (at.follow.checked = false),
    follow() {},
  };
  for (const [name, change] of Object.entries(choices)) {
    at[name].addEventListener("input", () => {
      attempt(change);
      writeTexts();
    });
  }

  // Drawing: the samples that the pointer passes take the values on the line that it draws.
  for (const [name, values, take] of [["signal", () => x, takeSignal], ["kernel", () => w, takeKernel]]) {
    const svg = view.svgs[name];
    let last;
    const ranges = () => {
      const { range, xRange } = view.scales[name];
      view.frozen[name] = range;
      return [xRange, range];
    };
    plot.drag(svg, ranges, (along, value) => {
      const sample = Math.min(Math.max(0, Math.round(along)), values().length - 1);
      const from = last ?? { sample, value };
      const changed = [...values()];
      const steps = Math.abs(sample - from.sample);
      for (let step = 0; step <= steps; step++) {
        const share = steps ? step / steps : 1;
        const t = Math.round(from.sample + share * (sample - from.sample));
        changed[t] = from.value + share * (value - from.value);
      }
      last = { sample, value };
      attempt(() => take(changed));
    });
    svg.addEventListener("lostpointercapture", () => {
      last = undefined;
      delete view.frozen[name];
      attempt(() => {});
      writeTexts();
    });
  }

  attempt(chooseKernel);
  writeTexts();
}
