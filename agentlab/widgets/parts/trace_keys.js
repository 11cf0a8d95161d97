// @ts-check
// The keys of a trace: which there are, and what they do.

import { h } from "./dom.js";

/** @type {[keys: string[], what: string][]} */
const TRACE_KEYS = [
  [["j", "k"], "next, previous row"],
  [["g", "G"], "first, last row (then follow)"],
  [["Enter"], "open or close the row; fold its step"],
  [["f"], "fold or unfold all steps"],
  [["/"], "search; Enter and Shift+Enter go through the matches, Escape leaves"],
  [["c"], "copy the row as JSON"],
  [["r"], "exact request of the step"],
  [["a"], "approve the call that waits"],
  [["e"], "edit its arguments"],
  [["d"], "deny it, with a reason"],
  [["?"], "these keys"],
];

/** All keys, as `aria-keyshortcuts` wants them. */
export const TRACE_SHORTCUTS = TRACE_KEYS.flatMap(([keys]) => keys).map((key) => (key === "G" ? "Shift+G" : key)).join(" ");

/** A table of the keys. */
export function keysTable() {
  const rows = TRACE_KEYS.map(([keys, what]) =>
    h("tr", {}, h("th", { scope: "row" }, ...keys.flatMap((key, i) => [i ? " " : null, h("kbd", {}, key)])), h("td", {}, what)),
  );
  return h("table", { class: "al-keys" }, h("tbody", {}, ...rows));
}

/**
 * Does a key mean what it says here? Not with a modifier, nor where a button or link takes Enter itself.
 * @param {{ key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, defaultPrevented: boolean, isComposing?: boolean }} event
 * @param {Element} target
 */
export function isCommand(event, target) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return false;
  return event.key !== "Enter" || !target.closest("button, a, summary, [role='button'], [role='tab']");
}
