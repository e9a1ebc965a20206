// Plans that were handed in where production needs the word of others: who has given it, and the buttons for it.

import { send } from "../api.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { look, may, state } from "../state.js";
import { ask } from "./ask.js";
import { begin } from "./begin.js";
import { badge, button, card, say, when } from "./parts.js";

export function plans() {
  const found = state.plans ?? [];
  if (!state.who?.approvals || !found.length) return null;
  return card("plans", "Plans that were handed in", {}, h("ul", { class: "rows" }, found.map(one)));
}

function one(plan) {
  const given = plan.approvals.map((each) => each.by).join(", ") || "nobody yet";
  const mine = plan.author === state.who.name;
  return h("li", { key: `plan-${plan.id}` },
    h("div", { class: "line" },
      h("h3", {}, plan.migrations.join(", ")),
      badge(plan.approved ? "verified" : "pending", plan.approved ? "approved" : `${plan.approvals.length} of ${count(plan.approvalsNeeded, "approval")}`),
      h("span", { class: "end line" },
        may("admin") && !mine && !plan.approved ? button("Approve", () => approve(plan), { label: `Approve ${plan.migrations.join(", ")}` }) : null,
        may("admin") && plan.approved ? button("Execute", () => execute(plan), { kind: "main", label: `Execute the plan of ${plan.migrations.join(", ")}` }) : null)),
    h("p", { class: "soft" }, `Handed in by ${plan.author}; approved by ${given}; good until `, when(plan.expiresAt)));
}

function approve(plan) {
  const shown = new Map((state.plan?.migrations ?? []).map((each) => [each.name, each]));
  ask({
    title: "Approve this plan?",
    content: [h("ul", { class: "rows" }, plan.migrations.map((name) => h("li", {}, h("b", {}, name), ...losses(shown.get(name)))))],
    word: "Approve",
    act: async () => {
      await send("POST", `plans/${encodeURIComponent(plan.id)}/approve`);
      say("Approved.");
      await look(true);
    },
  });
}

function execute(plan) {
  const shown = new Map((state.plan?.migrations ?? []).map((each) => [each.name, each]));
  const name = plan.migrations[plan.migrations.length - 1];
  const all = plan.migrations.flatMap((each) => shown.get(each)?.losses ?? []);
  ask({
    title: `Execute ${count(plan.migrations.length, "migration")}?`,
    content: [h("p", {}, `${plan.migrations.join(", ")}, in the order of the plan.`)],
    losses: all,
    word: "Execute",
    act: async () => {
      await begin("execute", { migrationName: name, planId: plan.id, acceptDataLoss: all.length > 0 }, name, `${name} has begun.`);
    },
  });
}

const losses = (planned) => (planned?.losses ?? []).map((loss) => h("p", { class: "words-bad" }, `Would be lost: ${loss}`));
