// The line on top: which target, how it is, who is looking.

import { logOut } from "../api.js";
import { h } from "../dom.js";
import { forget, state } from "../state.js";
import { badge, button } from "./parts.js";

export function bar(redraw) {
  const { who, online, health } = state;
  const leave = async () => {
    await logOut().catch(() => null);
    forget();
    redraw();
  };
  return [
    h("h1", {}, "Bascule"),
    who ? h("span", { class: "where" }, who.target ?? "") : null,
    who?.environment ? badge(who.environment === "production" ? "medium" : "pending", who.environment) : null,
    health ? badge(health.status) : null,
    h("span", { class: "end" },
      h("span", { class: online ? "soft" : "words-bad" }, h("span", { class: `live-dot ${online ? "" : "off"}`, "aria-hidden": "true" }), online ? "live" : "the server does not answer; trying again"),
      button("Light or dark", scheme),
      who ? h("span", { class: "soft" }, `${who.name} (${who.role})`) : null,
      who ? button("Log out", leave) : null),
  ].filter(Boolean);
}

function scheme() {
  const root = document.documentElement;
  const dark = root.dataset.scheme ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.scheme = dark ? "light" : "dark";
}
