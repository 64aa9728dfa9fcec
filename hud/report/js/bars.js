// Bars: a length is a share, a hue is a cause, hatching is time without a CPU.

function meter(part, kind = "") {
  const bar = part > 0 ? styled(el("i", { class: kind }), { width: `${100 * part}%` }) : "";
  return el("span", { class: "meter", "aria-hidden": "true" }, bar);
}

// Rows of (label, value, part of the longest, remark).
function figureRows(rows, kind = () => "") {
  const cells = rows.flatMap(([label, value, part, remark = ""]) => [
    el("span", { class: "label" }, label),
    meter(part, kind(label)),
    el("span", { class: "v" }, value),
    el("span", { class: "label" }, remark),
  ]);
  return el("div", { class: "figures" }, ...cells);
}

function spark(values, label) {
  const most = Math.max(...values, 1);
  const bars = values.map((value, at) => bar(at, 0, (100 * value) / most));
  const box = { class: "spark", viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none" };
  return svg("svg", { ...box, role: "img", "aria-label": label }, ...bars);
}

// From a height on upwards, both of 100.
function bar(at, from, height, kind = "") {
  const tall = height > 0 ? Math.max(height, 1.5) : 0;
  const place = { x: at + 0.08, y: 100 - from - tall, width: 0.84, height: tall };
  return svg("rect", { ...place, class: `mark ${kind}` });
}

const FEWEST_SLICES = 8;

// Blocked time of all workers over the run, whose last slice may not be over.
function drawGraph() {
  const { slices, start_ns, slice_ns } = DATA.graph;
  const totals = slices.map((slice) => slice.reduce((sum, [, part]) => sum + part, 0));
  const most = Math.max(...totals, 1);
  one("#graph").hidden = slices.length < FEWEST_SLICES || most === 1;
  if (one("#graph").hidden) return;
  const rects = slices.flatMap((slice, at) => stacked(slice, at, most));
  const end_ns = DATA.span.start_ns + DATA.span.ns;
  const wide = (end_ns - start_ns) / slice_ns;
  const box = { viewBox: `0 0 ${wide} 100`, preserveAspectRatio: "none", role: "img" };
  const highest = percent(most / 1e4);
  const label = `worker time blocked, in columns of ${duration(slice_ns)}, at most ${highest}`;
  const drawn = svg("svg", { ...box, "aria-label": label }, ...rects);
  one("#graph").append(drawn, axis(start_ns, end_ns));
  const used = new Set(slices.flatMap((slice) => slice.map(([cause]) => cause)));
  one("#graph figcaption").append(
    label,
    ...[...used].sort().map((cause) => key(DATA.causes[cause])),
  );
}

function stacked(slice, at, most) {
  let below = 0;
  return slice.map(([cause, part]) => {
    const height = (100 * part) / most;
    const drawn = bar(at, below, height, `c-${DATA.causes[cause]}`);
    below += height;
    return drawn;
  });
}

function key(cause) {
  return el("span", { class: `key c-${cause}` }, cause);
}

function axis(from_ns, to_ns) {
  const middle = (from_ns + to_ns) / 2;
  return el(
    "div",
    { class: "axis", "aria-hidden": "true" },
    ...[from_ns, middle, to_ns].map((ns) => el("span", {}, duration(ns))),
  );
}
