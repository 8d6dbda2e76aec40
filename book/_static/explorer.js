// The explorer of a data set: the network of any activation function and kernel size on one test
// example. Of signals the page has the trained kernels and their metrics, and san.js computes the
// rest; of images it has the maps too.
document.addEventListener("DOMContentLoaded", () => plot.start("explorer", startExplorer));

function startExplorer(root, data) {
  const x = data.example, isImage = Array.isArray(x[0]);
  const at = plot.controls(root, {
    activation: ["Activation function", "select", data.activations],
    index: ["Kernel size m:", "range", { min: 0, max: data.kernel_sizes.length - 1 }],
  });
  const [means, ofExample] = ["mean", "example"].map((name) =>
    plot.add(root, "div", { class: "san-numbers", "data-name": name }),
  );
  const say = plot.speaker(root);
  const view = isImage ? plot.imageNetwork(root) : plot.network(root);

  // What the network of an activation function and a kernel size makes of the example.
  function describe(activation, m) {
    const { kernels, maps } = data.networks[activation], w = kernels[m];
    if (!isImage) return { w, ...san.code(x, w, activation, { borderTolerance: data.border_tolerance }) };
    const { s, kept, activations: count, x_hat: xHat, metrics } = maps[m];
    const values = (map, i) => map.map((row, y) => row.map((v, column) => v * kept[i][y][column]));
    const [loss, inverseCr, phi] = metrics;
    return { w, s, a: s.map(values), xHat, count, loss, inverseCr, phi };
  }

  function update() {
    const activation = at.activation.value, m = data.kernel_sizes[at.index.value];
    const { color } = data.activations[activation];
    const { metrics, points } = data.networks[activation];
    const of = describe(activation, m);
    const [loss, inverseCr, phi] = metrics[m];
    view.show({ ...of, x, color, points, current: [loss, inverseCr] });
    at.index.say(`${m} ${isImage ? "pixels" : "samples"}`);
    plot.numbers(means, [[`All test ${data.examples}: φ̄`, phi], ["CR⁻¹", inverseCr], ["L̃", loss]]);
    const { count } = of;
    plot.numbers(ofExample, [["This one: φ", of.phi], ["CR⁻¹", of.inverseCr], ["L̃", of.loss],
      ["activations", `${count}`]]);
    say(`${means.textContent}; ${ofExample.textContent}`);
  }

  function choose() {
    at.index.value = data.kernel_sizes.indexOf(data.networks[at.activation.value].chosen);
    update();
  }

  at.activation.addEventListener("input", choose);
  at.index.addEventListener("input", update);
  at.activation.value = data.first;
  choose();
}
