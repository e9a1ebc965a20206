// What a person has let begin is followed until it has: a refusal that comes late is shown as one that comes at once.

import { get, send } from "../api.js";
import { h } from "../dom.js";
import { look } from "../state.js";
import { tell } from "./ask.js";
import { say } from "./parts.js";

const EVERY = 500;
const PATIENCE = 6000; // for as long the dialog stays open; a backup may take longer to be made

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Send it, and be back when it has begun or is over. Throws what it was refused with; behind `PATIENCE` that is told in
 * a dialog of its own. */
export async function begin(path, body, name, words) {
  const { data } = await send("POST", path, body, { later: true });
  const begun = settled(data);
  const late = await Promise.race([begun.then(() => false), sleep(PATIENCE).then(() => true)]);
  if (late) begun.catch((problem) => tell(`${name} was not done`, h("p", {}, problem.message), h("p", {}, problem.hint ?? "")));
  say(words);
  await look(true);
}

async function settled(run) {
  // That it is asked for is all that is known of one that goes on behind the answer.
  let now = run.status === "running" ? { ...run, status: "pending" } : run;
  while (now?.status === "pending") {
    await sleep(EVERY);
    now = await get(`runs/${encodeURIComponent(run.id)}`).catch((error) => {
      if (error.status) throw error;
      return now; // The server is away; the run is not.
    });
  }
  if (now?.status === "failed") {
    const hint = now.failure?.hint ?? now.error?.hint;
    throw Object.assign(new Error(now.error?.message ?? now.error ?? "It failed."), { hint });
  }
}
