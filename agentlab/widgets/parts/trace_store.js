// @ts-check
// One trace of a model, shared by all its views: it hears Python, and tells the views what has changed.

import { readJson } from "./dom.js";
import { kernelLine } from "./kernel_line.js";
import { applyBatch, putPages, putWhole, readTrace } from "./trace_state.js";

/** @typedef {import("./trace_state.js").Grown} Grown */
/**
 * @typedef {{ what: "all" } | { what: "rows", from: number | null, grown: Grown[], head: boolean, strip: boolean }
 *   | { what: "pages" } | { what: "gone" } | { what: "message", type: string, fields: any }} News
 */
/**
 * @typedef {object} ModelLike the part of a widget's model that is used
 * @property {(name: string) => any} get
 * @property {(name: string, listener: (...args: any[]) => void) => void} on
 * @property {(content: any) => void} send
 */

const RESYNC_AGAIN_MS = 3000;

export class TraceStore {
  /** @param {ModelLike} model */
  constructor(model) {
    this.model = model;
    this.isGone = false;
    this.line = kernelLine(model, () => {
      this.isGone = true;
      this.tell({ what: "gone" });
    });
    this.trace = readTrace(readJson(model.get("snapshot")));
    /** @type {Set<(news: News) => void>} */
    this.listeners = new Set();
    /** When a snapshot was asked for, while it is awaited. @type {number | null} */
    this.resyncAt = null;
    model.on("msg:custom", (content, buffers) => this.hear(content?.type, readJson(buffers?.[0])));
    model.on("change:snapshot", () => this.renew(readJson(model.get("snapshot"))));
  }

  /**
   * @param {(news: News) => void} listener
   * @returns {() => void} ends it
   */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param {any} message */
  send(message) {
    this.line(message);
  }

  /** @private @param {News} news */
  tell(news) {
    for (const listener of [...this.listeners]) listener(news);
  }

  /** @private @param {string} type @param {any} fields */
  hear(type, fields) {
    if (type === "batch") this.change(fields);
    else if (type === "snapshot") this.renew(fields);
    else if (type === "page") {
      putPages(this.trace, fields.pages ?? {});
      this.tell({ what: "pages" });
    } else {
      if (type === "whole") putWhole(this.trace, fields);
      this.tell({ what: "message", type, fields });
    }
  }

  /** @private @param {any} snapshot */
  renew(snapshot) {
    const wholes = this.trace.wholes;
    this.trace = readTrace(snapshot);
    this.trace.wholes = wholes;
    this.resyncAt = null;
    this.tell({ what: "all" });
  }

  /** @private @param {any} batch */
  change(batch) {
    const change = applyBatch(this.trace, batch);
    if (change.outcome === "applied") {
      this.tell({ what: "rows", from: change.from, grown: change.grown, head: !!batch.head, strip: !!batch.strip });
    } else if (change.outcome === "gap") this.resync();
  }

  /** @private What was missed cannot be made up for; ask for all of it, once. */
  resync() {
    const now = Date.now();
    if (this.resyncAt !== null && now - this.resyncAt < RESYNC_AGAIN_MS) return;
    this.resyncAt = now;
    this.send({ type: "resync" });
  }
}
