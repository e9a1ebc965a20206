// Small parts that several views are made of.

import { h } from "../dom.js";
import { exact, moment } from "../format.js";

const TONES = {
  completed: "good", healthy: "good", verified: "good", low: "good", exact: "good",
  pending: "", info: "", acknowledged: "",
  running: "busy",
  degraded: "warn", warning: "warn", medium: "warn", rolled_back: "warn", unverified: "warn",
  failed: "bad", interrupted: "bad", unhealthy: "bad", error: "bad", critical: "bad", high: "bad", lossy: "bad", none: "bad",
};

/** A word with its colour; the word alone says it too. */
export const badge = (word, said = word) => h("span", { class: `badge ${TONES[word] ?? ""}` }, String(said).replaceAll("_", " "));

export const when = (iso) => h("time", { datetime: iso ?? "", title: exact(iso) }, moment(iso));

/** A titled card. `tone`: busy or bad. */
export function card(key, title, extra, ...content) {
  const { tone = "", end = null } = extra ?? {};
  return h("section", { key, class: `card ${tone}`, "aria-labelledby": `${key}-title` },
    h("header", {}, h("h2", { id: `${key}-title` }, title), end), content);
}

export const nothing = (words) => h("p", { class: "soft" }, words);

/** A button that cannot be pressed twice while it works. */
export function button(words, act, { kind = "", label = null, disabled = false } = {}) {
  return h("button", { type: "button", class: kind, "aria-label": label, disabled, onclick: async ({ currentTarget }) => {
    if (currentTarget.getAttribute("aria-busy") === "true") return;
    currentTarget.setAttribute("aria-busy", "true");
    try { await act(); } finally { currentTarget.removeAttribute("aria-busy"); }
  } }, words);
}

/** Told to everybody, those who listen to the page too. */
export function say(words) {
  const place = document.getElementById("said");
  place.textContent = "";
  setTimeout(() => { place.textContent = words; }, 50);
}
