// The explorer of a database: the network of any activation function and kernel size on one test
// window. The page has the trained kernels and their metrics; san.js computes the rest.
document.addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll(".san-explorer")) {
    startExplorer(root, JSON.parse(root.querySelector("script").textContent));
  }
});

function startExplorer(root, data) {
  root.innerHTML = `
    <div class="san-controls">
      <label>Activation function <select data-name="activation"></select></label>
      <label>Kernel size m: <span data-name="size" aria-hidden="true"></span>
        <input type="range" data-name="index" min="0" step="1"></label>
    </div>
    <div class="san-numbers" data-name="mean"></div>
    <div class="san-numbers" data-name="window"></div>
    <p class="san-hidden" role="status" data-name="status"></p>
    <p class="san-hint" data-name="label"></p>
    <div data-name="view"></div>`;
  const at = (name) => root.querySelector(`[data-name="${name}"]`);
  const view = plot.network(at("view"));
  for (const [name, { label }] of Object.entries(data.activations)) {
    plot.add(at("activation"), "option", { value: name }, label);
  }
  at("label").textContent = `The first test window of ${data.label}.`;
  at("index").max = data.kernel_sizes.length - 1;

  function write(name, what, numbers) {
    at(name).replaceChildren();
    plot.add(at(name), "span", {}, what);
    for (const [symbol, value] of numbers) {
      const span = plot.add(at(name), "span", {}, `${symbol} `);
      plot.add(span, "b", {}, typeof value === "number" ? value.toFixed(3) : value);
    }
  }

  let spoken;
  function update() {
    const activation = at("activation").value;
    const m = data.kernel_sizes[at("index").value];
    const { color } = data.activations[activation];
    const { kernels, metrics, points } = data.networks[activation];
    const [x, w] = [data.window, kernels[m]];
    const d = san.density(activation, m, x.length, data.border_tolerance);
    const [s] = san.similarities(x, [w]);
    const a = san.activate(s, activation, d);
    const xHat = san.decode([a], [w]);
    const inverseCr = san.inverseCompressionRatio([a], m);
    const loss = san.normalizedLoss(x, xHat);
    const kept = a.filter((value) => value !== 0).length;
    const [meanLoss, meanInverseCr, meanPhi] = metrics[m];
    view.show({ x, w, s, a, xHat, color, points, current: [meanLoss, meanInverseCr] });
    at("size").textContent = m;
    at("index").setAttribute("aria-valuetext", `${m} samples`);
    write("mean", "All test windows:", [["φ̄", meanPhi], ["CR⁻¹", meanInverseCr], ["L̃", meanLoss]]);
    write("window", "This window:", [
      ["φ", san.phi(inverseCr, loss)],
      ["CR⁻¹", inverseCr],
      ["L̃", loss],
      ["activations", `${kept}`],
    ]);
    // Said once the slider rests, not at every step of it.
    clearTimeout(spoken);
    const say = `${at("mean").textContent}; ${at("window").textContent}`;
    spoken = setTimeout(() => (at("status").textContent = say), 500);
  }

  at("activation").addEventListener("input", () => {
    at("index").value = data.kernel_sizes.indexOf(data.networks[at("activation").value].chosen);
    update();
  });
  at("index").addEventListener("input", update);
  at("activation").value = data.first;
  at("activation").dispatchEvent(new Event("input"));
}
