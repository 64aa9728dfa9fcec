// What Perfetto's trace_processor says of a trace: node perfetto.js DIRECTORY TRACE SQL...
//
// DIRECTORY is that of Perfetto's UI, with its engine and the trace processor as WebAssembly. The
// engine is run as the page's worker is and spoken to as the page does, by trace_processor.proto.
// Prints a list of rows for each query; an error of the trace or of a query ends it.
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [directory, trace, ...queries] = process.argv.slice(2);
const PIECE = 1 << 20;
const APPEND = 1, FINISH = 2, QUERY = 3; // TraceProcessorRpc.TraceProcessorMethod

// ------------------------------------------------------------------ protobuf

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const block = (field, body) => Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);

// [field, value] of a message; a value is a BigInt or bytes.
function* fields(bytes) {
  let at = 0;
  const read = () => {
    let value = 0n, shift = 0n, byte;
    do {
      byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte & 128);
    return value;
  };
  while (at < bytes.length) {
    const key = Number(read());
    const length = { 1: 8, 5: 4 }[key & 7];
    if ((key & 7) === 0) yield [key >> 3, read()];
    else {
      const end = (length ?? Number(read())) + at;
      yield [key >> 3, bytes.subarray(at, end)];
      at = end;
    }
  }
}
const all = (bytes, field) => [...fields(bytes)].filter(([n]) => n === field).map(([, v]) => v);

// QueryResult: column names, an error, batches of cells by type.
function rows(results) {
  const names = [], cells = [];
  for (const result of results) {
    for (const error of all(result, 2)) throw new Error(error.toString());
    names.push(...all(result, 1).map(String));
    for (const batch of all(result, 3)) {
      const [types = []] = all(batch, 1);
      const integers = all(batch, 2).flatMap((packed) => [...packedVarints(packed)]);
      const doubles = Buffer.concat(all(batch, 3));
      const texts = Buffer.concat(all(batch, 5)).toString().split("\0");
      let double = 0;
      for (const type of types) {
        if (type === 2) cells.push(Number(BigInt.asIntN(64, integers.shift())));
        else if (type === 3) cells.push(doubles.readDoubleLE(8 * double++));
        else if (type === 4) cells.push(texts.shift());
        else cells.push(null);
      }
    }
  }
  const found = [];
  while (cells.length) found.push(cells.splice(0, names.length));
  return found;
}
function* packedVarints(bytes) {
  let value = 0n, shift = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if (byte < 128) {
      yield value;
      value = shift = 0n;
    }
  }
}

// ------------------------------------------------------------------ the engine

// The engine takes messages as soon as it has a buffer for them.
let go;
const ready = new Promise((resolve) => (go = resolve));
function Instance(...given) {
  const { exports } = new WebAssembly.Instance(...given);
  if (!exports.trace_processor_rpc_init) return { exports };
  const trace_processor_rpc_init = (...values) => {
    setImmediate(go);
    return exports.trace_processor_rpc_init(...values);
  };
  return { exports: { ...exports, trace_processor_rpc_init } };
}
const assembly = new Proxy(WebAssembly, {
  get: (of, key) => (key === "Instance" ? Instance : of[key]),
});

const file = (url) => fs.readFileSync(path.join(directory, path.basename(String(url))));
const sandbox = {
  console, TextDecoder, TextEncoder, URL, performance, setTimeout, clearTimeout,
  TypeError, Error, Uint8Array, BigInt, Promise,
  WebAssembly: assembly,
  location: { href: `file://${directory}/engine_bundle.js` },
  WorkerGlobalScope: function () {},
  fetch: async (url) => ({ ok: true, arrayBuffer: async () => new Uint8Array(file(url)).buffer }),
  XMLHttpRequest: class {
    open(_, url) { this.url = url; }
    send() { this.response = new Uint8Array(file(this.url)).buffer; this.status = 200; }
  },
  importScripts: () => {},
};
sandbox.self = sandbox;
vm.createContext(sandbox);
vm.runInContext(file("engine_bundle.js").toString(), sandbox);

let pending = Buffer.alloc(0);
const port = { postMessage: (bytes) => { pending = Buffer.concat([pending, Buffer.from(bytes)]); } };
sandbox.onmessage({ data: port });

// Messages that have come, without the frames of the stream.
function answers() {
  const found = all(pending, 1);
  pending = Buffer.alloc(0);
  return found;
}
let sequence = 0;
function ask(method, more = Buffer.alloc(0)) {
  const request = Buffer.concat([number(1, ++sequence), number(2, method), more]);
  port.onmessage({ data: new Uint8Array(block(1, request)) });
}
function check(found) {
  for (const answer of found) {
    for (const result of all(answer, 201)) {
      for (const error of all(result, 2)) throw new Error(error.toString());
    }
  }
  return found;
}

ready.then(() => {
  const bytes = fs.readFileSync(trace);
  for (let at = 0; at < bytes.length; at += PIECE) {
    ask(APPEND, block(101, bytes.subarray(at, at + PIECE)));
  }
  ask(FINISH);
  check(answers());
  const told = queries.map((sql) => {
    ask(QUERY, block(103, block(1, Buffer.from(sql))));
    return rows(check(answers()).flatMap((answer) => all(answer, 203)));
  });
  console.log(JSON.stringify(told));
  process.exit(0);
});
