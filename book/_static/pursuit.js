// The pursuit of one window by a SAN with scales: activations come one by one, the strongest first.
// The page has the window, the kernels and where the pursuit placed them; san.js fits the amplitudes.
document.addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll(".san-pursuit")) {
    startPursuit(root, JSON.parse(root.querySelector("script").textContent));
  }
});

function startPursuit(root, data) {
  root.innerHTML = `
    <div class="san-controls">
      <label>Activations: <span data-name="count" aria-hidden="true"></span>
        <input type="range" data-name="steps" min="0" step="1"></label>
    </div>
    <div class="san-numbers" data-name="numbers"></div>
    <p class="san-hidden" role="status" data-name="status"></p>
    <div class="san-panels">
      <figure><figcaption>Window (grey) and reconstruction</figcaption>
        <svg role="img" data-name="signal"></svg></figure>
      <figure><figcaption>φ against the number of activations</figcaption>
        <svg role="img" data-name="curve"></svg></figure>
      <figure><figcaption>Kernels where they lie, the newest in colour</figcaption>
        <svg role="img" data-name="kernels"></svg></figure>
    </div>`;
  const at = (name) => root.querySelector(`[data-name="${name}"]`);
  const { x, places, maps, kernels, num_weights: weights, cost, color } = data;
  const atoms = places.map((place, k) => san.draw(kernels[maps[k]], place, x.length));
  const { losses, residuals, amplitudes } = san.refit(x, atoms);
  const inverseCr = losses.map((_, k) => (weights + cost * k) / x.length);
  const phis = losses.map((loss, k) => san.phi(inverseCr[k], loss));
  const best = phis.indexOf(Math.min(...phis));
  const grey = { stroke: "var(--pst-color-text-muted)", opacity: 0.6 };

  let spoken;
  function update() {
    const steps = Number(at("steps").value);
    const xHat = x.map((value, t) => value - residuals[steps][t]);
    const samples = [0, x.length - 1];
    let axes = plot.axes(at("signal"), samples, plot.rangeOf([...x, ...xHat]));
    plot.line(at("signal"), axes, x, { ...grey, "stroke-width": 2.5 });
    plot.line(at("signal"), axes, xHat, { stroke: color });

    axes = plot.axes(at("curve"), [0, phis.length - 1], plot.rangeOf(phis));
    plot.line(at("curve"), axes, phis, { stroke: "var(--pst-color-text-base)" });
    plot.dots(at("curve"), axes, phis, [best], "var(--pst-color-success)");
    plot.dots(at("curve"), axes, phis, [steps], color);

    const scaled = amplitudes(steps).map((a, k) => atoms[k].map((value) => a * value));
    axes = plot.axes(at("kernels"), samples, plot.rangeOf(scaled.flat()));
    scaled.forEach((drawn, k) => {
      plot.line(at("kernels"), axes, drawn, k === steps - 1 ? { stroke: color } : grey);
    });

    at("count").textContent = steps;
    at("numbers").replaceChildren();
    const numbers = [["φ", phis[steps]], ["CR⁻¹", inverseCr[steps]], ["L̃", losses[steps]]];
    for (const [symbol, value] of numbers) {
      const span = plot.add(at("numbers"), "span", {}, `${symbol} `);
      plot.add(span, "b", {}, value.toFixed(3));
    }
    const smallest = `smallest φ ${phis[best].toFixed(3)} with ${best} activations`;
    plot.add(at("numbers"), "span", {}, smallest);
    const newest = steps ? `, the newest of ${kernels[maps[steps - 1]].length} samples` : "";
    at("signal").setAttribute("aria-label", `Window and reconstruction from ${steps} activations`);
    at("curve").setAttribute("aria-label", `φ ${phis[steps].toFixed(3)}; ${smallest}`);
    at("kernels").setAttribute("aria-label", `${steps} kernels${newest}`);
    // Said once the slider rests, not at every step of it.
    clearTimeout(spoken);
    spoken = setTimeout(() => (at("status").textContent = at("numbers").textContent), 500);
  }

  at("steps").max = places.length;
  at("steps").value = best;
  at("steps").addEventListener("input", update);
  new ResizeObserver(update).observe(at("signal"));
  update();
}
