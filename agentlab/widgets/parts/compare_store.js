// @ts-check
// Two runs compared, as Python tells of them: shared by all views of the model.
import { readJson } from "./dom.js";
import { GONE_WORDS, kernelLine } from "./kernel_line.js";

/** @typedef {import("./compare_row.js").CompareRow} CompareRow */
/** @typedef {import("./compare_row.js").CompareSpan} CompareSpan */
/** @typedef {{ title: string, model: string, note: string, status: string, tone: string }} CompareHead */
/** @typedef {{ name: string, l: CompareSpan[] | null, r: CompareSpan[] | null, l_more: number, r_more: number }} CompareSetting */
/**
 * @typedef {object} CompareSnapshot
 * @property {[CompareHead, CompareHead]} heads
 * @property {CompareSetting[]} settings
 * @property {[string, string, string, string, boolean][]} totals
 * @property {string} marks
 * @property {number | null} first
 * @property {string} words
 * @property {number} page_size
 * @property {Record<string, CompareRow[]>} pages
 */

export class CompareStore {
  /** @param {any} model */
  constructor(model) {
    this.send = kernelLine(model, () => this.tell([], GONE_WORDS));
    /** @type {CompareSnapshot} */
    this.runs = readJson(model.get("snapshot"));
    /** @type {Set<(rows: number[] | null, problem?: string) => void>} */
    this.listeners = new Set();
    /** @type {Set<number>} */
    this.asked = new Set();
    model.on("msg:custom", (/** @type {any} */ content, /** @type {any[]} */ buffers) => this.hear(content?.type, readJson(buffers?.[0])));
    model.on("change:snapshot", () => {
      this.runs = readJson(model.get("snapshot"));
      this.asked.clear();
      this.tell(null);
    });
  }

  /** @param {(rows: number[] | null, problem?: string) => void} listener rows that have come; null: all is new */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param {number} number @returns {CompareRow | undefined} */
  row(number) {
    return this.runs.pages[Math.floor(number / this.runs.page_size)]?.[number % this.runs.page_size];
  }

  /** Ask for the pages of some rows, those that are neither here nor on their way. @param {number} from @param {number} to */
  want(from, to) {
    const pages = [];
    for (let page = Math.floor(from / this.runs.page_size); page * this.runs.page_size < to; page++)
      if (!(page in this.runs.pages) && !this.asked.has(page)) pages.push(page);
    for (const page of pages) this.asked.add(page);
    if (pages.length) this.send({ type: "page", pages });
  }

  /** @param {number} row */
  wantWhole(row) {
    this.send({ type: "whole", row });
  }

  /** @private @param {string} type @param {any} fields */
  hear(type, fields) {
    if (type === "page") {
      const rows = [];
      for (const [page, found] of Object.entries(fields.pages ?? {})) {
        this.runs.pages[page] = found;
        this.asked.delete(Number(page));
        rows.push(...found.map((/** @type {CompareRow} */ _, /** @type {number} */ n) => Number(page) * this.runs.page_size + n));
      }
      this.tell(rows);
    } else if (type === "whole" && this.row(fields.row)) {
      this.runs.pages[Math.floor(fields.row / this.runs.page_size)][fields.row % this.runs.page_size] = fields.shown;
      this.tell([fields.row]);
    } else if (type === "problem") this.tell([], fields.text);
  }

  /** @private @param {number[] | null} rows @param {string} [problem] */
  tell(rows, problem) {
    for (const listener of [...this.listeners]) listener(rows, problem);
  }
}
