// The timeline: what of the lanes is looked at, and what pointer and keys do.

const LEAST_CELLS = 4;
const CLICK_PX = 4;

function drawTimeline() {
  const section = one("#timeline");
  const { workers, slice_ns, ns } = DATA.lanes;
  if (!workers.length) {
    section.hidden = true;
    return;
  }
  TIME.lanes = workers.map(unpacked);
  if (TIME.lanes.length > FEW_LANES) TIME.lanes.sort((lane, other) => other.sum - lane.sum);
  TIME.cells = Math.ceil(ns / slice_ns);
  TIME.to = TIME.cells;
  one(".note", section).textContent = laneNote();
  one(".tools", section).append(...timeTools());
  listen(one("canvas", section));
  DRAWN.push(drawLanes);
  drawLanes();
}

function laneNote() {
  const { slice_ns, others, left } = DATA.lanes;
  const said = [
    left,
    "Height is the part of the time that was blocked, colour the cause of most of it,",
    `in steps of ${duration(slice_ns)} at the finest.`,
    others ? `${others} more workers never blocked.` : "",
    "Drag to zoom; keys: + \u2212 arrows Enter.",
  ];
  return said.filter(Boolean).join(" ");
}

function timeTools() {
  const more =
    TIME.lanes.length > FEW_LANES ? [button(`all ${TIME.lanes.length} workers`, showAllLanes)] : [];
  return [
    button("+", () => scale(0.5), { "aria-label": "zoom in" }),
    button("−", () => scale(2), { "aria-label": "zoom out" }),
    button("whole run", () => look(0, TIME.cells)),
    ...more,
  ];
}

function showAllLanes(event) {
  TIME.all = true;
  event.target.remove();
  drawLanes();
}

// ------------------------------------------------------------------------- looking

function look(from, to) {
  const width = Math.min(Math.max(to - from, LEAST_CELLS), TIME.cells);
  TIME.from = Math.min(Math.max(from, 0), TIME.cells - width);
  TIME.to = TIME.from + width;
  tellTime();
  drawLanes();
}

function scale(factor) {
  const marked = atCursor();
  const middle = marked ? (marked.begin + marked.end) / 2 : (TIME.from + TIME.to) / 2;
  const half = ((TIME.to - TIME.from) * factor) / 2;
  look(middle - half, middle + half);
}

function pan(part) {
  const step = (TIME.to - TIME.from) * part;
  look(TIME.from + step, TIME.to + step);
}

function tellTime() {
  const marked = atCursor();
  const [begin, end] = marked ? [marked.begin, marked.end] : [TIME.from, TIME.to];
  const slice = DATA.lanes.slice_ns;
  const span = `${moment(time(begin), slice)} to ${moment(time(end), slice)}`;
  const told = one("#timeline .told");
  told.replaceChildren(span);
  if (!marked) return;
  const blocked = duration((marked.part * slice) / WHOLE);
  told.replaceChildren(`W${shownLanes()[TIME.cursor.lane].id}, ${span}: blocked for ${blocked}`);
  if (marked.row < 0) return;
  const blocker = DATA.blockers[marked.row];
  told.append(
    ", most of it by ",
    el("a", { href: linkTo(blocker) }, `blocker ${marked.row + 1}, ${blocker.short}`),
    ` (${blocker.cause})`,
  );
}

function setCursor(lane, stretch) {
  TIME.cursor = { lane, stretch };
  const { begin, end } = atCursor();
  const width = TIME.to - TIME.from;
  if (end <= TIME.from || begin >= TIME.to) look(begin - width / 2, begin + width / 2);
  tellTime();
  drawLanes();
}

// ------------------------------------------------------------------------- keys and pointer

function listen(canvas) {
  canvas.addEventListener("keydown", timeKey);
  canvas.addEventListener("pointerdown", (event) => {
    const at = cellAt(canvas, event);
    TIME.drag = [at, at];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) =>
    TIME.drag ? dragged(canvas, event) : pointed(canvas, event),
  );
  canvas.addEventListener("pointerup", (event) => released(canvas, event));
  canvas.addEventListener("pointercancel", () => {
    TIME.drag = null;
    drawLanes();
  });
  canvas.addEventListener("dblclick", () => look(0, TIME.cells));
}

function cellAt(canvas, event) {
  const [x] = pointAt(canvas, event);
  const part = Math.min(Math.max((x - LABEL) / (canvas.clientWidth - LABEL), 0), 1);
  return TIME.from + part * (TIME.to - TIME.from);
}

function dragged(canvas, event) {
  TIME.drag[1] = cellAt(canvas, event);
  drawLanes();
}

function released(canvas, event) {
  const [begin, end] = TIME.drag.sort((one, other) => one - other);
  TIME.drag = null;
  const pixels = ((end - begin) / (TIME.to - TIME.from)) * (canvas.clientWidth - LABEL);
  if (pixels > CLICK_PX) {
    TIME.cursor = null;
    look(begin, end);
  } else pointed(canvas, event);
}

// The stretch nearest to the pointer, in its lane, within some pixels.
function pointed(canvas, event) {
  const [, y] = pointAt(canvas, event);
  const number = Math.floor(y / LANE);
  const lane = shownLanes()[number];
  if (!lane) return;
  const at = cellAt(canvas, event);
  const distances = lane.stretches.map(({ begin, end }) => Math.max(begin - at, at - end, 0));
  const least = Math.min(...distances);
  const reach = (8 * (TIME.to - TIME.from)) / canvas.clientWidth;
  if (least <= reach) setCursor(number, distances.indexOf(least));
}

function timeKey(event) {
  const to = {
    "+": () => scale(0.5),
    "=": () => scale(0.5),
    "-": () => scale(2),
    0: () => look(0, TIME.cells),
    PageUp: () => pan(-0.5),
    PageDown: () => pan(0.5),
    ArrowLeft: () => stepCursor(-1),
    ArrowRight: () => stepCursor(1),
    ArrowUp: () => stepLane(-1),
    ArrowDown: () => stepLane(1),
    Enter: openAtCursor,
    Escape: () => {
      TIME.cursor = null;
      look(0, TIME.cells);
    },
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to();
}

function stepCursor(step) {
  const number = TIME.cursor ? TIME.cursor.lane : 0;
  const { stretches } = shownLanes()[number];
  const next = TIME.cursor ? TIME.cursor.stretch + step : stretchFrom(stretches, TIME.from);
  if (next in stretches) setCursor(number, next);
}

function stepLane(step) {
  const marked = atCursor();
  const number = (TIME.cursor ? TIME.cursor.lane : -1) + step;
  const lane = shownLanes()[number];
  if (lane) setCursor(number, stretchFrom(lane.stretches, marked ? marked.begin : TIME.from));
}

// The first that is not over there, else the last.
function stretchFrom(stretches, at) {
  const next = stretches.findIndex(({ end }) => end > at);
  return next < 0 ? stretches.length - 1 : next;
}

function openAtCursor() {
  const marked = atCursor();
  if (marked && marked.row >= 0) location.hash = linkTo(DATA.blockers[marked.row]);
}
