// The REST API. The session is a cookie that scripts cannot read; what changes something carries the CSRF word.

const BASE = "api/v1/";
const known = new Map(); // address → { etag, body }: an answer 304 is the one we have.
const EVENTS = [
  "migration.started", "migration.progress", "migration.completed", "migration.failed", "migration.validation_failed",
  "migration.rollback_started", "migration.rollback_completed", "migration.rollback_failed", "migration.journal",
];
let csrf = null;

export class Refusal extends Error {
  constructor(status, body) {
    super(body?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = body?.error?.code ?? "";
    this.hint = body?.error?.hint ?? "";
    this.data = body?.data;
  }
}

async function call(method, path, body, headers = {}) {
  const address = BASE + path;
  const had = method === "GET" ? known.get(address) : undefined;
  const answer = await fetch(address, {
    method,
    credentials: "same-origin",
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...(method === "GET" ? {} : { "X-CSRF-Token": csrf ?? "" }),
      ...(had ? { "If-None-Match": had.etag } : {}),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(method === "GET" ? 15000 : 120000),
  });
  if (answer.status === 304 && had) return had.body;
  const found = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refusal(answer.status, found);
  const etag = answer.headers.get("ETag");
  if (etag && method === "GET") known.set(address, { etag, body: found });
  return found;
}

/** What an endpoint below /migrations answers as its data. */
export const get = async (path) => (await call("GET", `migrations/${path}`)).data;

/** A change; the whole answer. `later`: do not wait for its end. */
export const send = (method, path, body = {}, { later = false } = {}) =>
  call(method, `migrations/${path}`, body, later ? { Prefer: "respond-async" } : {});

/** Who is logged in, or null. */
export async function session() {
  try {
    const { data } = await call("GET", "session");
    csrf = data.csrf;
    return data;
  } catch (error) {
    if (error.status === 401) return null;
    throw error;
  }
}

export async function logIn(token) {
  const { data } = await call("POST", "session", { token });
  csrf = data.csrf;
  known.clear();
  return data;
}

export async function logOut() {
  await call("DELETE", "session");
  csrf = null;
  known.clear();
}

/** The events of a run, as they come; the browser goes on where it stopped when the server was away. */
export function follow(run, heard, lost) {
  const source = new EventSource(`${BASE}migrations/runs/${encodeURIComponent(run)}/events`);
  for (const name of EVENTS) source.addEventListener(name, ({ data }) => heard({ name, ...JSON.parse(data) }));
  source.addEventListener("end", ({ data }) => {
    source.close();
    heard({ name: "end", run: JSON.parse(data) });
  });
  source.onerror = () => lost(source.readyState === EventSource.CLOSED);
  return () => source.close();
}
