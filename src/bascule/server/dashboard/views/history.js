// What ran: the timeline, estimated beside actual times, and the way back of what is applied last.

import { send } from "../api.js";
import { h } from "../dom.js";
import { duration } from "../format.js";
import { look, mayChange, state } from "../state.js";
import { ask } from "./ask.js";
import { badge, button, card, nothing, say, when } from "./parts.js";

export function history() {
  const runs = state.runs ?? [];
  const last = state.status?.completed?.[0]?.name;
  return card("history", "History", {},
    runs.length ? drawn(runs) : nothing("Nothing has run yet."),
    runs.length ? h("div", { key: "history-table", class: "scroll", tabindex: "0", role: "group", "aria-label": "Runs" }, h("table", {},
      h("thead", {}, h("tr", {}, ["migration", "result", "estimated", "took", "when", ""].map((word, place) => h("th", { scope: "col", class: place === 2 || place === 3 ? "number" : null }, word || h("span", { class: "unseen" }, "actions"))))),
      h("tbody", {}, runs.map((run) => h("tr", { key: `ran-${run.id}-${run.timestamp}` },
        h("td", {}, run.name),
        h("td", {}, badge(run.interrupted ? "interrupted" : run.status), run.verdict ? [" ", badge(run.verdict)] : null),
        h("td", { class: "number" }, run.estimatedDuration ? duration(run.estimatedDuration) : "–"),
        h("td", { class: "number" }, run.status === "running" ? "–" : duration(run.executionTime)),
        h("td", {}, when(run.timestamp)),
        h("td", {}, mayChange() && run.name === last && run === runs.find((each) => each.name === last) && run.status === "completed" ? button("Roll back", () => back(run.name), { label: `Roll back ${run.name}` }) : null)))))) : null);
}

async function back(name) {
  const preview = (await send("POST", "rollback", { migrationName: name, dryRun: true }).catch((error) => ({ problem: error })));
  const planned = preview.data?.migrations ?? [];
  const losses = planned.flatMap((each) => (each.losses ?? []).map((loss) => `${each.name}: ${loss}`));
  ask({
    title: `Roll back ${name}?`,
    content: [
      preview.problem ? h("p", { class: "words-bad" }, `What it would lose could not be found out: ${preview.problem.message}`) : null,
      planned.length > 1 ? h("p", {}, `Also goes, because it depends on it: ${planned.slice(0, -1).map((each) => each.name).join(", ")}`) : null,
      losses.length ? null : h("p", {}, preview.problem ? "" : "As far as can be told beforehand nothing is lost."),
    ].filter(Boolean),
    losses,
    word: "Roll back",
    kind: "danger",
    act: async () => {
      await send("POST", "rollback", { migrationName: name, acceptDataLoss: losses.length > 0 }, { later: true });
      say(`The rollback of ${name} has begun.`);
      await look(true);
    },
  });
}

/** A bar a run, oldest on the left, height by the logarithm of its time; the outline is what was estimated. */
function drawn(runs) {
  const shown = runs.slice(0, 60).reverse();
  const high = (ms) => Math.max(3, Math.min(70, Math.log10(Math.max(1, ms ?? 1)) * 14));
  const wide = 14;
  return h("div", { key: "timeline", class: "scroll", tabindex: "0", role: "group", "aria-label": "Timeline" },
    h("svg", { width: Math.max(200, shown.length * wide + 8), height: 84, role: "img", "aria-label": `Timeline of the last ${shown.length} runs: the bar is the time taken, the outline the time estimated; the table below says the same` },
      shown.map((run, place) => h("g", { key: `bar-${run.id}-${run.timestamp}` },
        h("title", {}, `${run.name}: ${run.interrupted ? "interrupted" : run.status}, ${duration(run.executionTime)}${run.estimatedDuration ? `, estimated ${duration(run.estimatedDuration)}` : ""}`),
        h("rect", { class: run.status, x: 4 + place * wide, y: 78 - high(run.executionTime), width: wide - 5, height: high(run.executionTime), rx: 2 }),
        run.estimatedDuration ? h("rect", { class: "guess", x: 2.5 + place * wide, y: 78 - high(run.estimatedDuration), width: wide - 2, height: high(run.estimatedDuration) }) : null)),
      h("line", { class: "edge", x1: 0, x2: Math.max(200, shown.length * wide + 8), y1: 78.5, y2: 78.5 })));
}
