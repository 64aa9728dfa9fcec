// What the two canvases share: their size, and colours as the theme resolves them.

const DRAWN = [];
let COLOURS = new Map();

// A canvas as wide as its box and so high, in the pixels of the screen.
function surface(canvas, height) {
  styled(canvas, { height: `${height}px` });
  const ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  return { context, width, height };
}

// A variable of the style sheet as a colour that a canvas understands.
function colour(variable) {
  if (!COLOURS.has(variable)) {
    const probe = styled(el("span", { hidden: true }), { color: `var(--${variable}, var(--ink))` });
    document.body.append(probe);
    COLOURS.set(variable, getComputedStyle(probe).color);
    probe.remove();
  }
  return COLOURS.get(variable);
}

function redraw() {
  COLOURS = new Map();
  for (const draw of DRAWN) draw();
}

// The round step of an axis: about one for every so many pixels.
function tickStep(from_ns, to_ns, width) {
  const wanted = ((to_ns - from_ns) * 110) / Math.max(width, 1);
  const steps = [1, 2, 5].flatMap((digit) =>
    [...Array(16).keys()].map((power) => digit * 10 ** power),
  );
  const minutes = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400].map(
    (s) => s * 1e9,
  );
  const known = [...steps.filter((step) => step < 60e9), ...minutes].sort(
    (one, other) => one - other,
  );
  return known.find((one) => one >= wanted) || known[known.length - 1];
}

function drawAxis(context, from_ns, to_ns, left, width, y) {
  context.fillStyle = colour("label");
  context.textAlign = "left";
  const step = tickStep(from_ns, to_ns, width);
  for (let ns = Math.ceil(from_ns / step) * step; ns <= to_ns; ns += step) {
    const x = left + ((ns - from_ns) / (to_ns - from_ns)) * width;
    context.fillRect(x, y - 8, 1, 4);
    if (x < left + width - 50) context.fillText(moment(ns, step), x + 3, y);
  }
}

function pointAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
