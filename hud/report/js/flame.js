// The flame graph: callers above, calls below, width = blocked time, hue = cause of most of it.

const FLAME = { root: null, zoomed: null, chosen: null, search: "", nodes: new Map() };
const LINE = 20;
const NARROWEST = 0.0012;

function drawFlame() {
  const section = one("#flame");
  FLAME.root = FLAME.zoomed = FLAME.chosen = joined();
  if (!FLAME.root.ns) {
    section.hidden = true;
    return;
  }
  one(".note", section).textContent = flameNote();
  one(".tools", section).append(button("reset zoom", () => zoom(FLAME.root)));
  const box = one(".flames", section);
  box.addEventListener("click", (event) => withNode(event, (node) => zoom(node)));
  box.addEventListener("pointerover", (event) => withNode(event, tell));
  box.addEventListener("focusin", (event) => withNode(event, tell));
  box.addEventListener("keydown", (event) => withNode(event, (node) => flameKey(event, node)));
  DRAWN.push(layOut);
  layOut();
  tell(FLAME.root);
}

function flameNote() {
  const said = [
    "Callers are above, the calls they make below; width is the time that workers were blocked",
    "there. Your own code is bold; frames of tokio and std around it are left out. Click to zoom.",
  ];
  if (DATA.left) said.push(`It shows the ${DATA.blockers.length} rows above.`);
  if (DATA.left_ns) said.push(`Calls of less than ${duration(DATA.left_ns)} are left out.`);
  return said.join(" ");
}

function withNode(event, does) {
  const node = FLAME.nodes.get(event.target.closest(".flames > div"));
  if (node) does(node);
}

function layOut() {
  const box = one(".flames");
  box.replaceChildren();
  FLAME.nodes.clear();
  const above = way(FLAME.zoomed);
  above.forEach((node, level) => place(box, node, 0, 1, level, node !== FLAME.zoomed));
  let deepest = above.length;
  const waiting = [[FLAME.zoomed, 0, above.length]];
  while (waiting.length) {
    const [parent, left, level] = waiting.pop();
    let from = left;
    for (const node of widestFirst(parent)) {
      const width = node.ns / FLAME.zoomed.ns;
      if (width < NARROWEST) break;
      place(box, node, from, width, level, false);
      waiting.push([node, from, level + 1]);
      deepest = Math.max(deepest, level + 1);
      from += width;
    }
  }
  styled(box, { height: `${deepest * LINE}px` });
  markFound();
}

// From the outermost call to this one.
function way(node) {
  const steps = [];
  for (let step = node; step; step = step.parent) steps.unshift(step);
  return steps;
}

function place(box, node, left, width, level, isAbove) {
  const [name, , whose] = named(node);
  const cause = DATA.causes[heaviest(node.causes)[0]];
  const kinds = node.parent ? `k${whose} c-${cause}` : "root";
  const made = el(
    "div",
    {
      class: `${kinds}${isAbove ? " above" : ""}`,
      role: "treeitem",
      tabindex: node === FLAME.zoomed ? "0" : "-1",
      "aria-level": level + 1,
      "aria-label": `${name}, ${amount(node)}`,
    },
    fitting(name, width * box.clientWidth),
  );
  styled(made, { left: `${100 * left}%`, width: `${100 * width}%`, top: `${level * LINE}px` });
  FLAME.nodes.set(made, node);
  box.append(made);
}

const LETTER_PX = 6.6;
const PAD_PX = 9;

// The name, without modules where these have no room; what has none for three letters has none.
function fitting(name, room) {
  const letters = (room - PAD_PX) / LETTER_PX;
  let short = name;
  while (short.length > letters && /^~?\w+::/.test(short)) short = short.replace(/^~?\w+::/, "");
  return letters < 3 ? "" : short;
}

function named(node) {
  return node.parent ? DATA.frames[node.frame] : ["all blocked time", "", 2];
}

function amount(node) {
  const ofAll = percent(node.ns / DATA.span.blocked_ns);
  return `${duration(node.ns)}, ${ofAll} of the blocked time`;
}

function zoom(node, focus = true) {
  FLAME.zoomed = node;
  layOut();
  if (focus) focusOn(node);
  tell(node);
}

function focusOn(node) {
  for (const [element, its] of FLAME.nodes) {
    const chosen = its === node;
    element.tabIndex = chosen ? 0 : -1;
    if (chosen) element.focus({ preventScroll: true });
  }
}

function tell(node) {
  const [name, place] = named(node);
  const blocker = heaviest(node.blockers)[0];
  const told = one("#flame .told");
  told.replaceChildren(el("b", {}, name), place ? ` ${place}` : "", `: ${amount(node)}`);
  if (blocker === undefined || !node.parent) return;
  const link = el(
    "a",
    { href: linkTo(DATA.blockers[blocker]) },
    `blocker ${blocker + 1}, ${DATA.blockers[blocker].short}`,
  );
  const others = node.blockers.size - 1;
  told.append(others ? "; most of it " : "; ", link);
}

function flameKey(event, node) {
  const near = widestFirst(node.parent || node);
  const at = near.indexOf(node);
  const to = {
    ArrowUp: () => focusOn(node.parent || node),
    ArrowDown: () => focusOn(widestFirst(node)[0] || node),
    ArrowLeft: () => focusOn(near[at - 1] || node),
    ArrowRight: () => focusOn(near[at + 1] || node),
    Enter: () => zoom(node),
    Escape: () => zoom(FLAME.root),
    b: () => openBlocker(node),
  }[event.key];
  if (!to) return;
  event.preventDefault();
  to();
}

function openBlocker(node) {
  const [blocker] = heaviest(node.blockers);
  if (blocker !== undefined) location.hash = linkTo(DATA.blockers[blocker]);
}

// ------------------------------------------------------------------------- search

function matches(node) {
  const [name, place] = named(node);
  return (
    Boolean(FLAME.search && node.parent) && `${name} ${place}`.toLowerCase().includes(FLAME.search)
  );
}

function markFound() {
  one(".flames").classList.toggle("searched", Boolean(FLAME.search));
  for (const [element, node] of FLAME.nodes) element.classList.toggle("found", matches(node));
}

// Blocked time in calls that match; what is below one counts once.
function foundNs(node = FLAME.root) {
  if (matches(node)) return node.ns;
  return [...node.calls.values()].reduce((sum, call) => sum + foundNs(call), 0);
}
