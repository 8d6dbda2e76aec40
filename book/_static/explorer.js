// The explorer of a data set: the network of any activation function and kernel size on one test
// example. Of signals the page has the trained kernels and their metrics, and san.js computes the
// rest; of images it has the maps too.
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
    <div class="san-numbers" data-name="example"></div>
    <p class="san-hidden" role="status" data-name="status"></p>
    <div data-name="view"></div>`;
  const at = (name) => root.querySelector(`[data-name="${name}"]`);
  const isImage = Array.isArray(data.example[0]);
  const view = isImage ? plot.imageNetwork(at("view")) : plot.network(at("view"));
  for (const [name, { label }] of Object.entries(data.activations)) {
    plot.add(at("activation"), "option", { value: name }, label);
  }
  at("index").max = data.kernel_sizes.length - 1;

  function write(name, what, numbers) {
    at(name).replaceChildren();
    plot.add(at(name), "span", {}, what);
    for (const [symbol, value] of numbers) {
      const span = plot.add(at(name), "span", {}, `${symbol} `);
      plot.add(span, "b", {}, typeof value === "number" ? value.toFixed(3) : value);
    }
  }

  // What the network of an activation function and a kernel size makes of the example.
  function network(activation, m) {
    const x = data.example;
    const { kernels, maps } = data.networks[activation];
    const w = kernels[m];
    if (isImage) {
      const { s, kept, activations, x_hat: xHat, metrics } = maps[m];
      const values = (map, i) => map.map((row, y) => row.map((v, column) => v * kept[i][y][column]));
      return { x, w, s, a: s.map(values), xHat, metrics, activations };
    }
    const d = san.density(activation, m, x.length, data.border_tolerance);
    const s = san.similarities(x, w);
    const a = s.map((map) => san.activate(map, activation, d));
    const xHat = san.decode(a, w);
    const loss = san.normalizedLoss(x, xHat);
    const inverseCr = san.inverseCompressionRatio(a, m * w.length);
    const metrics = [loss, inverseCr, san.phi(inverseCr, loss)];
    return { x, w, s, a, xHat, metrics, activations: plot.count(a) };
  }

  let spoken;
  function update() {
    const activation = at("activation").value;
    const m = data.kernel_sizes[at("index").value];
    const { color } = data.activations[activation];
    const { metrics, points } = data.networks[activation];
    const of = network(activation, m);
    const [loss, inverseCr, phi] = of.metrics;
    const [meanLoss, meanInverseCr, meanPhi] = metrics[m];
    view.show({ ...of, color, points, current: [meanLoss, meanInverseCr] });
    at("size").textContent = m;
    at("index").setAttribute("aria-valuetext", `${m} ${isImage ? "pixels" : "samples"}`);
    const means = [["φ̄", meanPhi], ["CR⁻¹", meanInverseCr], ["L̃", meanLoss]];
    write("mean", `All test ${data.examples}:`, means);
    write("example", "This one:", [
      ["φ", phi],
      ["CR⁻¹", inverseCr],
      ["L̃", loss],
      ["activations", `${of.activations}`],
    ]);
    // Said once the slider rests, not at every step of it.
    clearTimeout(spoken);
    const say = `${at("mean").textContent}; ${at("example").textContent}`;
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
