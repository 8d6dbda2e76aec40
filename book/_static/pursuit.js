// The pursuit of one window by a multiscale SAN: activations come one by one, the strongest first.
// The page has the window, the kernels, where the pursuit placed them, and after each step the losses
// and the amplitudes, which least squares fit anew.
document.addEventListener("DOMContentLoaded", () => plot.start("pursuit", startPursuit));

function startPursuit(root, { x, places, maps, kernels, amplitudes, losses, num_weights: weights, cost, color }) {
  const atoms = places.map((place, k) => san.draw(kernels[maps[k]], place, x.length));
  const inverseCr = losses.map((_, k) => (weights + cost * k) / x.length);
  const phis = losses.map((loss, k) => Math.hypot(inverseCr[k], loss));
  const best = phis.indexOf(Math.min(...phis));
  const samples = [0, x.length - 1];

  const at = plot.controls(root, {
    steps: ["Activations", "range", { min: 0, max: places.length, value: best }],
    play: ["Pursue", "button"],
  }, draw);
  const numbers = plot.add(root, "div", { class: "san-numbers" });
  const svgs = plot.stack(root, {
    signal: "Window (grey) and its reconstruction",
    kernels: "Kernels where they lie, with their amplitudes; the newest in colour",
    curve: "φ against the number of activations; the pursuit takes the minimum",
  }, draw);
  plot.play(at.play, at.steps, 120);

  function draw() {
    const steps = Number(at.steps.value);
    at.steps.say(`${steps}`);
    const drawn = amplitudes[steps].map((a, k) => atoms[k].map((value) => a * value));
    const xHat = x.map((_, t) => drawn.reduce((sum, values) => sum + values[t], 0));
    let scale = plot.axes(svgs.signal, samples, plot.rangeOf([...x, ...xHat]));
    plot.line(svgs.signal, scale, x, { ...plot.GREY, "stroke-width": 2.5 });
    plot.line(svgs.signal, scale, xHat, { stroke: color });

    scale = plot.axes(svgs.kernels, samples, plot.rangeOf(drawn.flat()));
    drawn.forEach((values, k) => {
      const { length } = kernels[maps[k]];
      const first = Math.max(0, places[k] - Math.floor(length / 2));
      const inside = values.slice(first, places[k] - Math.floor(length / 2) + length);
      const shifted = { x: (t) => scale.x(first + t), y: scale.y };
      plot.line(svgs.kernels, shifted, inside, k === steps - 1 ? { stroke: color } : plot.GREY);
    });

    scale = plot.axes(svgs.curve, [0, phis.length - 1], plot.rangeOf(phis));
    plot.line(svgs.curve, scale, phis, plot.GREY);
    plot.dots(svgs.curve, scale, phis, [best], "var(--pst-color-success)");
    plot.dots(svgs.curve, scale, phis, [steps], color);

    plot.numbers(numbers, [
      ["φ", phis[steps]],
      ["CR⁻¹", inverseCr[steps]],
      ["L̃", losses[steps]],
      ["smallest φ", phis[best]],
      ["with activations", `${best}`],
    ]);
    svgs.kernels.setAttribute("aria-label", `${steps} kernels where they lie`);
    svgs.curve.setAttribute("aria-label", `φ ${phis[steps].toFixed(3)}, smallest ${phis[best].toFixed(3)}`);
  }
}
