// @ts-check
// What is searched for in one view of a trace, what Python found, and which match the reader is at.

import { nextFound } from "./trace_rows.js";

export class TraceFind {
  constructor() {
    this.query = "";
    /** @type {{ rows: number[], more: boolean } | null} */
    this.found = null;
    /** @type {number[]} those found that pass the filter */
    this.matches = [];
    this.place = -1;
  }

  /** @param {string} query */
  begin(query) {
    this.query = query;
    this.found = null;
    this.matches = [];
    this.place = -1;
  }

  /**
   * @param {{ rows: number[], more: boolean }} found
   * @param {(row: number) => boolean} passes
   */
  take(found, passes) {
    const at = this.matches[this.place];
    this.found = found;
    this.matches = found.rows.filter(passes);
    this.place = at === undefined ? -1 : this.matches.indexOf(at);
  }

  /**
   * Go on to the next match.
   * @param {number} from the row where the reader is, unless he is at a match
   * @param {1 | -1} direction
   * @returns {number} its row; -1 if there is none
   */
  step(from, direction) {
    this.place = nextFound(this.matches, this.matches[this.place] ?? from, direction);
    return this.matches[this.place] ?? -1;
  }
}
