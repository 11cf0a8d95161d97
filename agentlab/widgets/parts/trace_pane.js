// @ts-check
// One view of a trace: head, strip, bar and list, and what happens between them.

import { button, h, isTyping, put } from "./dom.js";
import { goneWords } from "./kernel_line.js";
import { indexOfRow, lastUpTo } from "./offsets.js";
import { Panel } from "./panel.js";
import { TimeStrip } from "./strip.js";
import { Toolbar } from "./toolbar.js";
import { TraceAsks } from "./trace_asks.js";
import { TraceExtracts } from "./trace_extracts.js";
import { TraceFind, showMatch } from "./trace_find.js";
import { TraceFolds } from "./trace_folds.js";
import { TraceHead } from "./trace_head.js";
import { traceKey } from "./trace_commands.js";
import { keysTable } from "./trace_keys.js";
import { PageAsker } from "./trace_pages.js";
import { RowView } from "./trace_row.js";
import { ROW_KINDS, stepHead, toolsOfStep, visibleRows } from "./trace_rows.js";
import { VirtualList } from "./virtual_list.js";

/** @typedef {import("./trace_store.js").TraceStore} TraceStore */
/** @typedef {import("./trace_store.js").News} News */

export class TracePane {
  /**
   * @param {HTMLElement} root
   * @param {TraceStore} store
   */
  constructor(root, store) {
    this.root = root;
    this.store = store;
    this.folds = new TraceFolds();
    this.mark = -1;
    this.find = new TraceFind();
    /** Rows that were there when the reader left the end. */
    this.seenRows = store.trace.kinds.length;
    this.state = store.trace.head.status;
    this.head = new TraceHead(() => store.send({ type: "stop" }));
    this.strip = new TimeStrip((row) => this.goTo(row, "top"));
    this.bar = new Toolbar({
      search: (query) => this.search(query),
      next: (direction) => this.next(direction),
      filter: () => this.filter(),
      fold: () => this.foldAll(),
      copy: () => this.extracts.copy(null),
      help: () => this.panel.show("Keys", [keysTable()]),
      leave: () => this.focusRow(this.mark),
    });
    this.asks = new TraceAsks(store, {
      goTo: (row) => this.goToAsk(row),
      isHere: () => root.isConnected,
      root,
      say: (words) => this.say(words),
    });
    this.notice = h("p", { class: "al-error al-notice", hidden: true, role: "alert" });
    this.status = h("div", { class: "al-sr", role: "status" });
    const feed = h("div", { class: "al-feed", role: "feed", "aria-label": "Messages and events" });
    const sizer = h("div", { class: "al-sizer" });
    const scroller = h("div", { class: "al-scroller" }, feed, sizer);
    this.none = h("p", { class: "al-none al-muted", hidden: true });
    this.newer = button("", () => this.list.follow(), { class: "al-primary al-newer", hidden: true });
    root.append(
      this.head.el, this.strip.el, this.bar.el, this.asks.el, this.notice,
      h("div", { class: "al-body" }, scroller, this.none, this.newer), this.status,
    );
    this.list = new VirtualList(scroller, feed, sizer, {
      estimate: (row) => ROW_KINDS.get(store.trace.kinds[row])?.height_px ?? 60,
      keyOf: (row) => store.trace.rows.get(row)?.id ?? `#${row}`,
      draw: (row, drawn) => this.drawRow(row, drawn),
      onWindow: (first, last) => this.windowIs(first, last),
      onFollow: () => this.tellNew(),
    });
    this.panel = new Panel(root);
    this.extracts = new TraceExtracts(store, this.panel, (words) => this.say(words));
    this.pages = new PageAsker(store);
    root.addEventListener("keydown", (event) => traceKey(this, event));
    root.addEventListener("focusin", (event) => this.focused(event));
    feed.addEventListener("pointerdown", (event) => this.setMark(this.list.rowOf(/** @type {Element} */ (event.target))));
    root.addEventListener("pointerdown", () => this.asks.letters.end(), true);
    this.deaf = store.listen((news) => this.asks.during(() => this.hear(news)));
  }

  /** Draw it all for the first time; the root is in its place. */
  start() {
    const { trace } = this.store;
    this.list.following = trace.live && trace.goto === null;
    this.all();
    if (this.store.isGone) this.lost();
    if (trace.goto !== null) this.goTo(trace.goto, "middle");
  }

  destroy() {
    this.deaf();
    this.bar.destroy();
    this.pages.destroy();
    this.asks.destroy();
    this.list.destroy();
    this.panel.close();
  }

  // news

  /** @param {News} news */
  hear(news) {
    if (news.what === "all") {
      this.pages.forget();
      this.all();
    } else if (news.what === "pages") {
      this.list.draw();
      this.pages.arrived();
      this.waiting();
      showMatch(this);
    } else if (news.what === "gone") this.lost();
    else if (news.what === "rows") this.changed(news);
    else this.message(news.type, news.fields);
  }

  /** @param {Extract<News, { what: "rows" }>} news */
  changed({ from, grown, head, strip }) {
    const { trace } = this.store;
    if (head) this.headIs();
    if (strip) this.strip.update(trace.strip);
    if (from !== null) {
      this.bar.update(trace.kinds, trace.tools);
      this.rows();
      this.tellNew();
    }
    if (from !== null || head) this.waiting();
    let stale = false;
    for (const [row, field] of grown) {
      if (this.viewOf(row)?.grown(field) === false) stale = true;
    }
    if (stale) this.list.draw();
    else if (grown.length) this.list.settle();
  }

  /** @param {string} type @param {any} fields */
  message(type, fields) {
    if (type === "whole") {
      this.list.draw();
      showMatch(this);
    } else if (type === "goto") this.goTo(fields.row, "middle");
    else if (type === "decided") this.asks.decided(fields.call_id, fields.error ?? null);
    else if (type === "found" && fields.q === this.find.query) this.foundRows(fields, true);
    else if (type === "problem") {
      put(this.notice, fields.text ?? "something went wrong");
      this.notice.hidden = false;
    } else this.extracts.hear(type, fields);
  }

  /** Nobody hears this view any more: what it shows stays. */
  lost() {
    const words = goneWords(this.store.trace.runId);
    put(this.notice, words);
    this.notice.hidden = false;
    this.asks.lost(words);
  }

  /** All of it may be new. */
  all() {
    const { trace } = this.store;
    for (const el of [this.head.el, this.strip.el, this.bar.el]) el.classList.toggle("al-away", trace.compact);
    this.headIs();
    this.strip.update(trace.strip);
    this.bar.update(trace.kinds, trace.tools);
    this.rows();
    this.waiting();
    this.tellNew();
  }

  /** The head is another one; a run that ends, or goes on, is told in words. */
  headIs() {
    const { head } = this.store.trace;
    if (this.state !== head.status) this.say(`run: ${head.status}`);
    this.state = head.status;
    this.head.update(head);
  }

  /** Find out which rows are shown, and show them. */
  rows() {
    const { trace } = this.store;
    const { kind, tool } = this.bar.filter();
    const asks = new Set(trace.asks);
    const items = visibleRows(trace.kinds, trace.toolOf, {
      kind, tool, isFolded: (row) => this.folds.isFolded(row), waits: (row) => asks.has(row),
    });
    const focused = this.list.focusedRow();
    this.list.setItems(items, trace.kinds.length);
    if (focused >= 0 && indexOfRow(items, focused) < 0) this.focusRow(focused);
    this.none.hidden = items.length > 0;
    put(this.none, trace.kinds.length ? "No row passes the filter" : trace.live ? "Nothing has happened yet" : "An empty trace");
  }

  waiting() {
    this.say(this.asks.update());
  }

  /** @param {string} words */
  say(words) {
    if (words) put(this.status, words);
  }

  // rows

  /** @param {number} row @param {any} drawn */
  drawRow(row, drawn) {
    const { trace } = this.store;
    const view = /** @type {RowView} */ (drawn ?? new RowView(this.rowHost()));
    view.mark(row === this.mark);
    view.update(row, trace.kinds[row], trace.rows.get(row));
    return view;
  }

  /** @param {number} row */
  viewOf(row) {
    return /** @type {RowView | undefined} */ (this.list.drawnOf(row));
  }

  rowHost() {
    /** @type {import("./trace_row.js").RowHost} */
    const host = {
      isOpen: (number, row) => this.folds.isOpen(number, row),
      isFolded: (number) => this.folds.isFolded(number),
      toggle: (number) => this.toggle(number),
      stepTools: (number) => {
        const { kinds, toolOf, tools } = this.store.trace;
        return toolsOfStep(kinds, toolOf, number).map(([tool, times]) => [tools[tool] ?? "", times]);
      },
      askWhole: (row, field) => {
        this.list.holdRow(row);
        this.store.send({ type: "whole", row, field });
      },
      copy: (row) => this.extracts.copy(row),
      raw: (step) => this.extracts.raw(step),
      approval: (ask) => this.asks.part(ask),
      query: () => this.find.query,
    };
    return host;
  }

  /** @param {number} first @param {number} last */
  windowIs(first, last) {
    this.pages.seen(first, last);
    const marked = this.list.drawnOf(this.mark);
    const top = this.list.topRow();
    const entry = marked ?? this.list.drawnOf(top);
    for (const { drawn } of this.list.shown.values()) {
      const index = drawn === entry ? 0 : -1;
      if (drawn.el.tabIndex !== index) drawn.el.tabIndex = index;
    }
    this.strip.at(marked && this.list.isSeen(this.mark) ? this.mark : top);
  }

  /** @param {number} row */
  setMark(row) {
    if (row < 0 || row === this.mark) return;
    this.viewOf(this.mark)?.mark(false);
    this.mark = row;
    this.viewOf(row)?.mark(true);
  }

  /** Put the focus on a row, or on the last one before it that is shown. @param {number} row */
  focusRow(row) {
    const shown = this.list.items[Math.max(0, lastUpTo(this.list.items, row))];
    if (row < 0 || shown === undefined) {
      this.root.focus({ preventScroll: true });
      return;
    }
    this.setMark(shown);
    this.list.reveal(shown, "nearest");
    this.list.drawnOf(shown)?.el.focus({ preventScroll: true });
  }

  /** @param {FocusEvent} event */
  focused(event) {
    const row = this.list.rowOf(/** @type {Element} */ (event.target));
    if (row < 0) return;
    this.setMark(row);
    if (isTyping(event.target)) this.list.holdRow(row); // what is typed in stays where it is
  }

  /** @param {number} number */
  toggle(number) {
    const { trace } = this.store;
    this.list.holdRow(number);
    this.setMark(number);
    if (trace.kinds[number] === "S") {
      this.folds.flip(number);
      this.rows();
    } else {
      const row = trace.rows.get(number);
      if (row) this.folds.open(number, row, !this.folds.isOpen(number, row));
      this.list.draw();
    }
  }

  foldAll() {
    this.folds.flipAll();
    this.bar.folded(this.folds.all);
    if (!this.list.following) {
      const top = this.list.topRow();
      this.list.holdRow(indexOfRow(this.list.items, this.mark) >= 0 && this.list.isSeen(this.mark) ? this.mark : top);
    }
    this.rows();
    this.say(this.folds.all ? "steps folded" : "steps unfolded");
  }

  /**
   * Show a row, whatever hides it, and mark it.
   * @param {number} row
   * @param {"nearest" | "middle" | "top"} where
   */
  goTo(row, where) {
    const { trace } = this.store;
    if (!(row >= 0 && row < trace.kinds.length)) return;
    const head = stepHead(trace.kinds, row);
    if (head >= 0 && head !== row && this.folds.isFolded(head)) this.folds.flip(head);
    const { kind, tool } = this.bar.filter();
    if ((kind !== null && kind !== trace.kinds[row]) || (tool !== null && tool !== trace.toolOf.get(row))) this.bar.showAll();
    this.rows();
    this.setMark(row);
    this.list.reveal(row, where);
  }

  /** @param {number} row */
  goToAsk(row) {
    this.goTo(row, "top");
    const waiting = this.asks.waiting.find((one) => one.row === row);
    if (waiting) this.asks.partOf(waiting)?.focusFirst();
  }

  filter() {
    this.rows();
    if (this.find.found) this.foundRows(this.find.found, false);
    this.say(`${this.list.items.length.toLocaleString("en-US")} rows`);
  }

  /** How many rows are new since the reader left the end. */
  tellNew() {
    const { kinds } = this.store.trace;
    if (this.list.following) this.seenRows = kinds.length;
    const count = kinds.length - this.seenRows;
    this.newer.hidden = count <= 0;
    if (count > 0) put(this.newer, `${count.toLocaleString("en-US")} new — follow`);
  }

  // search

  /** @param {string} query */
  search(query) {
    this.find.begin(query);
    this.bar.found(null, -1, false);
    if (query) this.store.send({ type: "search", q: query });
    this.list.draw();
  }

  /** @param {{ rows: number[], more: boolean }} found @param {boolean} go to the first one */
  foundRows(found, go) {
    const { kinds, toolOf } = this.store.trace;
    const { kind, tool } = this.bar.filter();
    this.find.take(found, (row) => (kind === null || kinds[row] === kind) && (tool === null || toolOf.get(row) === tool));
    const count = this.find.matches.length;
    this.bar.found(count, this.find.place, found.more);
    this.say(count ? `${count.toLocaleString("en-US")} rows found` : "nothing found");
    if (go) this.next(1, this.list.topRow() - 1);
  }

  /** @param {1 | -1} direction @param {number} [from] */
  next(direction, from = this.list.topRow()) {
    const { trace } = this.store;
    const row = this.find.step(from, direction);
    if (row < 0) return;
    this.folds.openForced(row, trace.rows.get(row));
    this.goTo(row, "middle");
    showMatch(this);
    this.bar.found(this.find.matches.length, this.find.place, !!this.find.found?.more);
  }
}
