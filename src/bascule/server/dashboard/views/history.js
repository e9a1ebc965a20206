// What ran: the timeline, estimated beside actual times, and the way back of what is applied last.

import { send } from "../api.js";
import { h } from "../dom.js";
import { about, duration } from "../format.js";
import { mayChange, state } from "../state.js";
import { ask } from "./ask.js";
import { begin } from "./begin.js";
import { badge, button, card, nothing, when } from "./parts.js";
import { timeline } from "./timeline.js";

export function history() {
  const runs = state.runs ?? [];
  const last = state.status?.completed?.[0]?.name;
  return card("history", "History", {},
    runs.length ? timeline(runs) : nothing("Nothing has run yet."),
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
  const losses = planned.flatMap((each) => (each.losses ?? []).map((loss) => about(each.name, loss)));
  ask({
    title: `Roll back ${name}?`,
    content: [
      preview.problem ? h("p", { class: "words-bad" }, `What it would lose could not be found out: ${preview.problem.message}`) : null,
      planned.length > 1 ? h("p", {}, `Also goes, because it depends on it: ${planned.slice(0, -1).map((each) => each.name).join(", ")}`) : null,
      losses.length ? null : h("p", {}, preview.problem ? "" : "As far as can be told beforehand nothing is lost."),
    ].filter(Boolean),
    losses,
    why: state.who?.environment === "production",
    word: "Roll back",
    kind: "danger",
    act: async (reason) => {
      await begin("rollback", { migrationName: name, acceptDataLoss: losses.length > 0, ...(reason ? { reason } : {}) }, name, `The rollback of ${name} has begun.`);
    },
  });
}
