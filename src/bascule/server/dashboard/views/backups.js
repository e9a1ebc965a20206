// Backups, and whether each was proved by restoring it.

import { send } from "../api.js";
import { h } from "../dom.js";
import { bytes } from "../format.js";
import { look, may, state } from "../state.js";
import { badge, button, card, nothing, say, when } from "./parts.js";
import { tell } from "./ask.js";

export function backups() {
  const found = state.backups ?? [];
  return card("backups", "Backups", {},
    found.length ? h("ul", { class: "rows" }, found.slice(0, 8).map(one)) : nothing("There is no backup."));
}

function one(backup) {
  const good = backup.verified === true || (backup.verified && backup.verified !== "unverified");
  const verify = async () => {
    say("Verifying by restoring it to a scratch place.");
    try {
      await send("POST", `backups/${encodeURIComponent(backup.id)}/verify`);
      say("Verified.");
    } catch (error) {
      tell("It could not be verified", h("p", {}, error.message), h("p", {}, error.hint));
    }
    await look(true);
  };
  return h("li", { key: `backup-${backup.id}` },
    h("div", { class: "line" }, h("code", {}, backup.id), badge(good ? "verified" : "unverified"), h("span", { class: "soft end" }, when(backup.createdAt ?? backup.timestamp))),
    h("div", { class: "line soft" }, h("span", {}, [scope(backup.scope), bytes(backup.size)].filter(Boolean).join(" · ")),
      may("operator") && !good ? h("span", { class: "end" }, button("Verify", verify, { label: `Verify ${backup.id}` })) : null));
}

const scope = (found) => (Array.isArray(found) ? found.join(", ") : typeof found === "object" && found ? (found.tables ?? []).join(", ") || "whole database" : found ?? "");
