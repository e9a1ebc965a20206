// What the page knows, and who may do what. Asked for every two seconds; an answer that has not changed costs a 304.

import { follow, get, session } from "./api.js";

export const state = {
  who: undefined, // undefined: not known yet; null: nobody is logged in
  online: true,
  status: null,
  health: null,
  alerts: null,
  backups: null,
  metrics: null,
  runs: null,
  plan: null,
  plans: null, // handed in, where plans need approvals
  planProblem: null,
  live: new Map(), // run → its last event, while it runs
};

const RANKS = ["viewer", "operator", "admin", "super_admin"];
const EVERY = 2000;
const SOON = 700; // while something runs of which only the status tells how far it is
const SLOWER = { health: 5, alerts: 2, backups: 10, metrics: 10, runs: 3, plans: 2 };
const streams = new Map();
let turn = 0;
let timer = null;
let planned = "";
let draw = () => {};

/** Whether the one who is logged in has this role or more. What the server refuses it refuses anyway. */
export const may = (role) => Boolean(state.who) && RANKS.indexOf(state.who.role) >= RANKS.indexOf(role);

/** On production it takes an admin to change something. */
export const mayChange = () => may(state.who?.environment === "production" ? "admin" : "operator");

export async function begin(redraw) {
  draw = redraw;
  try {
    state.who = await session();
  } catch {
    state.online = false;
  }
  draw();
  await look(true);
}

/** Ask now, and then in turns. */
export async function look(all = false) {
  clearTimeout(timer);
  try {
    if (state.who === undefined) state.who = await session();
    if (state.who) await ask(all);
    state.online = true;
  } catch (error) {
    if (error.status === 401) forget();
    else state.online = false;
  }
  draw();
  timer = setTimeout(look, document.hidden ? EVERY * 5 : elsewhere() ? SOON : EVERY);
}

const elsewhere = () => Boolean(state.status?.running?.some((run) => run.progress && !state.live.has(run.id)));

export function forget() {
  state.who = null;
  for (const stop of streams.values()) stop();
  streams.clear();
  state.live.clear();
  for (const part of ["status", "health", "alerts", "backups", "metrics", "runs", "plan", "plans"]) state[part] = null;
}

async function ask(all) {
  turn += 1;
  const due = (part) => all || state[part] === null || turn % SLOWER[part] === 0;
  const asked = { status: "status?limit=100" };
  if (due("health")) asked.health = "health";
  if (due("alerts")) asked.alerts = "alerts";
  if (due("backups")) asked.backups = "backups?limit=20";
  if (due("metrics")) asked.metrics = "metrics";
  if (due("runs")) asked.runs = "runs?limit=60";
  if (state.who.approvals && due("plans")) asked.plans = "plans";
  const parts = Object.keys(asked);
  const answers = await Promise.allSettled(parts.map((part) => get(asked[part])));
  answers.forEach((answer, place) => {
    if (answer.status === "fulfilled") state[parts[place]] = answer.value;
    else if (answer.reason.status === 401 || !answer.reason.status) throw answer.reason;
  });
  hear();
  await plan();
}

function hear() {
  const running = new Set((state.status?.running ?? []).filter((run) => run.id !== run.lease).map((run) => run.id));
  for (const [run, stop] of streams) {
    if (!running.has(run)) {
      stop();
      streams.delete(run);
      state.live.delete(run);
    }
  }
  for (const run of running) {
    if (streams.has(run)) continue;
    const heard = (event) => {
      state.online = true;
      if (event.name === "migration.progress") state.live.set(run, event);
      draw();
      if (event.name !== "migration.progress" && event.name !== "migration.journal") setTimeout(look, 150, true);
    };
    streams.set(run, follow(run, heard, (closed) => {
      if (closed) streams.delete(run);
    }));
  }
}

/** The plan is asked for when what is pending has changed: it looks at the tables. */
async function plan() {
  const pending = (state.status?.pending ?? []).map((each) => each.name).join("\n");
  if (!may("operator") || pending === planned || state.status?.running?.length) return;
  const { send } = await import("./api.js");
  try {
    state.plan = pending ? (await send("POST", "plan", { keep: false })).data : null;
    state.planProblem = null;
  } catch (error) {
    state.plan = null;
    state.planProblem = error;
  }
  planned = pending;
}
