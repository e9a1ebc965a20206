// What would run: the plan as a graph and as a list, with impact, ways back and estimates; and the buttons.

import { send } from "../api.js";
import { h } from "../dom.js";
import { about, alone, count, duration } from "../format.js";
import { look, may, mayChange, state } from "../state.js";
import { ask, tell } from "./ask.js";
import { begin } from "./begin.js";
import { graph, isDrawn } from "./graph.js";
import { badge, button, card, nothing, say } from "./parts.js";

export function pending() {
  const running = new Set((state.status?.running ?? []).map((each) => each.name));
  const names = (state.status?.pending ?? []).filter((each) => !running.has(each.name));
  const wanted = new Set(names.map((each) => each.name));
  const plan = new Map((state.plan?.migrations ?? []).filter((each) => wanted.has(each.name)).map((each) => [each.name, each]));
  const total = state.plan ? h("span", { class: "soft" }, `${count(names.length, "migration")} · about ${duration(state.plan.totalEstimatedTime)}`) : null;
  return card("pending", "Pending: what would run", { end: total },
    names.length ? null : nothing("Nothing is pending."),
    state.planProblem ? h("p", { class: "words-bad" }, `The plan cannot be made: ${state.planProblem.message} ${state.planProblem.hint}`) : null,
    isDrawn([...plan.values()]) ? graph([...plan.values()]) : null,
    h("ol", { class: "rows" }, names.map((each) => one(each, plan.get(each.name)))));
}

function one(each, planned) {
  const losses = (planned?.losses ?? []).map((loss) => alone(each.name, loss));
  return h("li", { key: `pending-${each.name}` },
    h("div", { class: "line" },
      h("h3", {}, each.name),
      planned ? badge(planned.dataImpact, `impact: ${planned.dataImpact}`) : null,
      planned ? badge(planned.wayBack === "none" ? "none" : "pending", `way back: ${planned.wayBack}`) : null,
      each.late ? badge("warning", "older than what is applied") : null,
      h("span", { class: "end line" },
        may("operator") ? button("Validate", () => validate(each.name), { label: `Validate ${each.name}` }) : null,
        mayChange() ? button("Execute", () => execute(each.name), { kind: "main", label: `Execute ${each.name}` }) : null)),
    planned ? h("p", { class: "soft" }, [`about ${duration(planned.estimatedDuration)} (${duration(planned.estimate?.low)} to ${duration(planned.estimate?.high)})`, ...(planned.impactReasons ?? [])].join(" · ")) : null,
    losses.length ? h("p", { class: "words-bad" }, `Would be lost: ${losses.join("; ")}`) : null,
    planned?.warnings?.length ? h("p", { class: "words-warn" }, planned.warnings.map((warning) => warning.message ?? warning).join("; ")) : null);
}

async function validate(name) {
  say(`Validating ${name}.`);
  try {
    const answer = await send("POST", "validate", { migrationName: name });
    verdict(name, answer.data, answer.success);
  } catch (error) {
    tell(`${name} could not be validated`, h("p", {}, error.message), h("p", {}, error.hint));
  }
}

function verdict(name, report, good) {
  const bad = (report?.results ?? []).filter((result) => ["fail", "warning", "error"].includes(result.status));
  tell(good ? `${name}: nothing stands against it` : `${name}: refused by its rules`,
    h("p", {}, `${(report?.results ?? []).length} rules were asked; ${bad.length} found something.`),
    h("ul", { class: "rows" }, bad.map((result) => h("li", {}, badge(result.severity), " ", h("b", {}, result.ruleName), h("p", {}, result.message)))));
}

/** Where others have to approve, it is their turn next. */
function handIn(name, all, losses) {
  ask({
    title: `Hand in ${count(all.length, "migration")} to be approved?`,
    content: [
      h("p", {}, `${all.map((each) => each.name).join(", ")}, in this order. On production it takes the word of ${count(state.who.approvals, "other person").replace("persons", "people")}.`),
      losses.length ? h("p", { class: "words-bad" }, `Would be lost: ${losses.join("; ")}`) : null,
    ].filter(Boolean),
    word: "Hand in",
    act: async () => {
      await send("POST", "plan", { migrations: [name] });
      say("Handed in. Somebody else approves it now.");
      await look(true);
    },
  });
}

/** What runs first is asked of the server, and exactly the plan that was shown is run. */
async function execute(name) {
  let plan;
  try {
    plan = (await send("POST", "plan", { migrations: [name], keep: !state.who.approvals })).data;
  } catch (error) {
    tell(`${name} cannot be planned`, h("p", {}, error.message), h("p", {}, error.hint));
    return;
  }
  const all = plan.migrations ?? [];
  const others = all.filter((each) => each.name !== name).map((each) => each.name);
  const losses = all.flatMap((each) => (each.losses ?? []).map((loss) => (others.length ? about : alone)(each.name, loss)));
  const own = all.find((each) => each.name === name);
  if (state.who.approvals) {
    handIn(name, all, losses);
    return;
  }
  ask({
    title: others.length ? `Execute ${count(all.length, "migration")}?` : `Execute ${name}?`,
    content: [
      others.length ? h("p", {}, h("b", {}, "Runs too: "), `${others.join(", ")}, in the order of the plan.`) : null,
      h("p", {}, own ? `Impact ${own.dataImpact}, about ${duration(plan.totalEstimatedTime)}, way back: ${own.wayBack}.` : "The plan does not hold it."),
      h("p", { class: "soft" }, "It is validated before, and a verified backup is taken where something could be destroyed."),
    ].filter(Boolean),
    losses,
    word: "Execute",
    act: async () => {
      const asked = { migrationName: name, acceptDataLoss: losses.length > 0 };
      await begin("execute", plan.id ? { ...asked, planId: plan.id } : asked, name, `${name} has begun.`);
    },
  });
}
