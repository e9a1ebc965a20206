// Alerts nobody has acknowledged yet, worst first.

import { send } from "../api.js";
import { h } from "../dom.js";
import { look, may, state } from "../state.js";
import { badge, button, card, nothing, say, when } from "./parts.js";

const ORDER = ["critical", "error", "warning", "info"];

export function alerts() {
  const found = [...(state.alerts ?? [])].sort((one, other) => ORDER.indexOf(one.type) - ORDER.indexOf(other.type));
  return card("alerts", "Alerts", { end: found.length ? badge(found[0].type, found.length) : null },
    found.length ? h("ul", { class: "rows" }, found.map(one)) : nothing("Nothing to acknowledge."));
}

function one(alert) {
  const acknowledge = async () => {
    await send("PUT", `alerts/${encodeURIComponent(alert.id)}/acknowledge`);
    say(`Acknowledged: ${alert.title ?? alert.message}`);
    await look(true);
  };
  return h("li", { key: `alert-${alert.id}` },
    h("div", { class: "line" }, badge(alert.type ?? alert.severity), h("b", {}, alert.title ?? alert.rule ?? ""), h("span", { class: "soft end" }, when(alert.timestamp ?? alert.lastAt))),
    h("p", {}, alert.message),
    alert.occurrences > 1 ? h("p", { class: "soft" }, `${alert.occurrences} times`) : null,
    may("operator") && !alert.acknowledged ? button("Acknowledge", acknowledge, { label: `Acknowledge: ${alert.title ?? alert.message}` }) : null);
}
