// The plan drawn: what each migration waits for, its impact, its way back and its estimate.

import { h } from "../dom.js";
import { count, duration } from "../format.js";

const WIDE = 216;
const HIGH = 58;
const GAP = [34, 16]; // between columns and between rows
const MOST = 40;
const LETTERS = 24;

/** Whether a plan is drawn at all: one box says nothing, and a wall of them neither. */
export const isDrawn = (plan) => plan.length > 1 && plan.length <= MOST;

/** Columns by the longest way from the start, rows in the order in which they run, which the number says. */
export function graph(plan) {
  const places = placed(plan);
  const all = [...places.values()];
  const width = Math.max(...all.map(([x]) => x)) + WIDE + 8;
  const height = Math.max(...all.map(([, y]) => y)) + HIGH + 8;
  return h("div", { key: "graph", class: "scroll", tabindex: "0", role: "group", "aria-label": "The plan, drawn" },
    h("svg", { width, height, role: "img", "aria-label": `${count(plan.length, "pending migration")} and what they depend on; the list below says the same` },
      plan.flatMap((each) => beneath(each).filter((name) => places.has(name)).map((name) => edge(name, each.name, places))),
      plan.map((each, order) => box(each, order, places.get(each.name)))));
}

/** What it declares, and what its statements tell. */
const beneath = (each) => [...new Set([...each.dependencies, ...(each.buildsOn ?? [])])];

function placed(plan) {
  const column = new Map();
  const rows = [];
  const places = new Map();
  for (const each of plan) {
    const x = Math.max(0, ...beneath(each).filter((name) => column.has(name)).map((name) => column.get(name) + 1));
    const y = Math.max(rows[x] ?? 0, ...beneath(each).filter((name) => places.has(name)).map((name) => places.get(name)[2]));
    column.set(each.name, x);
    rows[x] = y + 1;
    places.set(each.name, [8 + x * (WIDE + GAP[0]), 8 + y * (HIGH + GAP[1]), y]);
  }
  return places;
}

function edge(from, to, places) {
  const [fromX, fromY] = places.get(from);
  const [x, y] = places.get(to);
  const [startX, startY, endY] = [fromX + WIDE, fromY + HIGH / 2, y + HIGH / 2];
  return h("g", { key: `edge-${from}-${to}` },
    h("path", { class: "edge", d: `M${startX} ${startY} C${startX + 20} ${startY} ${x - 24} ${endY} ${x - 7} ${endY}` }),
    h("path", { class: "tip", d: `M${x - 8} ${endY - 4} L${x - 1} ${endY} L${x - 8} ${endY + 4} Z` }));
}

function box(each, order, [x, y]) {
  const short = each.name.length > LETTERS ? `…${each.name.slice(1 - LETTERS)}` : each.name;
  const lost = each.losses?.length ? " · loses data" : "";
  return h("g", { key: `node-${each.name}` },
    h("title", {}, each.name),
    h("rect", { class: `node ${each.dataImpact}`, x, y, width: WIDE, height: HIGH, rx: 7 }),
    h("text", { class: "name", x: x + 10, y: y + 18 }, `${order + 1}  ${short}`),
    h("text", { class: "soft", x: x + 10, y: y + 34 }, `impact ${each.dataImpact} · ${duration(each.estimatedDuration)}`),
    h("text", { class: each.wayBack === "none" || lost ? "loses" : "soft", x: x + 10, y: y + 50 }, `way back: ${each.wayBack}${lost}`));
}
