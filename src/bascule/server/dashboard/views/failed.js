// What failed: the error, what is true of the database, the next step, and a button where the next step is to go on.

import { h } from "../dom.js";
import { mayChange, state } from "../state.js";
import { ask } from "./ask.js";
import { begin } from "./begin.js";
import { badge, button, card, when } from "./parts.js";

export function failed() {
  const runs = state.status?.failed ?? [];
  if (!runs.length) return null;
  return card("failed", "Failed", { tone: "bad" }, h("ul", { class: "rows" }, runs.map(one)));
}

function one(run) {
  return h("li", { key: `failed-${run.id ?? run.name}` },
    h("div", { class: "line" },
      h("h3", {}, run.name),
      badge(run.interrupted ? "interrupted" : "failed"),
      run.direction === "down" ? badge("medium", "rollback") : null,
      run.halfDone ? badge("medium", "half done") : null,
      h("span", { class: "soft end" }, when(run.timestamp))),
    h("p", { class: "words-bad" }, run.line ? `Line ${run.line}: ` : "", run.error?.message ?? run.error ?? run.message ?? "It failed; the journal tells more."),
    run.state ? h("p", {}, `The database is ${run.state}.`) : null,
    h("p", {}, h("b", {}, "Next: "), run.hint || run.next || (run.halfDone ? "Recover goes on with what is half done." : "Correct the cause and execute it again.")),
    run.halfDone && mayChange() ? button("Recover", () => recover(run), { kind: "main", label: `Recover ${run.name}` }) : null);
}

function recover(run) {
  ask({
    title: `Recover ${run.name}?`,
    content: [
      h("p", {}, "What was begun is finished from where it stands: steps that are done are not done again."),
      h("p", { class: "soft" }, "Where nobody but a person can tell whether a statement ran, it stops and asks."),
    ],
    word: "Recover",
    act: async () => {
      await begin(`runs/${encodeURIComponent(run.id)}/recover`, {}, run.name, `${run.name} is being finished.`);
    },
  });
}
