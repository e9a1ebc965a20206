// How the target is, and why; what to do about it.

import { h } from "../dom.js";
import { state } from "../state.js";
import { badge, card, nothing, when } from "./parts.js";

export function health() {
  const found = state.health;
  if (!found) return null;
  return card("health", "Health", { tone: found.status === "unhealthy" ? "bad" : "", end: badge(found.status) },
    h("dl", { class: "rows" }, Object.entries(found.checks ?? {}).map(([name, said]) => h("div", { key: `check-${name}`, class: "line" }, h("dt", {}, name), h("dd", { class: "end" }, badge(said))))),
    found.issues?.length ? h("ul", { key: "issues", class: "rows" }, found.issues.map((issue) => h("li", { class: "words-warn" }, issue.message ?? issue))) : nothing("No issues."),
    found.recommendations?.length ? h("details", { key: "advice" }, h("summary", {}, "What to do"), h("ul", { class: "rows" }, found.recommendations.map((advice) => h("li", {}, advice.message ?? advice)))) : null,
    h("p", { class: "soft" }, "looked at ", when(found.lastCheck)));
}
