// Numbers in sentences, as hud/figures.py has them (but for what lies exactly between two).

function duration(ns) {
  if (ns < 99.95e9) return `${scaled(ns)}`;
  const seconds = Math.round(ns / 1e9);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function scaled(ns) {
  if (!ns) return "0 s";
  const units = [
    ["ns", 1],
    ["us", 1e3],
    ["ms", 1e6],
    ["s", 1e9],
  ];
  const [unit, scale] = units.find(([, size]) => ns < 999.5 * size) || units[3];
  const value = ns / scale;
  if (unit === "s") return `${value.toFixed(1).replace(/\.0$/, "")} s`;
  return `${Number(value.toPrecision(3))} ${unit}`;
}

// A time of the run, as exact as steps of so many ns need it: 3 s, 3.25 s, 2:03.5, 10 min.
function moment(ns, step) {
  if (step >= 60e9 && ns >= 60e9) return duration(ns).replace(/ 0 (s|min)$/, "");
  const digits = Math.min(6, Math.max(0, Math.ceil(9 - Math.log10(step) - 1e-9)));
  const minutes = Math.floor(ns / 60e9);
  const seconds = (ns / 1e9 - 60 * minutes).toFixed(digits);
  return minutes ? `${minutes}:${seconds.padStart(digits ? digits + 3 : 2, "0")}` : `${seconds} s`;
}

function percent(share) {
  const value = Math.max(share, 0) * 100;
  if (value === 0) return "0 %";
  if (value < 0.05) return "< 0.1 %";
  if (value > 99 && value < 100) return `${Math.min(value, 99.9).toFixed(1)} %`;
  return value < 9.95 ? `${value.toFixed(1)} %` : `${Math.min(value, 999).toFixed(0)} %`;
}
