// What failed: the error, what is true of the database, the next step.

import { h } from "../dom.js";
import { state } from "../state.js";
import { badge, card, when } from "./parts.js";

export function failed() {
  const runs = state.status?.failed ?? [];
  if (!runs.length) return null;
  return card("failed", "Failed", { tone: "bad" }, h("ul", { class: "rows" }, runs.map((run) => h("li", { key: `failed-${run.id ?? run.name}` },
    h("div", { class: "line" }, h("h3", {}, run.name), badge("failed"), h("span", { class: "soft end" }, when(run.timestamp))),
    h("p", { class: "words-bad" }, run.error?.message ?? run.error ?? run.message ?? "It failed; the journal tells more."),
    run.state ? h("p", {}, `The database is ${run.state}.`) : null,
    h("p", {}, h("b", {}, "Next: "), run.hint || run.next || "bascule recover finishes or undoes what is half done.")))));
}
