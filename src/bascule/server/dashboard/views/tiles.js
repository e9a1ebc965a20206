// The numbers of the first glance.

import { h } from "../dom.js";
import { duration } from "../format.js";
import { state } from "../state.js";

export function tiles() {
  const { status, metrics } = state;
  const of = metrics?.metrics ?? {};
  const rate = of.migrationSuccessRate;
  const shown = [
    ["pending", status?.summary.pending],
    ["running", status?.running.length],
    ["failed", status?.summary.failed],
    ["applied", status?.summary.completed],
    ["runs that went well", rate === undefined || rate === null ? "–" : `${Math.round(rate * (rate <= 1 ? 100 : 1))} %`],
    ["a run, on average", duration(of.averageExecutionTime ?? null)],
  ];
  return h("ul", { key: "tiles", class: "tiles wide", "aria-label": "At a glance" },
    shown.map(([word, value]) => h("li", { key: `tile-${word}`, class: "tile" }, h("b", {}, value ?? "–"), h("span", {}, word))));
}
