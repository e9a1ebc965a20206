// The page: a column of what is going on, one of how things are. Views are functions of what is known (`state.js`).

import { children } from "./dom.js";
import { h } from "./dom.js";
import { begin, look, state } from "./state.js";
import { alerts } from "./views/alerts.js";
import { backups } from "./views/backups.js";
import { bar } from "./views/bar.js";
import { failed } from "./views/failed.js";
import { health } from "./views/health.js";
import { history } from "./views/history.js";
import { login } from "./views/login.js";
import { nothing } from "./views/parts.js";
import { pending } from "./views/pending.js";
import { plans } from "./views/plans.js";
import { running } from "./views/running.js";
import { tiles } from "./views/tiles.js";

function draw() {
  children(document.getElementById("bar"), bar(draw));
  children(document.getElementById("main"), page().filter(Boolean));
  const running = state.status?.running?.length ?? 0;
  document.title = state.who ? `${running ? "▶ " : ""}${state.status?.summary.failed ? "✖ " : ""}Bascule` : "Bascule: log in";
}

function page() {
  if (state.who === null) return [login(draw)];
  if (!state.who || !state.status) return [nothing(state.online ? "Asking the server…" : "The server does not answer. Trying again.")];
  return [
    tiles(),
    h("div", { key: "left", class: "column" }, [running(), failed(), plans(), pending(), history()]),
    h("div", { key: "right", class: "column" }, [health(), alerts(), backups()]),
  ];
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
begin(draw);
