// A kernel slides along a signal, and its similarity grows underneath (san.code).
document.addEventListener("DOMContentLoaded", () => plot.start("slide", startSlide));

function startSlide(root, { x, kernel, color }) {
  const last = x.length - 1;
  const { s: [s] } = san.code(x, [kernel], "identity");
  const before = Math.floor((kernel.length - 1) / 2);
  const strongest = Math.max(...kernel.map(Math.abs));
  const height = (0.8 * Math.max(...x.map(Math.abs))) / strongest;
  let reached = before;

  const at = plot.controls(root, {
    place: ["The kernel stands at sample", "range", { min: 0, max: last, value: before }],
    play: ["Slide", "button"],
  }, draw);
  const numbers = plot.add(root, "div", { class: "san-numbers" });
  const svgs = plot.stack(root, {
    signal: "Signal x (grey) and the kernel w, drawn taller; drag it",
    similarity: "Similarity s: how well the kernel fits where it stood so far",
  }, draw);
  plot.play(at.play, at.place, 30);
  plot.dragSlider(svgs.signal, at.place);

  function draw() {
    const t = Number(at.place.value);
    reached = Math.max(reached, t);
    at.place.say(`${t}`);
    let scale = plot.axes(svgs.signal, [0, last], plot.rangeOf(x));
    const [left, right] = [scale.x(t - before), scale.x(t - before + kernel.length - 1)];
    plot.add(svgs.signal, "rect", { class: "region", x: left, width: right - left, y: 0, height: "100%" });
    plot.line(svgs.signal, scale, x, { ...plot.GREY, "stroke-width": 2 });
    const shifted = { x: (j) => scale.x(t - before + j), y: scale.y };
    const tall = kernel.map((value) => height * value);
    plot.line(svgs.signal, shifted, tall, { stroke: color, "stroke-width": 2 });
    scale = plot.axes(svgs.similarity, [0, last], plot.rangeOf(s));
    plot.line(svgs.similarity, scale, s.slice(0, reached + 1), { stroke: color });
    plot.dots(svgs.similarity, scale, s, [t], color);
    plot.numbers(numbers, [["sample", `${t}`], ["similarity", s[t]]]);
  }
}
