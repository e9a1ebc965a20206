// The last runs as bars: how each ended, how long it took beside what was estimated, and on which day.

import { h } from "../dom.js";
import { duration } from "../format.js";

const MOST = 60;
const LEFT = 52; // for the words of the scale
const STEP = 17; // from one bar to the next
const TOP = 8;
const FLOOR = 92;
const SCALE = [[1, "1 ms"], [100, "0.1 s"], [10_000, "10 s"], [1_000_000, "17 min"]];
const ENDS = [["completed", "completed"], ["failed", "failed"], ["rolled_back", "rolled back"], ["guess", "estimated"]];

/** Oldest on the left. The height is the logarithm of the time, so that 5 ms and 5 minutes can both be read. */
export function timeline(runs) {
  const shown = runs.slice(0, MOST).reverse();
  const top = Math.max(1000, ...shown.flatMap((run) => [run.executionTime ?? 0, run.estimatedDuration ?? 0]));
  const high = (ms) => Math.max(3, (Math.log10(Math.max(1, ms ?? 1)) / Math.log10(top)) * (FLOOR - TOP));
  const width = LEFT + shown.length * STEP + 8;
  return h("div", { key: "timeline" },
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Timeline" },
      h("svg", { width: "100%", height: FLOOR + 22, style: `min-width: ${width}px`, role: "img", "aria-label": `Timeline of the last ${shown.length} runs: the bar is the time taken, the outline the time estimated; the table below says the same` },
        SCALE.filter(([ms]) => ms <= top).map(([ms, words]) => lineAt(FLOOR - (ms === 1 ? 0 : high(ms)), words)),
        shown.map((run, place) => bar(run, LEFT + place * STEP, high)),
        days(shown))),
    h("p", { class: "legend soft", "aria-hidden": "true" }, ENDS.map(([kind, words]) => h("span", {}, h("svg", { width: 11, height: 11 }, h("rect", { class: kind, x: 0.5, y: 0.5, width: 10, height: 10, rx: 2 })), words))));
}

function lineAt(y, words) {
  return h("g", { key: `scale-${words}` },
    h("line", { class: "grid", x1: LEFT - 6, x2: "100%", y1: y + 0.5, y2: y + 0.5 }),
    h("text", { class: "soft", x: LEFT - 10, y: y + 4, "text-anchor": "end" }, words));
}

function bar(run, x, high) {
  const took = `${run.name}: ${run.interrupted ? "interrupted" : run.status.replaceAll("_", " ")}, ${duration(run.executionTime)}`;
  const guess = run.estimatedDuration ? `, estimated ${duration(run.estimatedDuration)}` : "";
  return h("g", { key: `bar-${run.id}-${run.timestamp}` },
    h("title", {}, `${took}${guess}`),
    h("rect", { class: run.status, x: x + 1, y: FLOOR - high(run.executionTime), width: STEP - 6, height: high(run.executionTime), rx: 2 }),
    guess ? h("rect", { class: "guess", x: x - 1, y: FLOOR - high(run.estimatedDuration), width: STEP - 2, height: high(run.estimatedDuration), rx: 3 }) : null);
}

/** Each day under its first bar, where the one before leaves room for it. */
function days(shown) {
  const words = [];
  let free = 0;
  let before = "";
  for (const [place, run] of shown.entries()) {
    const day = new Date(run.timestamp).toLocaleDateString(undefined, { month: "short", day: "numeric" });
    const x = LEFT + place * STEP;
    if (day !== before && x >= free) {
      words.push(h("text", { key: `day-${place}`, class: "soft", x, y: FLOOR + 16 }, day));
      free = x + 56;
    }
    before = day;
  }
  return words;
}
