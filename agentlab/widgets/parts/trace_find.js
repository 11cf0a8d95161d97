// @ts-check
// What is searched for in one view of a trace, what Python found, which match the reader is at, and where it stands.

import { MANY_CHARS, nextFound } from "./trace_rows.js";

/** @typedef {import("./trace_pane.js").TracePane} TracePane */
/** @typedef {import("./trace_state.js").Row} Row */
/** @typedef {import("./trace_state.js").TextField} TextField */

export class TraceFind {
  constructor() {
    this.query = "";
    /** @type {{ rows: number[], more: boolean } | null} */
    this.found = null;
    /** @type {number[]} those found that pass the filter */
    this.matches = [];
    this.place = -1;
    /** The row whose match is to be brought into view once it is drawn; -1: none. */
    this.sought = -1;
  }

  /** @param {string} query */
  begin(query) {
    this.query = query;
    this.found = null;
    this.matches = [];
    this.place = this.sought = -1;
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
    this.sought = this.matches[this.place] ?? -1;
    return this.sought;
  }
}

/**
 * A text of a row that was cut, so that a match may stand in what is left out; not one too long to mark matches in.
 * @param {Row} row
 * @returns {TextField | undefined}
 */
export function cutField(row) {
  const fields = /** @type {TextField[]} */ (["text", "args", "ret"]);
  return fields.find((field) => {
    const left = row[`${field}_more`];
    return left && (row[field] ?? "").length + left <= MANY_CHARS;
  });
}

/**
 * Bring the match in the row that was gone to into view; what was cut of its texts is fetched until one is there.
 * @param {TracePane} pane
 */
export function showMatch(pane) {
  const { find, list, mark, store } = pane;
  const { sought } = find;
  const row = store.trace.rows.get(sought);
  const view = pane.viewOf(sought);
  if (!row || !view) return; // it is on its way
  const match = view.el.querySelector("mark");
  const cut = cutField(row);
  if (match || !cut || sought !== mark) find.sought = -1;
  if (match && sought === mark) {
    scrollBoxes(match, view.el);
    list.revealWithin(sought, match);
  } else if (find.sought >= 0) store.send({ type: "whole", row: sought, field: cut });
}

/** Scroll the boxes between an element and one around it until it is seen in them. @param {Element} element @param {Element} around */
function scrollBoxes(element, around) {
  for (let box = element.parentElement; box && box !== around; box = box.parentElement) {
    if (box.scrollHeight <= box.clientHeight) continue;
    box.scrollTop += element.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
  }
}
