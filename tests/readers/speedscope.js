// What speedscope's own importer makes of files: node speedscope.js RELEASE FILE...
//
// The importer is inside the page's bundle: it is run here without a page, and asked as the page
// asks it. Prints of each {"warned": [...], "profiles": [{"name", "total", "busy", "frames"}]}.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [release, ...files] = process.argv.slice(2);
const bundle = fs.readdirSync(release).find((name) => /^speedscope-.*\.js$/.test(name));
const source = fs.readFileSync(path.join(release, bundle), "utf8");
const [, importer] = /\(await ([\w$]+)\)\.importProfileGroupFromText/.exec(source);

// Of protobufjs, which takes numbers for numbers where a page has neither of these.
const missing = ["Long", "dcodeIO"];
const page = new Proxy(function () {}, {
  get: (_, key) => {
    if (missing.includes(key)) return undefined;
    return key === Symbol.toPrimitive ? () => "" : page;
  },
  apply: () => page,
  construct: () => page,
  set: () => true,
});
let warned = [];
const silent = () => {};
const console_ = { warn: (...said) => warned.push(said.join(" ")), log: silent, error: silent };
const context = vm.createContext({
  console: console_, TextDecoder, TextEncoder, URL, performance, setTimeout, clearTimeout,
});
context.self = context;
for (const name of ["document", "window", "navigator", "location", "localStorage"]) {
  context[name] = page;
}
try {
  vm.runInContext(source.replace("(()=>{", `(()=>{globalThis.importer=()=>${importer};`), context);
} catch {
  // the page's own part, which comes last, has no page
}

const copy = vm.runInContext("(bytes) => new Uint8Array(bytes)", context); // of its own realm

async function read(file) {
  const importer_ = await context.importer();
  warned = [];
  const bytes = fs.readFileSync(file);
  const group = file.endsWith(".pprof")
    ? await importer_.importProfilesFromArrayBuffer(file, copy(bytes).buffer)
    : await importer_.importProfileGroupFromText(file, bytes.toString("utf8"));
  const profiles = group.profiles.map((profile) => {
    const frames = [];
    profile.forEachFrame((frame) => frames.push(frame.name));
    const total = profile.getTotalWeight();
    return { name: profile.getName(), total, busy: profile.getTotalNonIdleWeight(), frames };
  });
  return { warned, profiles };
}

(async () => {
  const found = [];
  for (const file of files) found.push(await read(file));
  console.log(JSON.stringify(found));
})();
