// @ts-check
// "Approve all", asked once more: which calls these are, and which others are not among them.
import { button, h } from "./dom.js";
import { Settling } from "./settling.js";

/** @typedef {{ call_id: string, call_hash: string, tool: string, arguments_json: string }} AllCall */

const ALL_CHARS = 160;

/**
 * What is asked before several calls run.
 * @param {number} count
 */
export function approveAllWords(count) {
  return count === 1 ? "Approve this call as it stands in its form?" : `Approve these ${count} calls, each as it stands in its form?`;
}

/**
 * What is said of calls that wait out of sight; empty where there are none.
 * @param {number} beyond
 */
export function beyondWords(beyond) {
  if (beyond <= 0) return "";
  return `${beyond} more ${beyond === 1 ? "waits" : "wait"} in rows that are not loaded here and ${beyond === 1 ? "is" : "are"} not among them: scroll to ${beyond === 1 ? "it" : "them"}.`;
}

/**
 * Those that were shown and still wait, with the same arguments.
 * @template {{ call_id: string, call_hash: string }} T
 * @param {readonly { call_id: string, call_hash: string }[]} shown
 * @param {readonly T[]} waiting
 */
export function stillWaiting(shown, waiting) {
  return waiting.filter((one) => shown.some((ask) => ask.call_id === one.call_id && ask.call_hash === one.call_hash));
}

/**
 * The question, with the names of the calls.
 * @param {AllCall[]} asks
 * @param {number} beyond How many others wait.
 * @param {() => void} go
 * @param {() => void} cancel
 */
export function approveAllPanel(asks, beyond, go, cancel) {
  const words = h("strong", { tabindex: "-1" }, approveAllWords(asks.length));
  const calls = asks.map(({ tool, arguments_json }) => h("li", {}, h("code", {}, h("bdi", {}, tool)), " ", h("bdi", { class: "al-muted" }, arguments_json.replace(/\s+/g, " ").slice(0, ALL_CHARS))));
  const buttons = h("div", { class: "al-panel-buttons" }, button(asks.length === 1 ? "Approve it" : `Approve these ${asks.length}`, go, { class: "al-primary" }), button("Cancel", cancel));
  const el = h("div", { class: "al-allpanel", role: "group", "aria-label": "approve all" }, words, h("ul", {}, ...calls), beyond > 0 && h("p", {}, beyondWords(beyond)), buttons);
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    cancel();
  });
  new Settling(el).begin([buttons]); // the second half of a double click is no answer
  return { el, focus: () => words.focus({ preventScroll: true }) };
}
