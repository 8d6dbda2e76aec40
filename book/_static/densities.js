// The five activation functions on one similarity map under one density (san.code).
document.addEventListener("DOMContentLoaded", () => plot.start("densities", startDensities));

function startDensities(root, { s, size, border_tolerance: tolerance, activations }) {
  const last = s.length - 1;
  const at = plot.controls(root, {
    size: ["Kernel size, which sets the density:", "range", { min: 4, max: 100, value: size }],
  }, draw);
  const svgs = plot.stack(root, activations, draw);
  root.querySelector(".san-stack").classList.add("san-low");

  function draw() {
    const m = Number(at.size.value);
    at.size.say(`m = ${m} samples`);
    for (const [name, { label, color }] of Object.entries(activations)) {
      // A kernel of one sample, 1, leaves the map as it is.
      const d = san.density(name, m, [s.length], tolerance);
      const { a: [a], count } = san.code(s, [[1]], name, { d });
      const cost = ((m + 2 * count) / s.length).toFixed(2);
      const text = `${label}: ${count} of ${s.length} entries, CR⁻¹ ${cost}`;
      svgs[name].previousElementSibling.textContent = text;
      svgs[name].setAttribute("aria-label", text);
      const scale = plot.axes(svgs[name], [0, last], plot.rangeOf(s));
      plot.line(svgs[name], scale, s, plot.GREY);
      plot.stems(svgs[name], scale, a, color);
    }
  }
}
