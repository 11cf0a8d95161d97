// @ts-check
// A line to write in. Enter sends, Shift+Enter begins a new line. What was written stays until Python has taken it.

import { button, h, put, readJson } from "./parts/dom.js";
import { GONE_WORDS, kernelLine } from "./parts/kernel_line.js";
import { hearThoughLate } from "./parts/late_model.js";

/** @typedef {{ to: string, busy: boolean, note: string, taken: number }} ChatState */

/**
 * Whether a key sends what is written. A word that is still being composed (Japanese, Chinese …) is not done yet.
 * @param {{ key: string, shiftKey: boolean, isComposing: boolean }} event
 */
export function sends(event) {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing;
}

/**
 * What stands in the empty line.
 * @param {ChatState} state
 */
export function chatHint(state) {
  return state.busy ? `${state.to} is at work …` : `Write to ${state.to}`;
}

/** @param {{ model: any, el: HTMLElement }} props */
function renderChatLine({ model, el }) {
  const box = h("textarea", { class: "al-chatbox", rows: 2, "aria-label": "Message" });
  const send = button("Send", () => submit(), { class: "al-primary", "aria-keyshortcuts": "Enter" });
  const stop = button("Stop", () => tell({ type: "stop" }));
  const note = h("p", { class: "al-muted al-chatnote", role: "status" });
  const root = h(
    "div", { class: "agentlab-trace agentlab-widget agentlab-chat-line", role: "group", "data-lm-suppress-shortcuts": "true" },
    h("div", { class: "al-chatrow" }, box, h("div", { class: "al-chatbuttons" }, send, stop)), note,
  );
  const tell = kernelLine(model, () => put(note, GONE_WORDS));
  let taken = -1;
  /** @type {ChatState} */
  let state = readJson(model.get("snapshot"));
  const submit = () => {
    if (!state.busy && box.value.trim()) tell({ type: "send", text: box.value });
  };
  const draw = () => {
    state = readJson(model.get("snapshot"));
    if (taken >= 0 && state.taken > taken) box.value = "";
    taken = state.taken;
    box.placeholder = chatHint(state);
    root.setAttribute("aria-label", `Chat with ${state.to}`);
    send.disabled = state.busy;
    stop.hidden = !state.busy;
    put(note, state.note);
  };
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (!sends(event)) return;
    event.preventDefault();
    submit();
  });
  model.on("change:snapshot", draw);
  draw();
  el.append(root);
}

export default () => ({ initialize: (/** @type {{ model: any }} */ { model }) => void hearThoughLate(model), render: renderChatLine });
