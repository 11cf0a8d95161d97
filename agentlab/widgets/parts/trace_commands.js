// @ts-check
// What the keys of a trace do.

import { isTyping } from "./dom.js";
import { indexOfRow, lastUpTo } from "./offsets.js";
import { activeIn } from "./strip.js";
import { isCommand, keysTable } from "./trace_keys.js";
import { stepHead } from "./trace_rows.js";

/** @typedef {import("./trace_pane.js").TracePane} TracePane */

const ANSWER_KEYS = new Map([["a", "approve"], ["d", "deny"], ["e", "edit"]]);

/**
 * Act on a key, if it is one of ours.
 * @param {TracePane} pane
 * @param {KeyboardEvent} event
 */
export function traceKey(pane, event) {
  const target = /** @type {Element} */ (event.target);
  if (pane.asks.letters.takes(event)) return;
  if (isTyping(target)) event.stopPropagation(); // a notebook has keys of its own
  else if (isCommand(event, target) && actOnKey(pane, event)) {
    event.preventDefault();
    event.stopPropagation();
  }
}

/** @param {TracePane} pane @param {KeyboardEvent} event @returns {boolean} it was one of ours */
function actOnKey(pane, { key, repeat }) {
  const deed = ANSWER_KEYS.get(key);
  if (deed) return repeat || answerCall(pane, deed);
  const { items } = pane.list;
  const hasMark = indexOfRow(items, pane.mark) >= 0;
  /** @type {Record<string, (() => void) | false>} */
  const acts = {
    j: () => moveMark(pane, 1),
    k: () => moveMark(pane, -1),
    g: () => pane.focusRow(items[0] ?? -1),
    G: () => goToEnd(pane),
    "/": () => pane.bar.focusSearch(),
    f: () => pane.foldAll(),
    "?": () => pane.panel.show("Keys", [keysTable()]),
    Enter: hasMark && (() => pane.toggle(pane.mark)),
    c: hasMark && (() => pane.extracts.copy(pane.mark)),
    r: hasMark && (() => showRequest(pane)),
  };
  const act = Object.hasOwn(acts, key) && acts[key];
  if (!act) return false;
  act();
  return true;
}

/** @param {TracePane} pane @param {1 | -1} by */
function moveMark(pane, by) {
  const { items } = pane.list;
  const top = indexOfRow(items, pane.list.topRow());
  const at = pane.mark < 0 ? top - by : lastUpTo(items, pane.mark);
  const to = items[Math.max(0, Math.min(items.length - 1, at + by))];
  if (to !== undefined) pane.focusRow(to);
}

/** @param {TracePane} pane */
function goToEnd(pane) {
  pane.focusRow(pane.list.items.at(-1) ?? -1);
  pane.list.follow();
}

/** @param {TracePane} pane */
function showRequest(pane) {
  const { kinds, rows } = pane.store.trace;
  const step = rows.get(pane.mark)?.step ?? rows.get(stepHead(kinds, pane.mark))?.step;
  if (step) pane.extracts.raw(step);
}

/** What nobody has seen is shown first; only the next press answers it. @param {TracePane} pane @param {string} deed */
function answerCall(pane, deed) {
  const meant = pane.asks.meant(activeIn(pane.root));
  if (!meant) return false;
  if (!pane.list.isSeen(meant.row)) {
    pane.goTo(meant.row, "top");
    pane.focusRow(meant.row);
    pane.say(`this call waits; press the same key again to ${deed}`);
    return true;
  }
  const part = pane.asks.partOf(meant);
  if (part?.isSettling()) {
    pane.say("the calls that wait have just changed; press the key again");
    return true;
  }
  if (deed === "approve") part?.approve();
  else if (deed === "deny") part?.deny();
  else part?.edit();
  return true;
}
