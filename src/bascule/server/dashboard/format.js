// How numbers and moments are said.

/** Milliseconds as people say them. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "unknown";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** Bytes as people say them. */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (count < 1000) return `${count < 10 && unit !== "B" ? count.toFixed(1) : Math.round(count)} ${unit}`;
    count /= 1000;
  }
  return `${count.toFixed(1)} TB`;
}

/** A moment in the reader's own zone; the exact one is in the tooltip (`exact`). */
export function moment(iso) {
  if (!iso) return "never";
  const at = new Date(iso);
  const ago = (Date.now() - at) / 1000;
  if (ago < 60) return "just now";
  if (ago < 3600) return `${Math.floor(ago / 60)} min ago`;
  if (ago < 86400) return `${Math.floor(ago / 3600)} h ago`;
  return at.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

export const exact = (iso) => (iso ? new Date(iso).toLocaleString() : "");

/** 1 migration, 2 migrations. */
export const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

/** A sentence about a migration, behind its name: once, wherever the sentence comes from. */
export const about = (name, words) => (words.startsWith(`${name}: `) ? words : `${name}: ${words}`);

/** The same where the name stands beside it. */
export const alone = (name, words) => (words.startsWith(`${name}: `) ? words.slice(name.length + 2) : words);
