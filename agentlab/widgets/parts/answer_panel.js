// @ts-check
// A box for what a person has to say: a reason, or the answer in the place of the tool's.
import { button, h } from "./dom.js";
import { growingBox } from "./form_fields.js";

/**
 * A box for a reason or an answer. Enter sends a reason; in a longer text it begins a new line, and Ctrl+Enter sends.
 * @param {{ id: string, label: string, go: string, quick?: boolean, needed?: boolean, danger?: boolean }} about
 * @param {(text: string) => void} go
 * @param {() => void} cancel
 */
export function answerPanel({ id, label, go: words, quick = false, needed = false, danger = false }, go, cancel) {
  const box = growingBox("", { id: `${id}-answer`, rows: quick ? 1 : 3, "aria-describedby": `${id}-answer-error` }, () => (error.hidden = true), 8);
  const error = h("div", { class: "al-slot-error", id: `${id}-answer-error`, role: "alert", hidden: true }, "write what the model is to read");
  const submit = () => {
    error.hidden = !needed || box.value.trim() !== "";
    if (!error.hidden) return box.focus();
    go(box.value.trim());
  };
  box.addEventListener("keydown", (event) => {
    const isSend = event.key === "Enter" && !event.isComposing && (event.ctrlKey || event.metaKey || (quick && !event.shiftKey));
    if (!isSend) return;
    event.preventDefault();
    event.stopPropagation();
    submit();
  });
  const keys = quick ? [h("kbd", {}, "Enter"), " sends, ", h("kbd", {}, "Esc"), " closes"] : [h("kbd", {}, "Ctrl+Enter"), " sends, ", h("kbd", {}, "Esc"), " closes"];
  const el = h("div", { class: "al-panel" },
    h("label", { for: `${id}-answer` }, label), box, error,
    h("div", { class: "al-panel-buttons" }, button(words, submit, { class: danger ? "al-danger al-danger-go" : "al-primary" }), button("Cancel", cancel), h("span", { class: "al-panel-keys" }, ...keys)));
  return { el, focus: () => box.focus() };
}
