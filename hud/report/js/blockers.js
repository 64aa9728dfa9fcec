// The ranked blockers: a row for each, opened by a click, by Enter and by a link #blocker=NAME.

const TITLES = [
  "",
  "share",
  "",
  "no CPU",
  "count",
  "typical",
  "worst",
  "cause",
  "code, and what to do",
];
const MINOR = new Set([0, 3, 4, 5]);
const BODIES = new Map();
const FIRST = 10;
const FEW = 12;

function drawBlockers() {
  const section = one("#blockers");
  if (!DATA.blockers.length) {
    section.append(el("p", {}, DATA.none));
    return;
  }
  const heads = TITLES.map((title, at) =>
    el("th", { scope: "col", class: columnClass(at) }, title),
  );
  const table = el(
    "table",
    { class: "blockers", "aria-label": "Blockers" },
    el("thead", {}, el("tr", {}, ...heads)),
  );
  table.append(...DATA.blockers.map(blockerBody));
  section.append(el("div", { class: "scroll" }, table));
  if (DATA.blockers.length > FEW) section.append(button("", showAll, { id: "all" }));
  if (DATA.left) section.append(el("p", { class: "note" }, DATA.left));
  filterRows("");
}

// Of many rows the first, until all are asked for; of a search, those that match.
function filterRows(text) {
  const found = DATA.blockers.filter((blocker) => !text || blockerMatches(blocker, text));
  const all = one("#all");
  const shown = text || !all ? found : found.slice(0, FIRST);
  for (const [name, body] of BODIES) body.hidden = !shown.some((blocker) => blocker.name === name);
  if (all) all.hidden = shown.length === found.length;
  if (all) all.textContent = `all ${DATA.blockers.length} rows`;
  return found.length;
}

function showAll() {
  one("#all").remove();
  filterRows("");
  one(".toggle", [...BODIES.values()][FIRST]).focus();
}

function blockerMatches(blocker, text) {
  const frames = blocker.tree.map(([, frame]) => DATA.frames[frame].slice(0, 2).join(" "));
  const texts = [
    blocker.name,
    blocker.call,
    blocker.cause,
    blocker.fix,
    ...blocker.facts,
    ...frames,
  ];
  return texts.some((one) => one.toLowerCase().includes(text));
}

function columnClass(at) {
  const kinds = [];
  if (at === 2) kinds.push("bar");
  if (MINOR.has(at)) kinds.push("minor");
  if (at && at !== 2 && at < 7) kinds.push("n");
  return kinds.join(" ") || null;
}

function blockerBody(blocker, at) {
  const [share, noCpu, count, typical, worst] = blocker.cells;
  const contents = [
    String(at + 1),
    share,
    meter(blocker.part),
    noCpu,
    count,
    typical,
    worst,
    el("span", { class: "cause" }, blocker.cause),
    said(blocker, at),
  ];
  const cells = contents.map((content, at) => el("td", { class: columnClass(at) }, content));
  const row = el("tr", { class: "row" }, ...cells);
  row.addEventListener("click", () => chosen(blocker, at));
  const body = el("tbody", { class: `c-${blocker.cause}` }, row);
  BODIES.set(blocker.name, body);
  return body;
}

function said(blocker, at) {
  const open = el(
    "button",
    {
      type: "button",
      class: "toggle",
      "aria-expanded": "false",
      "aria-controls": `detail-${at}`,
      title: blocker.name,
    },
    blocker.short,
  );
  const call = blocker.call ? el("span", { class: "call" }, ` in ${blocker.call}`) : null;
  const facts = blocker.facts.map((fact) => el("p", { class: "fact" }, fact));
  const fix = blocker.fix ? el("p", { class: "todo" }, blocker.fix) : null;
  const cell = document.createDocumentFragment();
  cell.append(...[open, call, ...facts, fix].filter(Boolean));
  return cell;
}

// A click that marks text opens nothing.
function chosen(blocker, at) {
  if (String(getSelection())) return;
  const isOpen = BODIES.get(blocker.name).classList.contains("open");
  setOpen(blocker, at, !isOpen);
  history.replaceState(null, "", isOpen ? "#blockers" : linkTo(blocker));
}

function linkTo(blocker) {
  return `#blocker=${encodeURIComponent(blocker.name)}`;
}

function setOpen(blocker, at, open) {
  const body = BODIES.get(blocker.name);
  body.classList.toggle("open", open);
  one(".toggle", body.rows[0]).setAttribute("aria-expanded", String(open));
  if (body.rows[1]) body.rows[1].hidden = !open;
  else if (open) body.append(detailRow(blocker, at));
}

function showBlocker(at) {
  const blocker = DATA.blockers[at];
  setOpen(blocker, at, true);
  const body = BODIES.get(blocker.name);
  body.hidden = false;
  body.scrollIntoView({ block: "start" });
  one(".toggle", body).focus({ preventScroll: true });
}

// #blocker=NAME, on load and whenever it changes.
function followLink() {
  const [, name] = location.hash.match(/^#blocker=(.*)$/) || [];
  if (name === undefined) return;
  const at = DATA.blockers.findIndex(
    (blocker) => linkTo(blocker) === location.hash || blocker.name === decoded(name),
  );
  if (at >= 0) showBlocker(at);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
