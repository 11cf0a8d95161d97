// @ts-check
// The head of a trace: what runs, how it stands, its figures, and a way to stop it.

import { button, h, put } from "./dom.js";

/** @typedef {import("./trace_state.js").Head} Head */

const TONES = new Set(["good", "warn", "bad"]);

export class TraceHead {
  /** @param {() => void} stop */
  constructor(stop) {
    this.title = h("strong", { class: "al-agent", dir: "auto" });
    this.model = h("bdi", { class: "al-muted" });
    this.badge = h("strong", { class: "al-badge" });
    this.stop = button("Stop", () => this.press(stop), { class: "al-stop", title: "End the run after what it is doing now" });
    this.facts = h("div", { class: "al-facts", role: "list" });
    this.note = h("p", { class: "al-muted al-headnote", dir: "auto" });
    this.el = h(
      "div", { class: "al-head" },
      h("div", { class: "al-title" }, this.title, this.model, h("span", { class: "al-state" }, this.badge, this.stop)),
      this.facts, this.note,
    );
    this.drawn = "";
  }

  /** @param {Head} head */
  update(head) {
    const text = JSON.stringify(head);
    if (text === this.drawn) return;
    this.drawn = text;
    put(this.title, head.title);
    put(this.model, head.model ?? "");
    put(this.badge, head.status);
    this.badge.className = `al-badge${TONES.has(head.tone ?? "") ? ` al-${head.tone}` : ""}`;
    this.stop.hidden = !head.stoppable;
    if (!head.stoppable) this.stop.disabled = false;
    put(this.facts, ...(head.facts ?? []).map(([label, value, tooltip]) =>
      h("div", { role: "listitem", title: tooltip ?? null }, h("span", { class: "al-muted" }, label), " ", h("span", { class: "al-value" }, value)),
    ));
    put(this.note, head.note ?? "");
    this.note.hidden = !head.note;
  }

  /** @private @param {() => void} stop */
  press(stop) {
    this.stop.disabled = true;
    stop();
  }
}
