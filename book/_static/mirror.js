// What one activation draws, sample by sample: the mirror image of the kernel (san.decode).
document.addEventListener("DOMContentLoaded", () => plot.start("mirror", startMirror));

// The first `count` samples of the kernel as decoding draws them at a place of a map of n samples.
function mirrorDrawn(kernel, place, n, count) {
  return san.draw(kernel.map((value, j) => (j < count ? value : 0)), place, n);
}

function startMirror(root, { kernel, n, color }) {
  const m = kernel.length;
  const at = plot.controls(root, {
    count: ["Samples of the kernel that are drawn:", "range", { min: 0, max: m, value: m }],
    place: ["Place of the activation:", "range", { min: 0, max: n - 1, value: Math.round(n / 2) }],
    play: ["Draw", "button"],
  }, draw);
  const svgs = plot.stack(root, {
    kernel: "The kernel w as it is stored; what is drawn already in colour",
    drawn: "An activation of 1 (stem) and what it draws; drag it",
  }, draw);
  plot.play(at.play, at.count, 30);
  plot.dragSlider(svgs.drawn, at.place);

  function draw() {
    const [count, place] = [Number(at.count.value), Number(at.place.value)];
    at.count.say(`${count} of ${m}`);
    at.place.say(`sample ${place}`);
    const range = plot.rangeOf([...kernel, 1.05 * Math.max(...kernel.map(Math.abs))]);
    // As wide as the map below, so that a sample is as wide in both.
    let scale = plot.axes(svgs.kernel, [0, n - 1], range);
    plot.line(svgs.kernel, scale, kernel, plot.GREY);
    plot.dots(svgs.kernel, scale, kernel, [...kernel.keys()].slice(0, count), color);
    const drawn = mirrorDrawn(kernel, place, n, count);
    scale = plot.axes(svgs.drawn, [0, n - 1], range);
    const stem = Array(n).fill(0);
    stem[place] = range[1];
    plot.stems(svgs.drawn, scale, stem, "var(--pst-color-text-muted)");
    plot.line(svgs.drawn, scale, drawn, { stroke: color });
    const visible = [...drawn.keys()].filter((t) => drawn[t] !== 0);
    plot.dots(svgs.drawn, scale, drawn, visible, color);
  }
}
