// Recorded trainings, epoch by epoch: the kernel, what it makes of a window (san.js), and the mean
// loss and phi on validation of every seed.
document.addEventListener("DOMContentLoaded", () => plot.start("training", startTraining));

function startTraining(root, { x, runs, activations, border_tolerance: borderTolerance }) {
  const epochs = Object.values(runs)[0][0].kernels.length - 1;
  const shown = Object.keys(runs).map((name) => [name, activations[name]]);
  let seed = 0;
  const at = plot.controls(root, {
    activation: ["Activation function", "select", Object.fromEntries(shown)],
    epoch: ["Epoch:", "range", { min: 0, max: epochs, value: epochs }],
    seed: ["Another seed", "button"],
    play: ["Train", "button"],
  }, draw);
  const numbers = plot.add(root, "div", { class: "san-numbers", role: "status" });
  const svgs = plot.stack(root, {
    kernel: "The kernel w after this epoch",
    window: "A test window (grey) and its reconstruction",
    loss: "L̃ on validation by epoch; all seeds pale",
    phi: "φ̄ on validation by epoch; all seeds pale",
  }, draw);
  plot.play(at.play, at.epoch, 150);
  at.seed.addEventListener("click", () => {
    seed = (seed + 1) % runs[at.activation.value].length;
    draw();
  });

  function draw() {
    const name = at.activation.value;
    const { color } = activations[name];
    const of = runs[name];
    const epoch = Number(at.epoch.value);
    at.epoch.say(`${epoch} of ${epochs}`);
    const w = of[seed].kernels[epoch];
    const { xHat, count } = san.code(x, [w], name, { borderTolerance });
    plot.numbers(numbers, [
      ["seed", `${seed}`],
      ["φ̄", of[seed].phi[epoch]],
      ["L̃", of[seed].loss[epoch]],
      ["activations of the window", `${count}`],
    ]);
    const every = of.flatMap(({ kernels }) => kernels.flat());
    let scale = plot.axes(svgs.kernel, [0, w.length - 1], plot.rangeOf(every));
    plot.line(svgs.kernel, scale, w, { stroke: color });
    scale = plot.axes(svgs.window, [0, x.length - 1], plot.rangeOf(x));
    plot.line(svgs.window, scale, x, plot.GREY);
    plot.line(svgs.window, scale, xHat.map((value) => Math.min(99, Math.max(-99, value))), { stroke: color });
    for (const metric of ["loss", "phi"]) {
      const range = plot.rangeOf(of.flatMap((run) => run[metric]));
      scale = plot.axes(svgs[metric], [0, epochs], range);
      for (const run of of) plot.line(svgs[metric], scale, run[metric], { stroke: color, opacity: 0.3 });
      plot.line(svgs[metric], scale, of[seed][metric], { stroke: color, "stroke-width": 2.5 });
      plot.dots(svgs[metric], scale, of[seed][metric], [epoch], color);
    }
  }
}
