// What runs now: how far, what it waits for, when it will be done.

import { send } from "../api.js";
import { h } from "../dom.js";
import { duration } from "../format.js";
import { look, mayChange, state } from "../state.js";
import { ask } from "./ask.js";
import { badge, button, card, when } from "./parts.js";

export function running() {
  const runs = state.status?.running ?? [];
  if (!runs.length) return null;
  return card("running", "Running now", { tone: "busy" }, h("ul", { class: "rows" }, runs.map(one)));
}

function one(run) {
  const event = state.live.get(run.id);
  // What a command line began is told by the status; it has no stream of progress.
  const data = event?.data ?? run.progress ?? {};
  const percent = data.percent ?? null;
  const steps = data.steps ? `step ${data.step ?? 1} of ${data.steps}` : "";
  return h("li", { key: `run-${run.id}` },
    h("div", { class: "line" }, h("h3", {}, run.name), badge("running", run.direction === "down" ? "rolling back" : "running"), h("span", { class: "soft end" }, "began ", when(run.timestamp))),
    h("progress", { max: 100, value: percent, "aria-label": `Progress of ${run.name}` }),
    h("div", { class: "line soft" },
      h("span", {}, [percent === null ? null : `${Math.round(percent)} %`, steps, data.phase].filter(Boolean).join(" · ") || "at work"),
      h("span", { class: "end" }, left(run, data))),
    data.waiting?.length ? h("p", { class: "words-warn", role: "alert" }, `Waits for a lock: ${data.waiting.join("; ")}`) : null,
    data.statement ? h("pre", { class: "soft" }, data.statement) : null,
    mayChange() ? h("p", { class: "line" }, control(run, "abort")) : null);
}

/** When it will be done: by how far it has come, else by what was estimated when it began. */
function left(run, data) {
  if (data.percent > 2 && data.elapsedMs) return `about ${duration((data.elapsedMs * (100 - data.percent)) / data.percent)} left`;
  if (!run.estimatedDuration) return "";
  const estimated = `estimated ${duration(run.estimatedDuration)}`;
  const rest = run.estimatedDuration - (Date.now() - new Date(run.timestamp));
  return rest > 0 ? `${estimated}, about ${duration(rest)} left` : `${estimated}, takes longer`;
}

function control(run, verb) {
  return button(capital(verb), () => ask({
    title: `${capital(verb)} ${run.name}?`,
    content: [h("p", {}, "The statement under way is cancelled and undone, and the run ends as failed.")],
    word: capital(verb),
    kind: verb === "abort" ? "danger" : "main",
    act: async () => { await send("POST", `runs/${encodeURIComponent(run.id)}/${verb}`); await look(true); },
  }), { kind: "danger", label: `${capital(verb)} ${run.name}` });
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);
