// Calls: the stacks of one blocker as an indented list, and all of them joined for the flame graph.
// A row is [depth, frame, ns, cause, blamed]; see hud/report/trees.py.

const FIRST_CALLS = 24;
const FEW_CALLS = 30;

function stackTree(blocker) {
  const rows = blocker.tree;
  if (!rows.length) return null;
  const items = [];
  const indents = [];
  rows.forEach(([depth, frame, ns, , blamed], at) => {
    const parts = isFork(rows, at);
    indents[depth] = (indents[depth - 1] || 0) + (parts ? 1 : 0);
    const share = at === 0 || parts ? percent(ns / blocker.ns) : "";
    items.push(stackItem(DATA.frames[frame], share, indents[depth], blamed));
  });
  if (items.length <= FEW_CALLS) return el("ol", { class: "stack" }, ...items);
  const rest = items.splice(FIRST_CALLS);
  const list = el("ol", { class: "stack" }, ...items);
  const more = button(`${rest.length} more calls`, () => {
    list.append(...rest);
    more.remove();
  });
  return el("div", {}, list, more);
}

// Whether the call has others beside it: only there a stack parts.
function isFork(rows, at) {
  return sibling(rows, at, 1) || sibling(rows, at, -1);
}

function sibling(rows, at, step) {
  const depth = rows[at][0];
  for (let next = at + step; rows[next] && rows[next][0] >= depth; next += step) {
    if (rows[next][0] === depth) return true;
  }
  return false;
}

function stackItem(frame, share, indent, blamed) {
  const step = frameText(frame);
  styled(step, { "padding-left": `${Math.min(indent, 12)}em` });
  const here = frame[2] === 0 ? "your code blocks here" : "blocked here";
  if (blamed)
    step.append(el("span", { class: "blamed" }, "◀ ", el("span", { class: "words" }, here)));
  return el("li", {}, el("span", { class: "part-of" }, share), step);
}

function frameText([name, place, whose]) {
  return el(
    "span",
    { class: "step" },
    el("span", { class: `name k${whose}`, title: name }, name),
    place ? el("span", { class: "at" }, place) : "",
  );
}

// ------------------------------------------------------------------------- joined

function newNode(frame, parent) {
  return { frame, parent, ns: 0, calls: new Map(), causes: new Map(), blockers: new Map() };
}

function joined() {
  const root = newNode(null, null);
  DATA.blockers.forEach((blocker, number) => {
    const way = [root];
    for (const [depth, frame, ns, cause] of blocker.tree) {
      const node = called(way[depth], frame);
      way[depth + 1] = node;
      counted(node, ns, cause, number);
      if (!depth) counted(root, ns, cause, number);
    }
  });
  return root;
}

function called(parent, frame) {
  if (!parent.calls.has(frame)) parent.calls.set(frame, newNode(frame, parent));
  return parent.calls.get(frame);
}

function counted(node, ns, cause, blocker) {
  node.ns += ns;
  node.causes.set(cause, (node.causes.get(cause) || 0) + ns);
  node.blockers.set(blocker, (node.blockers.get(blocker) || 0) + ns);
}

// The keys of a map of weights, the heaviest first.
function heaviest(weights) {
  return [...weights].sort((one, other) => other[1] - one[1]).map(([key]) => key);
}

function widestFirst(node) {
  return [...node.calls.values()].sort(
    (one, other) => other.ns - one.ns || one.frame - other.frame,
  );
}
