// The timeline: a lane for each worker that blocked. A column is as high as the part of its time
// that was blocked, in the hue of the cause of most of it.

const TIME = { from: 0, to: 1, lanes: [], cursor: null, drag: null, all: false };
const LANE = 26;
const LABEL = 44;
const AXIS = 20;
const FEW_LANES = 24;
const LEAST_CELLS = 4;

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
  const { slice_ns, others, drawn, episodes } = DATA.lanes;
  const idle = others > 0 ? ` ${others} more never blocked.` : "";
  const left = drawn < episodes ? ` Of ${episodes} long polls the latest ${drawn} are drawn: the others are no longer held one by one.` : "";
  return `As high as the part of the time that was blocked, in the colour of the cause of most of it; at the finest ${duration(slice_ns)}.${idle}${left} Drag to zoom; keys: + - arrows Enter.`;
}

// Cells as columns of their own: where each is, how full, of which blocker.
function unpacked({ id, cells }) {
  const lane = { id, at: [], part: [], row: [], sum: 0 };
  let at = 0;
  for (let next = 0; next < cells.length; next += 3) {
    at += cells[next];
    lane.at.push(at);
    lane.part.push(cells[next + 1]);
    lane.row.push(cells[next + 2]);
    lane.sum += cells[next + 1];
    at += 1;
  }
  return lane;
}

function timeTools() {
  const more = TIME.lanes.length > FEW_LANES ? [button(`all ${TIME.lanes.length} workers`, showAllLanes)] : [];
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

function shownLanes() {
  return TIME.all ? TIME.lanes : TIME.lanes.slice(0, FEW_LANES);
}

// ------------------------------------------------------------------------- drawing

function drawLanes() {
  const lanes = shownLanes();
  const canvas = one("#timeline canvas");
  const { context, width, height } = surface(canvas, lanes.length * LANE + AXIS);
  const room = width - LABEL;
  lanes.forEach((lane, number) => drawLane(context, lane, number * LANE, room));
  drawAxis(context, time(TIME.from), time(TIME.to), LABEL, room, height - AXIS / 2);
  drawMarks(context, room, lanes.length * LANE);
}

function drawLane(context, lane, top, room) {
  context.fillStyle = colour("label");
  context.textAlign = "right";
  context.fillText(`W${lane.id}`, LABEL - 8, top + LANE - 9);
  context.fillStyle = colour("rule");
  context.fillRect(LABEL, top + LANE - 3, room, 1);
  const columns = columnsOf(lane, TIME.from, TIME.to, room);
  for (const [x, wide, part, row] of columns) {
    context.fillStyle = colour(causeOf(row));
    const tall = Math.max(2, part * (LANE - 6));
    context.fillRect(LABEL + x, top + LANE - 3 - tall, wide, tall);
  }
}

function causeOf(row) {
  return row < 0 ? "unknown" : DATA.blockers[row].cause;
}

// (x, width, part, row) of what is drawn: cells where they are wide, else columns of a pixel.
function columnsOf(lane, from, to, room) {
  const wide = room / (to - from);
  const columns = new Map();
  for (let next = firstAfter(lane.at, Math.floor(from)); next < lane.at.length && lane.at[next] < to; next += 1) {
    const x = (lane.at[next] - from) * wide;
    const pixel = wide >= 1 ? x : Math.floor(x);
    const column = columns.get(pixel) || { part: 0, rows: new Map() };
    column.part += lane.part[next];
    column.rows.set(lane.row[next], (column.rows.get(lane.row[next]) || 0) + lane.part[next]);
    columns.set(pixel, column);
  }
  const cells = Math.max(1, 1 / wide);
  return [...columns].map(([x, { part, rows }]) => [Math.max(x, 0), Math.max(wide, 1), Math.min(1, part / 1e4 / cells), heaviest(rows)[0]]);
}

function firstAfter(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drawMarks(context, room, height) {
  const wide = room / (TIME.to - TIME.from);
  if (TIME.drag) {
    const [begin, end] = TIME.drag.slice().sort((one, other) => one - other);
    context.globalAlpha = 0.15;
    context.fillStyle = colour("ink");
    context.fillRect(LABEL + (begin - TIME.from) * wide, 0, (end - begin) * wide, height);
    context.globalAlpha = 1;
  }
  if (!TIME.cursor) return;
  context.strokeStyle = colour("ink");
  const x = LABEL + (TIME.cursor.at - TIME.from) * wide;
  context.strokeRect(Math.round(x) - 0.5, TIME.cursor.lane * LANE + 0.5, Math.max(wide, 3), LANE - 2);
}

function time(cell) {
  return DATA.lanes.start_ns + cell * DATA.lanes.slice_ns;
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
  const middle = TIME.cursor ? TIME.cursor.at : (TIME.from + TIME.to) / 2;
  const half = ((TIME.to - TIME.from) * factor) / 2;
  look(middle - half, middle + half);
}

function pan(part) {
  const step = (TIME.to - TIME.from) * part;
  look(TIME.from + step, TIME.to + step);
}

function tellTime() {
  const told = one("#timeline .told");
  told.replaceChildren(TIME.cursor ? "" : `${duration(time(TIME.from))} to ${duration(time(TIME.to))}`);
  if (!TIME.cursor) return;
  const lane = shownLanes()[TIME.cursor.lane];
  const next = lane.at.indexOf(TIME.cursor.at);
  const row = lane.row[next];
  told.append(`W${lane.id} at ${duration(time(lane.at[next]))}: ${percent(lane.part[next] / 1e4)} of ${duration(DATA.lanes.slice_ns)} blocked`);
  if (row < 0) return;
  const blocker = DATA.blockers[row];
  told.append(", most of it by ", el("a", { href: linkTo(blocker) }, `blocker ${row + 1}, ${blocker.short}`), ` (${blocker.cause})`);
}

function setCursor(lane, index) {
  TIME.cursor = { lane, at: shownLanes()[lane].at[index] };
  const { at } = TIME.cursor;
  const width = TIME.to - TIME.from;
  if (at < TIME.from || at >= TIME.to) look(at - width / 2, at + width / 2);
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
  canvas.addEventListener("pointermove", (event) => (TIME.drag ? dragged(canvas, event) : pointed(canvas, event)));
  canvas.addEventListener("pointerup", (event) => released(canvas, event));
  canvas.addEventListener("pointercancel", () => { TIME.drag = null; drawLanes(); });
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

const CLICK_PX = 4;

function released(canvas, event) {
  const [begin, end] = TIME.drag.sort((one, other) => one - other);
  TIME.drag = null;
  const pixels = ((end - begin) / (TIME.to - TIME.from)) * (canvas.clientWidth - LABEL);
  if (pixels > CLICK_PX) {
    TIME.cursor = null;
    look(begin, end);
  } else pointed(canvas, event);
}

// The cell nearest to the pointer, in its lane, within some pixels.
function pointed(canvas, event) {
  const [, y] = pointAt(canvas, event);
  const number = Math.floor(y / LANE);
  const lane = shownLanes()[number];
  if (!lane) return;
  const at = cellAt(canvas, event);
  const next = firstAfter(lane.at, at);
  const near = [next - 1, next].filter((one) => one in lane.at);
  const nearest = near.sort((one, other) => Math.abs(lane.at[one] + 0.5 - at) - Math.abs(lane.at[other] + 0.5 - at))[0];
  const reach = Math.max(1, (8 * (TIME.to - TIME.from)) / canvas.clientWidth);
  if (nearest !== undefined && Math.abs(lane.at[nearest] + 0.5 - at) <= reach) setCursor(number, nearest);
}

function timeKey(event) {
  const to = {
    "+": () => scale(0.5), "=": () => scale(0.5), "-": () => scale(2), 0: () => look(0, TIME.cells),
    PageUp: () => pan(-0.5), PageDown: () => pan(0.5),
    ArrowLeft: () => stepCursor(-1), ArrowRight: () => stepCursor(1),
    ArrowUp: () => stepLane(-1), ArrowDown: () => stepLane(1),
    Enter: openAtCursor,
    Escape: () => { TIME.cursor = null; look(0, TIME.cells); },
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to();
}

function stepCursor(step) {
  const number = TIME.cursor ? TIME.cursor.lane : 0;
  const lane = shownLanes()[number];
  const now = TIME.cursor ? lane.at.indexOf(TIME.cursor.at) : firstAfter(lane.at, TIME.from) - (step > 0 ? 1 : 0);
  if (now + step in lane.at) setCursor(number, now + step);
}

function stepLane(step) {
  const number = (TIME.cursor ? TIME.cursor.lane : -1) + step;
  const lane = shownLanes()[number];
  if (!lane) return;
  const near = firstAfter(lane.at, TIME.cursor ? TIME.cursor.at : TIME.from);
  setCursor(number, Math.min(near, lane.at.length - 1));
}

function openAtCursor() {
  if (!TIME.cursor) return;
  const lane = shownLanes()[TIME.cursor.lane];
  const row = lane.row[lane.at.indexOf(TIME.cursor.at)];
  if (row >= 0) location.hash = linkTo(DATA.blockers[row]);
}
