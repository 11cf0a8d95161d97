// @ts-check
// What a person is asked within a trace: the forms of one view, kept while their rows come and go, a banner that tells
// of them, and a sign of life to Python as long as somebody could answer here.

import { approvalPart } from "./approval.js";
import { approveAllPanel, stillWaiting } from "./approve_all.js";
import { button, h, isTyping, put } from "./dom.js";
import { LostLetters } from "./settling.js";
import { activeIn } from "./strip.js";

/** @typedef {import("./trace_store.js").TraceStore} TraceStore */
/** @typedef {{ row: number, ask: any }} Waiting */

const TRACE_PING_MS = 1000;
/** A form that moved less than this is where the hand expects it. */
const MOVED_PX = 4;

/**
 * Who is to be answered first: by the queue, then by row.
 * @param {readonly Waiting[]} waiting
 * @returns {Waiting[]}
 */
export function inQueue(waiting) {
  const place = (/** @type {Waiting} */ { ask }) => (Array.isArray(ask.queue) ? Number(ask.queue[0]) : Infinity);
  return [...waiting].sort((a, b) => place(a) - place(b) || a.row - b.row);
}

/**
 * What is said while people are waited for.
 * @param {number} pending
 */
export function pendingWords(pending) {
  return pending === 1 ? "1 call waits for you" : `${pending.toLocaleString("en-US")} calls wait for you`;
}

export class TraceAsks {
  /**
   * @param {TraceStore} store
   * @param {{ goTo: (row: number) => void, isHere: () => boolean, root: HTMLElement, say: (words: string) => void }} host
   *   `isHere`: the view is in the page
   */
  constructor(store, host) {
    this.store = store;
    this.host = host;
    /** @type {Map<string, ReturnType<typeof approvalPart>>} by call id */
    this.parts = new Map();
    /** @type {Waiting[]} */
    this.waiting = [];
    this.words = h("strong");
    this.tools = h("span", { class: "al-bannertools" });
    this.all = button("Approve all…", () => this.askForAll(), { hidden: true });
    this.allPlace = h("div", { class: "al-allplace" });
    this.letters = new LostLetters();
    /** What is said once the kernel is gone; empty before. */
    this.gone = "";
    this.el = h(
      "div", { class: "al-banner", hidden: true }, this.words, this.tools, this.all,
      button("Go to it", () => this.goToFirst(), { class: "al-primary" }),
      this.allPlace,
    );
    this.timer = 0;
  }

  /** See who waits now. @returns {string} what is new to say; empty: nothing */
  update() {
    const { trace } = this.store;
    this.waiting = inQueue(trace.asks.map((row) => ({ row, ask: trace.rows.get(row)?.ask })));
    const gone = [...this.parts].filter(([id]) => !this.waiting.some(({ ask }) => ask.call_id === id));
    for (const [id, part] of gone) {
      this.parts.delete(id);
      part.destroy();
    }
    if (gone.length) for (const part of this.parts.values()) part.settle(); // a click or key may have been meant for those
    return this.tell(Math.max(this.waiting.length, trace.head.pending ?? 0));
  }

  /**
   * Let news change the page, and see to it that no click or letter decides another call than it was meant for.
   * @param {() => void} change
   */
  during(change) {
    const held = activeIn(this.host.root);
    const wrote = !!held && this.host.root.contains(held) && isTyping(held);
    const tops = new Map([...this.parts.values()].filter(({ el }) => el.isConnected).map((part) => [part, topOf(part)]));
    change();
    if (wrote && !held.isConnected) {
      this.letters.begin();
      this.host.root.focus({ preventScroll: true });
      this.host.say("what you wrote to was decided elsewhere; your words were not sent");
    }
    if (!tops.size) return;
    requestAnimationFrame(() => {
      for (const [part, top] of tops) if (part.el.isConnected && Math.abs(topOf(part) - top) > MOVED_PX) part.settle();
    });
  }

  /**
   * The form of a call; the same one as long as the call waits.
   * @param {any} ask
   */
  part(ask) {
    const known = this.parts.get(ask.call_id);
    if (known) {
      known.update(ask);
      return known;
    }
    const part = approvalPart(ask, (decision) => {
      // what was sent is locked, and would lose the focus to the page
      if (part.el.contains(activeIn(part.el))) /** @type {HTMLElement | null} */ (part.el.closest("article"))?.focus({ preventScroll: true });
      this.store.send(decision);
    });
    this.parts.set(ask.call_id, part);
    if (this.gone) part.lost(this.gone);
    return part;
  }

  /** The call that a key is about: the one that holds the focus, else the first. @param {Element | null} focused */
  meant(focused) {
    const inside = this.waiting.find((one) => this.partOf(one)?.el.contains(focused));
    return inside ?? this.waiting[0];
  }

  /** @param {Waiting} waiting */
  partOf({ ask }) {
    return this.parts.get(ask.call_id);
  }

  /** @param {string} callId @param {string | null} problem */
  decided(callId, problem) {
    this.parts.get(callId)?.problem(problem);
  }

  /** Ask once more before all run: those at hand, also out of sight; one with a faulty edit goes on waiting. */
  askForAll() {
    const shown = this.waiting.map(({ ask }) => ask);
    const close = () => (put(this.allPlace), this.all.focus());
    const panel = approveAllPanel(shown, (this.store.trace.head.pending ?? 0) - shown.length, () => {
      put(this.allPlace);
      this.host.root.focus({ preventScroll: true });
      for (const ask of stillWaiting(shown, this.waiting.map((one) => one.ask))) this.part(ask).approve();
    }, close);
    put(this.allPlace, panel.el);
    panel.focus();
  }

  /** Nobody hears this view any more. @param {string} words */
  lost(words) {
    this.gone = words;
    clearInterval(this.timer);
    for (const part of this.parts.values()) part.lost(words);
    put(this.allPlace);
    this.all.disabled = true;
  }

  goToFirst() {
    if (this.waiting[0]) this.host.goTo(this.waiting[0].row);
  }

  destroy() {
    clearInterval(this.timer);
    for (const part of this.parts.values()) part.destroy();
    this.parts.clear();
  }

  /** @private @param {number} pending */
  tell(pending) {
    const words = pending ? pendingWords(pending) : "";
    const isNew = words !== this.words.textContent;
    this.el.hidden = !pending;
    this.all.hidden = this.waiting.length < 2;
    if (isNew) put(this.words, words);
    put(this.tools, ...this.waiting.slice(0, 3).map(({ ask }) => h("code", {}, h("bdi", {}, ask.tool))), this.waiting.length > 3 && "…");
    if (this.waiting.length < 2) put(this.allPlace);
    if (pending && !this.timer && !this.gone) {
      this.timer = window.setInterval(() => this.ping(), TRACE_PING_MS);
      queueMicrotask(() => this.ping());
    } else if (!pending && this.timer) {
      clearInterval(this.timer);
      this.timer = 0;
    }
    return isNew ? words : "";
  }

  /** @private */
  ping() {
    if (this.timer && this.host.isHere()) this.store.send({ type: "ping" });
  }
}

/** @param {{ el: HTMLElement }} part */
function topOf({ el }) {
  return el.getBoundingClientRect().top;
}
