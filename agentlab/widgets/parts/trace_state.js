// @ts-check
// A trace as the page knows it: rows, of which some pages are at hand, and how messages of Python change them.

/** @typedef {[label: string, value: string, tooltip?: string]} Fact */
/**
 * @typedef {object} Row one line of a trace; only what holds something is there
 * @property {string} k kind
 * @property {string} [id]
 * @property {number} [step]
 * @property {string} [label]
 * @property {string} [title]
 * @property {string} [text]
 * @property {number} [text_more]
 * @property {string} [args]
 * @property {number} [args_more]
 * @property {string} [ret]
 * @property {number} [ret_more]
 * @property {string} [status]
 * @property {string} [error]
 * @property {Fact[]} [facts]
 * @property {string} [approval]
 * @property {boolean} [heartbeat]
 * @property {string} [note]
 * @property {any} [ask]
 * @property {boolean} [live]
 */
/** @typedef {"text" | "args" | "ret"} TextField */
/**
 * @typedef {object} Head
 * @property {string} title
 * @property {string} [model]
 * @property {string} status
 * @property {string} [tone]
 * @property {Fact[]} [facts]
 * @property {boolean} [stoppable]
 * @property {number} [pending]
 * @property {string} [note]
 */
/** @typedef {[row: number, step: number, label: string, model_s: number, tool_s: number, human_s: number, failed: any]} Bin */
/** @typedef {{ total_s: number | null, bins: Bin[] }} Strip */
/** @typedef {[row: number, field: TextField, offset: number, text: string]} Delta */
/** @typedef {[row: number, field: TextField]} Grown */
/** @typedef {ReturnType<typeof readTrace>} Trace */

/**
 * @param {any} snapshot
 */
export function readTrace(snapshot) {
  const trace = {
    runId: String(snapshot.run_id ?? ""),
    seq: Number(snapshot.seq ?? 0),
    live: !!snapshot.live,
    head: /** @type {Head} */ (snapshot.head ?? { title: "", status: "" }),
    strip: /** @type {Strip} */ (snapshot.strip ?? { total_s: null, bins: [] }),
    kinds: String(snapshot.kinds ?? ""),
    tools: /** @type {string[]} */ (snapshot.tools ?? []),
    toolOf: /** @type {Map<number, number>} */ (new Map(snapshot.row_tools ?? [])),
    /** Only what was said and done: no head, no bar. */
    compact: !!snapshot.compact,
    pageSize: Number(snapshot.page_size ?? 100),
    goto: /** @type {number | null} */ (snapshot.goto ?? null),
    rows: /** @type {Map<number, Row>} */ (new Map()),
    /** Rows where a person is asked, rising. */
    asks: /** @type {number[]} */ ([]),
    /** Texts that were sent whole, by the id of their row and the field. */
    wholes: /** @type {Map<string, string>} */ (new Map()),
    /** How many characters (as Python counts them) the growing texts hold, by row and field. */
    lengths: /** @type {Map<string, number>} */ (new Map()),
  };
  putPages(trace, snapshot.pages ?? {});
  return trace;
}

/**
 * Put pages in their place.
 * @param {Trace} trace
 * @param {Record<string, Row[]>} pages
 */
export function putPages(trace, pages) {
  for (const [page, rows] of Object.entries(pages)) {
    rows.forEach((row, i) => putRow(trace, Number(page) * trace.pageSize + i, row));
  }
  findAsks(trace);
}

/**
 * Apply what has changed.
 * @param {Trace} trace
 * @param {any} batch
 * @returns {{ outcome: "applied", from: number | null, grown: Grown[] } | { outcome: "old" | "gap" }}
 *   `from`: the first row that may be another one now; a gap means that only a new snapshot helps
 */
export function applyBatch(trace, batch) {
  if (batch.seq <= trace.seq) return { outcome: "old" };
  if (batch.seq !== trace.seq + 1) return { outcome: "gap" };
  const from = typeof batch.from === "number" ? batch.from : null;
  if (from !== null && from > trace.kinds.length) return { outcome: "gap" };
  trace.seq = batch.seq;
  if (batch.head) trace.head = batch.head;
  if (batch.strip) trace.strip = batch.strip;
  if (batch.tools) trace.tools = batch.tools;
  if (from !== null) replaceRows(trace, from, batch);
  for (const delta of /** @type {Delta[]} */ (batch.live ?? [])) if (!grow(trace, delta)) return { outcome: "gap" };
  const grown = /** @type {Grown[]} */ ((batch.live ?? []).map((/** @type {Delta} */ [row, field]) => [row, field]));
  return { outcome: "applied", from, grown };
}

/**
 * A text that was asked for whole.
 * @param {Trace} trace
 * @param {{ row: number, field: TextField, text: string }} whole
 */
export function putWhole(trace, { row, field, text }) {
  const known = trace.rows.get(row);
  if (!known || typeof text !== "string") return;
  trace.wholes.set(`${known.id ?? row} ${field}`, text);
  trace.rows.set(row, { ...known, [field]: text, [`${field}_more`]: 0 });
}

/**
 * A text that stands anew from some place on: it grows there, and what was at its end may be hidden now.
 * @param {string} text
 * @param {number} length of the text, in code points
 * @param {number} offset where the piece begins, in code points
 * @param {string} piece
 * @returns {string | null} null if something before the piece is missing
 */
export function grownText(text, length, offset, piece) {
  if (offset > length) return null;
  let end = text.length;
  for (let back = length - offset; back > 0; back--) end -= isPair(text, end - 2) ? 2 : 1;
  return text.slice(0, end) + piece;
}

/**
 * Characters as Python counts them.
 * @param {string} text
 */
export function codePoints(text) {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) if (isPair(text, i)) pairs++;
  return text.length - pairs;
}

/** @param {string} text @param {number} at */
function isPair(text, at) {
  return at >= 0 && /** @type {number} */ (text.codePointAt(at)) > 0xffff;
}

/** @param {Trace} trace @param {number} from @param {any} batch */
function replaceRows(trace, from, batch) {
  const kinds = String(batch.kinds ?? "");
  const before = trace.kinds.length;
  trace.kinds = trace.kinds.slice(0, from) + kinds;
  for (let row = from; row < before; row++) trace.toolOf.delete(row);
  for (const [row, tool] of batch.row_tools ?? []) trace.toolOf.set(row, tool);
  const known = new Map();
  for (let row = from; row < before; row++) {
    const old = trace.rows.get(row);
    if (old?.id !== undefined) known.set(old.id, old);
    trace.rows.delete(row);
  }
  trace.lengths.clear();
  (batch.rows ?? []).forEach((/** @type {Row} */ row, /** @type {number} */ i) => putRow(trace, from + i, row, known));
  findAsks(trace);
}

/**
 * The same row stays the same object, so that a view can tell that there is nothing to draw.
 * @param {Trace} trace @param {number} number @param {Row} row @param {Map<string, Row>} [known]
 */
function putRow(trace, number, row, known) {
  if (!row || number >= trace.kinds.length) return;
  for (const field of /** @type {TextField[]} */ (["text", "args", "ret"])) {
    const whole = row[`${field}_more`] ? trace.wholes.get(`${row.id ?? number} ${field}`) : undefined;
    if (whole?.startsWith(row[field] ?? "")) row = { ...row, [field]: whole, [`${field}_more`]: 0 };
  }
  const old = (row.id !== undefined && known?.get(row.id)) || trace.rows.get(number);
  trace.rows.set(number, old && JSON.stringify(old) === JSON.stringify(row) ? old : row);
}

/** @param {Trace} trace */
function findAsks(trace) {
  trace.asks = [...trace.rows].filter(([, row]) => row.ask).map(([row]) => row).sort((a, b) => a - b);
}

/** @param {Trace} trace @param {Delta} delta @returns {boolean} false: something before it is missing */
function grow(trace, [number, field, offset, piece]) {
  const row = trace.rows.get(number);
  if (!row) return number < trace.kinds.length; // its page is not at hand, and will bring it
  const place = `${number} ${field}`;
  const text = row[field] ?? "";
  const grown = grownText(text, trace.lengths.get(place) ?? codePoints(text), offset, piece);
  if (grown === null) return false;
  row[field] = grown;
  trace.lengths.set(place, offset + codePoints(piece));
  return true;
}
