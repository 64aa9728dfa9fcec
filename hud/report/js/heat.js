// The heat map: time runs to the right, and within each column downwards. What comes back every
// second shows as a line, what comes at random as noise.

const HEAT = { column: 0, cell: 0, most: 1, pointed: false };
const HEAT_CELL = 8;

function drawHeat() {
  const section = one("#heat");
  if (!DATA.heat || !DATA.lanes.workers.length) {
    section.hidden = true;
    return;
  }
  HEAT.most = Math.max(1, ...DATA.heat.columns.map((column) => Math.max(0, ...column)));
  one(".note", section).textContent = heatNote();
  const canvas = one("canvas", section);
  canvas.addEventListener("pointermove", (event) => heatAt(canvas, event));
  canvas.addEventListener("click", (event) => {
    heatAt(canvas, event);
    heatToTimeline();
  });
  canvas.addEventListener("keydown", heatKey);
  DRAWN.push(drawHeatMap);
  drawHeatMap();
}

function heatNote() {
  const { column_ns, cells } = DATA.heat;
  const said = [
    DATA.lanes.left,
    `Each column is ${duration(column_ns)} of the run, each of its ${cells} cells`,
    `${duration(column_ns / cells)}. The stronger a cell, the more of the worker time was blocked`,
    `(at most ${percent(HEAT.most / 100)}). Click one to see that moment in the timeline.`,
  ];
  return said.filter(Boolean).join(" ");
}

function drawHeatMap() {
  const { columns, cells, column_ns, start_ns } = DATA.heat;
  const { context, width, height } = surface(one("#heat canvas"), cells * HEAT_CELL + AXIS);
  const wide = columnWidth(width);
  const used = wide * columns.length;
  context.fillStyle = colour("panel");
  context.fillRect(0, 0, used, cells * HEAT_CELL);
  context.fillStyle = colour("ink");
  columns.forEach((column, x) =>
    column.forEach((part, y) => {
      if (!part) return;
      context.globalAlpha = Math.min(1, 0.12 + 0.88 * Math.sqrt(part / HEAT.most));
      context.fillRect(
        x * wide,
        y * HEAT_CELL,
        Math.max(wide - (wide > 3 ? 1 : 0), 1),
        HEAT_CELL - 1,
      );
    }),
  );
  context.globalAlpha = 1;
  drawAxis(context, start_ns, start_ns + columns.length * column_ns, 0, used, height - AXIS / 2);
  if (document.activeElement !== one("#heat canvas") && !HEAT.pointed) return;
  context.strokeStyle = colour("ink");
  context.strokeRect(
    HEAT.column * wide + 0.5,
    HEAT.cell * HEAT_CELL + 0.5,
    Math.max(wide - 1, 2),
    HEAT_CELL - 1,
  );
}

// Short runs do not stretch over the page.
function columnWidth(width) {
  return Math.min(24, width / DATA.heat.columns.length);
}

function heatAt(canvas, event) {
  const [x, y] = pointAt(canvas, event);
  HEAT.pointed = true;
  moveHeat(Math.floor(x / columnWidth(canvas.clientWidth)), Math.floor(y / HEAT_CELL));
}

function moveHeat(column, cell) {
  HEAT.column = Math.min(Math.max(column, 0), DATA.heat.columns.length - 1);
  HEAT.cell = Math.min(Math.max(cell, 0), DATA.heat.cells - 1);
  const [from, to] = heatSpan();
  const part = DATA.heat.columns[HEAT.column][HEAT.cell] || 0;
  const span = `${moment(from, to - from)} to ${moment(to, to - from)}`;
  const blocked = `${percent(part / 100)} of the worker time was blocked`;
  one("#heat .told").textContent = `${span}: ${blocked}`;
  drawHeatMap();
}

function heatSpan() {
  const { column_ns, cells, start_ns } = DATA.heat;
  const each = column_ns / cells;
  const from = start_ns + HEAT.column * column_ns + HEAT.cell * each;
  return [from, from + each];
}

function heatToTimeline() {
  const [from, to] = heatSpan().map((ns) => (ns - DATA.lanes.start_ns) / DATA.lanes.slice_ns);
  TIME.cursor = null;
  look(from - (to - from), to + (to - from));
  one("#timeline").scrollIntoView({ block: "start" });
}

function heatKey(event) {
  const to = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  }[event.key];
  if (to) moveHeat(HEAT.column + to[0], HEAT.cell + to[1]);
  else if (event.key === "Enter") heatToTimeline();
  else return;
  event.preventDefault();
}
