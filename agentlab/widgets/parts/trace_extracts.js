// @ts-check
// What one view takes out of a trace: JSON for the clipboard, and the exact request of a step to read.

import { button, h } from "./dom.js";
import { GrowingText } from "./growing_text.js";
import { toClipboard } from "./panel.js";

/** @typedef {import("./trace_store.js").TraceStore} TraceStore */
/** @typedef {import("./panel.js").Panel} Panel */

const WANTED_MS = 30_000;

export class TraceExtracts {
  /**
   * @param {TraceStore} store
   * @param {Panel} panel
   * @param {(words: string) => void} say
   */
  constructor(store, panel, say) {
    this.store = store;
    this.panel = panel;
    this.say = say;
    /** @type {Map<string, number>} what this view asked for, and when [ms]: an answer goes to all views */
    this.wanted = new Map();
  }

  /** @param {number | null} row null: the whole trace */
  copy(row) {
    this.want(`copy ${row}`);
    this.store.send({ type: "copy", row });
  }

  /** @param {number} step */
  raw(step) {
    this.want(`raw ${step}`);
    this.panel.show(`Request of step ${step}`, ["…"]);
    this.store.send({ type: "raw", step });
  }

  /**
   * @param {string} type
   * @param {any} fields
   */
  hear(type, fields) {
    if (type === "copy" && this.isWanted(`copy ${fields.row ?? null}`)) void this.give(String(fields.text), "JSON");
    if (type === "raw" && this.isWanted(`raw ${fields.step}`) && this.panel.dialog.open) {
      const text = String(fields.text);
      const copy = button("Copy", () => void this.give(text, "request"), { class: "al-quiet" });
      this.panel.show(`Request of step ${fields.step}`, [longText(text)], [copy]);
    }
  }

  /** @private @param {string} text @param {string} what */
  async give(text, what) {
    if (await toClipboard(text)) {
      this.say(`${what} copied`);
      return;
    }
    const area = h("textarea", { class: "al-copyarea", readonly: true, "aria-label": what });
    area.value = text;
    this.panel.show("The browser keeps its clipboard shut: copy from here", [area]);
    area.select();
  }

  /** @private @param {string} what */
  want(what) {
    this.wanted.set(what, Date.now());
  }

  /** @private @param {string} what */
  isWanted(what) {
    const at = this.wanted.get(what);
    this.wanted.delete(what);
    return at !== undefined && Date.now() - at < WANTED_MS;
  }
}

/** @param {string} text */
function longText(text) {
  const box = h("pre", { class: "al-raw" });
  new GrowingText(box, false).set(text);
  return box;
}
