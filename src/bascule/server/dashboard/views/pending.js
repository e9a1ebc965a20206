// What would run: the plan as a graph and as a list, with impact, ways back and estimates; and the buttons.

import { get, send } from "../api.js";
import { h } from "../dom.js";
import { count, duration } from "../format.js";
import { look, may, mayChange, state } from "../state.js";
import { ask, tell } from "./ask.js";
import { badge, button, card, nothing, say } from "./parts.js";

const MOST_DRAWN = 40;

export function pending() {
  const running = new Set((state.status?.running ?? []).map((each) => each.name));
  const names = (state.status?.pending ?? []).filter((each) => !running.has(each.name));
  const wanted = new Set(names.map((each) => each.name));
  const plan = new Map((state.plan?.migrations ?? []).filter((each) => wanted.has(each.name)).map((each) => [each.name, each]));
  const total = state.plan ? h("span", { class: "soft" }, `${count(names.length, "migration")} · about ${duration(state.plan.totalEstimatedTime)}`) : null;
  return card("pending", "Pending: what would run", { end: total },
    names.length ? null : nothing("Nothing is pending."),
    state.planProblem ? h("p", { class: "words-bad" }, `The plan cannot be made: ${state.planProblem.message} ${state.planProblem.hint}`) : null,
    plan.size > 1 && plan.size <= MOST_DRAWN ? graph([...plan.values()]) : null,
    h("ol", { class: "rows" }, names.map((each) => one(each, plan.get(each.name)))));
}

function one(each, planned) {
  const losses = planned?.losses ?? [];
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

/** What runs first is asked of the server, and exactly the plan that was shown is run. */
async function execute(name) {
  let plan;
  try {
    plan = (await send("POST", "plan", { migrations: [name] })).data;
  } catch (error) {
    tell(`${name} cannot be planned`, h("p", {}, error.message), h("p", {}, error.hint));
    return;
  }
  const all = plan.migrations ?? [];
  const others = all.filter((each) => each.name !== name).map((each) => each.name);
  const losses = all.flatMap((each) => (each.losses ?? []).map((loss) => (others.length ? `${each.name}: ${loss}` : loss)));
  const own = all.find((each) => each.name === name);
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
      await send("POST", "execute", plan.id ? { ...asked, planId: plan.id } : asked, { later: true });
      say(`${name} has begun.`);
      await look(true);
    },
  });
}

/** Columns by the longest way from the start; within a column in plan order. */
function graph(plan) {
  const column = new Map();
  const known = new Set(plan.map((each) => each.name));
  for (const each of plan) column.set(each.name, Math.max(0, ...each.dependencies.filter((name) => known.has(name)).map((name) => (column.get(name) ?? 0) + 1)));
  const rows = [];
  const places = new Map();
  for (const each of plan) {
    const x = column.get(each.name);
    rows[x] = (rows[x] ?? 0) + 1;
    places.set(each.name, [12 + x * 212, 12 + (rows[x] - 1) * 54]);
  }
  const width = 24 + (Math.max(...column.values()) + 1) * 212 - 24;
  const height = 12 + Math.max(...rows) * 54;
  const edges = plan.flatMap((each) => each.dependencies.filter((name) => places.has(name)).map((name) => {
    const [fromX, fromY] = places.get(name);
    const [x, y] = places.get(each.name);
    return h("path", { class: "edge", d: `M${fromX + 188} ${fromY + 20} C${fromX + 202} ${fromY + 20} ${x - 14} ${y + 20} ${x} ${y + 20}` });
  }));
  const nodes = plan.map((each) => {
    const [x, y] = places.get(each.name);
    const short = each.name.length > 26 ? `…${each.name.slice(-25)}` : each.name;
    return h("g", { key: `node-${each.name}` }, h("title", {}, each.name),
      h("rect", { class: `node ${each.dataImpact}`, x, y, width: 188, height: 42, rx: 6 }),
      h("text", { x: x + 8, y: y + 17 }, short),
      h("text", { class: "soft", x: x + 8, y: y + 33 }, `${each.dataImpact} · back: ${each.wayBack}`));
  });
  return h("div", { key: "graph", class: "scroll", tabindex: "0", role: "group", "aria-label": "The plan, drawn" },
    h("svg", { width, height, role: "img", "aria-label": `${count(plan.length, "pending migration")} and what they depend on; the list below says the same` }, edges, nodes));
}
