// The lanes of the timeline: one for each worker that blocked. A column is as high as the part of
// its time that was blocked, in the hue of the cause of most of it.

const TIME = { from: 0, to: 1, cells: 1, lanes: [], cursor: null, drag: null, all: false };
const WHOLE = 1e4;
const LANE = 26;
const LABEL = 44;
const AXIS = 20;
const FEW_LANES = 24;

// Cells as columns of their own: where each is, how full, of which blocker. Cells of one blocker in
// a row are a stretch: what the cursor goes to.
function unpacked({ id, cells }) {
  const lane = { id, at: [], part: [], row: [], sum: 0, stretches: [] };
  let at = 0;
  for (let next = 0; next < cells.length; next += 3) {
    at += cells[next];
    const [, part, row] = cells.slice(next, next + 3);
    lane.at.push(at);
    lane.part.push(part);
    lane.row.push(row);
    lane.sum += part;
    stretch(lane.stretches, at, part, row);
    at += 1;
  }
  return lane;
}

function stretch(stretches, at, part, row) {
  const last = stretches[stretches.length - 1];
  if (last && last.end === at && last.row === row) {
    last.end = at + 1;
    last.part += part;
  } else stretches.push({ begin: at, end: at + 1, part, row });
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
    context.fillRect(LABEL + x, top + LANE - 3 - tall, wide + 0.5, tall);
  }
}

function causeOf(row) {
  return row < 0 ? "unknown" : DATA.blockers[row].cause;
}

// (x, width, part, row) of what is drawn: cells where they are wide, else columns of a pixel.
function columnsOf(lane, from, to, room) {
  const wide = room / (to - from);
  const columns = new Map();
  for (
    let next = firstAfter(lane.at, Math.floor(from));
    next < lane.at.length && lane.at[next] < to;
    next += 1
  ) {
    const x = (lane.at[next] - from) * wide;
    const pixel = wide >= 1 ? x : Math.floor(x);
    const column = columns.get(pixel) || { part: 0, rows: new Map() };
    column.part += lane.part[next];
    column.rows.set(lane.row[next], (column.rows.get(lane.row[next]) || 0) + lane.part[next]);
    columns.set(pixel, column);
  }
  const cells = Math.max(1, 1 / wide);
  return [...columns].map(([x, { part, rows }]) => [
    Math.max(x, 0),
    Math.max(wide, 1),
    Math.min(1, part / WHOLE / cells),
    heaviest(rows)[0],
  ]);
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
  const marked = atCursor();
  if (!marked) return;
  context.strokeStyle = colour("ink");
  const left = Math.max(0, Math.round((marked.begin - TIME.from) * wide));
  const right = Math.min(room, Math.round((marked.end - TIME.from) * wide));
  context.strokeRect(
    LABEL + left - 0.5,
    TIME.cursor.lane * LANE + 0.5,
    Math.max(right - left, 3),
    LANE - 2,
  );
}

// The stretch that is chosen; undefined = none is.
function atCursor() {
  return TIME.cursor ? shownLanes()[TIME.cursor.lane].stretches[TIME.cursor.stretch] : undefined;
}

function time(cell) {
  return DATA.lanes.start_ns + cell * DATA.lanes.slice_ns;
}
