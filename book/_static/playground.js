// The playground: one signal, one kernel, one activation function, computed by san.js as you drag.
// Its data are JSON in the page, written by notebooks/playground.ipynb.
document.addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll(".san-playground")) {
    startPlayground(root, JSON.parse(root.querySelector("script").textContent));
  }
});

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
  const names = Object.keys(data.signals);

  root.innerHTML = `
    <div class="san-controls">
      <label>Signal <select data-name="signal"></select></label>
      <label>Activation function <select data-name="activation"></select></label>
      <label>Kernel <select data-name="kernel"></select></label>
      <label>Kernel size m: <span data-name="size" aria-hidden="true"></span>
        <input type="range" data-name="index" min="0" step="1"></label>
      <label data-name="densityLabel"><span data-name="densityName"></span>: <span data-name="d" aria-hidden="true"></span>
        <input type="range" data-name="density" min="1" step="1"></label>
      <label class="check"><input type="checkbox" data-name="follow" checked>
        density follows from m, as in the paper</label>
    </div>
    <div class="san-numbers">
      <span>φ <b data-name="phi"></b></span>
      <span>CR⁻¹ <b data-name="inverseCr"></b></span>
      <span>L̃ <b data-name="loss"></b></span>
      <span>activations <b data-name="kept"></b></span>
    </div>
    <p class="san-message" role="alert" data-name="message"></p>
    <p class="san-hidden" role="status" data-name="status"></p>
    <div data-name="view"></div>
    <p class="san-hint">Draw on the signal or on the kernel with the mouse or a finger, or change
      their numbers below.</p>
    <details data-name="numbers"><summary>Paste your own signal or kernel, as numbers</summary>
      <label>Signal, numbers between spaces, commas or lines
        <textarea data-name="signalText" rows="4" spellcheck="false"></textarea></label>
      <button type="button" data-name="standardize">Subtract the mean, divide by the deviation</button>
      <label>Kernel
        <textarea data-name="kernelText" rows="3" spellcheck="false"></textarea></label>
      <button type="button" data-name="normalize">Scale the kernel to unit norm</button>
    </details>
    <p class="san-hint" data-name="check"></p>`;
  const at = (name) => root.querySelector(`[data-name="${name}"]`);
  const view = plot.network(at("view"));

  for (const name of names) plot.add(at("signal"), "option", { value: name }, data.signals[name].label);
  plot.add(at("signal"), "option", { value: "own" }, "your own");
  for (const [name, { label }] of Object.entries(data.activations)) {
    plot.add(at("activation"), "option", { value: name }, label);
  }
  for (const name of Object.keys(data.kernels)) {
    plot.add(at("kernel"), "option", { value: name }, `trained on ${name}`);
  }
  for (const name of Object.keys(SHAPES)) plot.add(at("kernel"), "option", { value: name }, name);
  plot.add(at("kernel"), "option", { value: "own" }, "your own");
  at("activation").value = "extrema";

  // What is on show: a signal, a kernel, and what an own kernel of any size is taken from.
  let x = data.signals[names[0]].x;
  let w = [];
  let drawn = [1];

  // --- from the controls to a signal and a kernel -----------------------------------------------

  function chooseKernel() {
    const source = at("kernel").value;
    const m = SIZES[at("index").value];
    if (source in data.kernels) w = data.kernels[source][at("activation").value][m];
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
    const values = text.split(/[\s,;]+/).filter(Boolean).map(Number);
    if (!values.length || values.length > most || !values.every(Number.isFinite)) {
      const wrong = text.split(/[\s,;]+/).find((word) => !Number.isFinite(Number(word)));
      throw new RangeError(
        `expected 1 to ${most} numbers, but got ${wrong ? `"${wrong}"` : values.length}`,
      );
    }
    return values;
  }

  function takeSignal(values) {
    x = values;
    at("signal").value = "own";
  }

  function takeKernel(values) {
    w = drawn = values;
    at("kernel").value = "own";
  }

  // --- from a signal and a kernel to the figure -------------------------------------------------

  function compute() {
    const activation = at("activation").value;
    const n = x.length;
    if (w.length > n) throw new RangeError(`the kernel has ${w.length} samples, the signal only ${n}`);
    let d = san.density(activation, w.length, n, data.border_tolerance);
    at("densityLabel").hidden = d === null;
    at("follow").parentNode.hidden = d === null;
    if (d !== null) {
      at("density").max = n;
      if (at("follow").checked) at("density").value = d;
      d = Number(at("density").value);
      at("densityName").textContent = DENSITY[activation];
      at("d").textContent = d;
    }
    at("size").textContent = w.length;
    at("index").setAttribute("aria-valuetext", `${w.length} samples`);
    const [s] = san.similarities(x, [w]);
    const a = san.activate(s, activation, d);
    const xHat = san.decode([a], [w]);
    const inverseCr = san.inverseCompressionRatio([a], w.length);
    const loss = san.normalizedLoss(x, xHat);
    return { s, a, xHat, inverseCr, loss, phi: san.phi(inverseCr, loss) };
  }

  let spoken;
  function update() {
    const { s, a, xHat, inverseCr, loss, phi } = compute();
    const kept = a.filter((value) => value !== 0).length;
    const color = data.activations[at("activation").value].color;
    view.show({ x, w: [w], s: [s], a: [a], xHat, color, points: [], current: [loss, inverseCr] });
    at("phi").textContent = phi.toFixed(3);
    at("inverseCr").textContent = inverseCr.toFixed(3);
    at("loss").textContent = loss.toFixed(3);
    at("kept").textContent = `${kept} of ${x.length}`;
    at("message").textContent = "";
    // Said once the dragging has ended, not at every step of it.
    clearTimeout(spoken);
    const say = `φ ${phi.toFixed(3)}, CR⁻¹ ${inverseCr.toFixed(3)}, L̃ ${loss.toFixed(3)}, ${kept} activations`;
    spoken = setTimeout(() => (at("status").textContent = say), 500);
  }

  // Change something and draw the figure, or say why that cannot be.
  function attempt(change) {
    try {
      change();
      update();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      for (const name of ["phi", "inverseCr", "loss", "kept"]) at(name).textContent = "–";
      at("message").textContent = `Not drawn: ${error.message}.`;
    }
  }

  function writeTexts() {
    const text = (values) => values.map((value) => Number(value.toPrecision(4))).join(" ");
    at("signalText").value = text(x);
    at("kernelText").value = text(w);
  }

  // --- events -----------------------------------------------------------------------------------

  function onChoice(name, change) {
    at(name).addEventListener("input", () => {
      attempt(change);
      writeTexts();
    });
  }

  onChoice("signal", () => {
    x = data.signals[at("signal").value]?.x ?? x;
    if (at("signal").value === "own") at("numbers").open = true; // where it is pasted
  });
  onChoice("activation", () => {
    if (at("kernel").value in data.kernels) chooseKernel();
    at("follow").checked = true; // a density means something else for each of them
  });
  onChoice("kernel", () => {
    if (at("kernel").value === "own") drawn = w;
    else chooseKernel();
  });
  onChoice("index", chooseKernel);
  onChoice("density", () => {
    at("follow").checked = false;
  });
  onChoice("follow", () => {});

  // A typed text is taken as it is, so the texts are not written anew.
  function onText(name, take, most) {
    at(name).addEventListener("input", () => {
      attempt(() => take(parsed(at(name).value, most)));
    });
  }

  onText("signalText", takeSignal, 10000);
  onText("kernelText", takeKernel, 1000);

  function onButton(name, change) {
    at(name).addEventListener("click", () => {
      attempt(change);
      writeTexts();
    });
  }

  onButton("standardize", () => takeSignal(standardized(x)));
  onButton("normalize", () => takeKernel(normalized(w)));

  // Drawing: the samples that the pointer passes take the values on the line that it draws.
  function onDrawing(name, values, take) {
    const svg = view.svgs[name];
    let last;
    const draw = (event) => {
      const to = plot.pointed(view, name, event);
      to.sample = Math.min(to.sample, values().length - 1);
      const from = last ?? to;
      const changed = [...values()];
      const steps = Math.abs(to.sample - from.sample);
      for (let step = 0; step <= steps; step++) {
        const share = steps ? step / steps : 1;
        const t = Math.round(from.sample + share * (to.sample - from.sample));
        changed[t] = from.value + share * (to.value - from.value);
      }
      last = to;
      attempt(() => take(changed));
    };
    svg.classList.add("san-drawable");
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      svg.setPointerCapture(event.pointerId);
      view.frozen[name] = view.scales[name].range;
      draw(event);
    });
    svg.addEventListener("pointermove", (event) => {
      if (svg.hasPointerCapture(event.pointerId)) draw(event);
    });
    svg.addEventListener("lostpointercapture", () => {
      last = undefined;
      delete view.frozen[name];
      attempt(() => {});
      writeTexts();
    });
  }

  onDrawing("signal", () => x, takeSignal);
  onDrawing("kernel", () => w, takeKernel);

  // --- does this browser compute what san_core computes? ----------------------------------------

  function agrees({ x, kernel, activation, border_tolerance, expected }) {
    const d = san.density(activation, kernel.length, x.length, border_tolerance);
    const a = san.encode(x, [kernel], activation, [d]);
    const xHat = san.decode(a, [kernel]);
    const inverseCr = san.inverseCompressionRatio(a, kernel.length);
    const loss = san.normalizedLoss(x, xHat);
    const got = [...a[0], ...xHat, inverseCr, loss, san.phi(inverseCr, loss)];
    const wanted = [expected.a, expected.x_hat, expected.metrics].flat();
    const keptTheSame = a[0].every((value, t) => (value !== 0) === (expected.a[t] !== 0));
    return keptTheSame && got.every((value, i) => Math.abs(value - wanted[i]) < 1e-5);
  }

  const agreeing = data.cases.filter(agrees).length;
  at("check").textContent =
    `This browser agrees with san_core in ${agreeing} of ${data.cases.length} cases that were ` +
    "computed with the book.";

  at("index").max = SIZES.length - 1;
  at("index").value = SIZES.indexOf(10);
  attempt(chooseKernel);
  writeTexts();
}
