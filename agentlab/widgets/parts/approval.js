// @ts-check
// A tool call that waits for a person: what it would do, and all that can be said of it.
import { alwaysPanel } from "./always.js";
import { answerPanel } from "./answer_panel.js";
import { argumentsEditor } from "./arguments_editor.js";
import { button, h, isTyping, put } from "./dom.js";
import { Settling } from "./settling.js";

/**
 * @typedef {object} Ask
 * @property {string} call_id
 * @property {string} call_hash
 * @property {string} tool
 * @property {string} description
 * @property {string} arguments_json
 * @property {Record<string, any>} schema
 * @property {string} rule
 * @property {number | null} asked_s How long ago it was asked.
 * @property {[number, number]} queue
 * @property {string[]} can
 * @property {string[][]} patterns
 */
/** @typedef {{ type: "decide", call_id: string, call_hash: string, action: string, arguments_json?: string, reason?: string, response?: string, always?: import("./always.js").AlwaysScope }} Decide */
/** @typedef {{ el: HTMLElement, update: (ask: Ask) => void, problem: (text: string | null) => void, focusFirst: () => void, approve: () => void, deny: () => void, edit: () => void, settle: () => void, isSettling: () => boolean, lost: (text: string) => void, destroy: () => void }} ApprovalPart */

/** After so long without an answer the page says that Python is busy. */
const PATIENCE_MS = 6000;

let approvalIds = 0;

/**
 * Seconds in the words in which a person counts them.
 * @param {number} value_s
 */
export function waitingWords(value_s) {
  const whole = Math.max(0, Math.floor(value_s));
  if (whole < 60) return `${whole} s`;
  return whole < 3600 ? `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s` : `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
}

/**
 * The keys of a call that waits: a, d, e. True when the key was one of them.
 * @param {KeyboardEvent} event
 * @param {ApprovalPart | null | undefined} part
 */
export function approvalKey(event, part) {
  if (!part || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return false;
  const deed = { a: part.approve, d: part.deny, e: part.edit }[event.key];
  if (!deed) return false;
  event.preventDefault();
  event.stopPropagation();
  if (!part.isSettling()) deed();
  return true;
}

/**
 * The part of a page that asks about one call.
 * @param {Ask} ask
 * @param {(decision: Decide) => void} send
 * @returns {ApprovalPart}
 */
export function approvalPart(ask, send) {
  const el = h("section", { class: "al-approval", role: "group", "aria-keyshortcuts": "a d e", data: { callId: ask.call_id } });
  const settling = new Settling(el);
  /** @type {ReturnType<typeof approvalBody>} */
  let body;
  function start(/** @type {Ask} */ now) {
    ask = now;
    body = approvalBody(now, send);
    el.setAttribute("aria-label", `${now.tool} waits for a decision`);
    put(el, body.el);
    settling.begin(body.deciding);
  }
  start(ask);
  return {
    el,
    update: (now) => {
      if (now.call_hash === ask.call_hash && now.call_id === ask.call_id) return body.update((ask = now));
      body.destroy();
      start(now);
    },
    problem: (text) => body.problem(text),
    focusFirst: () => body.focusFirst(),
    approve: () => body.approve(),
    deny: () => body.deny(),
    edit: () => body.edit(),
    /** It has moved: what was meant for another call must not decide this one. */
    settle: () => settling.begin(body.deciding),
    isSettling: () => settling.isOn,
    /** Nobody hears it any more. */
    lost: (text) => body.lost(text),
    destroy: () => (settling.end(), body.destroy()),
  };
}

/** @param {Ask} ask @param {(decision: Decide) => void} send */
function approvalBody(ask, send) {
  const id = `al-approval-${++approvalIds}`;
  let isSent = false;
  let since_ms = Date.now() - (ask.asked_s ?? 0) * 1000;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  /** @type {{ el: HTMLElement, opener: HTMLElement } | null} */
  let open = null;

  const place = h("span", { class: "al-badge al-warn" });
  const age = h("span", { class: "al-muted al-age" });
  const error = h("div", { class: "al-error", role: "alert", hidden: true });
  const status = h("div", { class: "al-sent", role: "status" });
  const panel = h("div", { class: "al-panel-place" });
  const editor = argumentsEditor(ask, id, () => edited());
  const can = (/** @type {string} */ action) => ask.can.includes(action);

  const approveIt = button("", () => approve(), { class: "al-primary" });
  const asAsked = button("Approve as asked", () => decide("approve"));
  const always = button("Always allow…", () => toggle("always", always), { "aria-expanded": "false" });
  const denyIt = button("Deny… ", () => toggle("deny", denyIt), { "aria-expanded": "false", "aria-keyshortcuts": "d" });
  denyIt.append(h("kbd", { "aria-hidden": "true" }, "d"));
  const respond = button("Respond…", () => toggle("respond", respond), { "aria-expanded": "false", title: "Answer in the tool's place; the tool does not run" });
  const handOn = button("Hand on", () => decide("escalate"), { title: "Leave it to the next approver; where there is none, the call is denied" });
  const stop = button("Stop the run…", () => toggle("stop", stop), { class: "al-quiet al-danger", "aria-expanded": "false" });
  const bar = h("div", { class: "al-approval-bar", role: "group", "aria-label": "decision" },
    approveIt, asAsked, always, denyIt, respond, handOn, h("span", { class: "al-space" }), stop);
  const head = h("div", { class: "al-approval-head", tabindex: -1 }, h("span", { class: "al-approval-tool" }, h("code", {}, ask.tool), " asks to run"), place, age);
  const about = ask.description && h("p", { class: "al-approval-about" }, ask.description);
  const el = h("div", { class: "al-approval-body", tabindex: -1 }, head, about, editor.el, error, bar, panel, status);

  const openers = /** @type {Record<string, () => { el: HTMLElement, focus: () => void }>} */ ({
    deny: () => said({ label: "Why not? The model reads this; it may stay empty.", go: "Deny the call", quick: true }, (text) => decide("deny", text ? { reason: text } : {})),
    respond: () => said({ label: "What the model reads as the tool's return. The tool does not run.", go: "Answer for the tool", needed: true }, (text) => decide("respond", { response: text })),
    stop: () => said({ label: "The run ends here, and no further call runs. Why?", go: "Stop the run", quick: true, danger: true }, (text) => decide("stop", text ? { reason: text } : {})),
    always: () => alwaysPanel({ tool: ask.tool, names: editor.names(), patterns: ask.patterns }, (scope) => decide("approve", { always: scope }), () => close(true)),
  });

  /** @param {{ label: string, go: string, quick?: boolean, needed?: boolean, danger?: boolean }} about @param {(text: string) => void} go */
  function said(about, go) {
    return answerPanel({ id, ...about }, go, () => close(true));
  }
  /** @param {string} kind @param {HTMLElement} opener */
  function toggle(kind, opener) {
    if (isSent) return;
    if (open?.opener === opener) return close(true);
    close(false);
    const made = openers[kind]();
    open = { el: made.el, opener };
    opener.setAttribute("aria-expanded", "true");
    put(panel, made.el);
    made.focus();
  }
  /** @param {boolean} back */
  function close(back) {
    open?.opener.setAttribute("aria-expanded", "false");
    if (back) open?.opener.focus();
    open = null;
    put(panel);
  }
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close(true);
  });

  /** @param {string} action @param {Partial<Decide>} [more] */
  function decide(action, more = {}) {
    if (isSent || !can(action)) return;
    isSent = true;
    error.hidden = true;
    if (el.contains(document.activeElement)) el.focus({ preventScroll: true }); // a button that is disabled loses it
    drawButtons();
    put(status, "sent…");
    patience = setTimeout(() => put(status, "sent; Python has not answered yet, it may be busy with a running cell"), PATIENCE_MS);
    send({ type: "decide", call_id: ask.call_id, call_hash: ask.call_hash, action, ...more });
  }
  function approve() {
    if (isSent) return;
    if (!editor.isChanged()) return decide("approve");
    if (!can("edit")) return;
    const { text, problem } = editor.read();
    if (problem === null) return decide("edit", { arguments_json: text });
    showError(problem);
    editor.focusError();
  }
  /** @param {string} text */
  function showError(text) {
    put(error, text);
    error.hidden = false;
  }
  function drawButtons() {
    const isChanged = editor.isChanged();
    put(approveIt, isChanged ? "Approve edited " : "Approve ", h("kbd", { "aria-hidden": "true" }, "a"));
    approveIt.setAttribute("aria-keyshortcuts", "a");
    approveIt.hidden = !can(isChanged ? "edit" : "approve");
    asAsked.hidden = !isChanged || !can("approve");
    always.hidden = isChanged || !can("approve");
    if (always.hidden && open?.opener === always) close(false);
    for (const [action, one] of /** @type {const} */ ([["deny", denyIt], ["respond", respond], ["escalate", handOn], ["stop", stop]])) one.hidden = !can(action);
    for (const one of /** @type {NodeListOf<HTMLButtonElement>} */ (bar.querySelectorAll("button"))) one.disabled = isSent;
    el.classList.toggle("al-is-sent", isSent);
    editor.lock(isSent);
    panel.inert = isSent;
  }
  function edited() {
    if (editor.read().problem === null) error.hidden = true; // what Python said of it holds no more
    drawButtons();
  }
  function drawHead() {
    const [position, of] = ask.queue;
    place.hidden = of < 2;
    put(place, `${position} of ${of}`);
    put(age, [ask.rule && `asked by ${ask.rule}`, ask.asked_s !== null && `waiting ${waitingWords((Date.now() - since_ms) / 1000)}`].filter(Boolean).join(" · "));
  }
  /** The focus is here, or on the row of a trace that this part stands in. */
  function holdsFocus() {
    const { activeElement } = /** @type {Document | ShadowRoot} */ (el.getRootNode());
    return !!activeElement && (el.contains(activeElement) || el.closest("article") === activeElement);
  }
  const clock = setInterval(drawHead, 1000);
  drawHead();
  drawButtons();
  return {
    el,
    approve,
    deny: () => can("deny") && toggle("deny", denyIt),
    edit: () => !isSent && editor.focusFirst(),
    deciding: [bar, panel],
    /** Never a button: a key that was meant for another call would press it. */
    focusFirst: () => head.focus({ preventScroll: true }),
    /** @param {Ask} now */
    update: (now) => {
      if (now.asked_s !== null) since_ms = Date.now() - now.asked_s * 1000;
      ask = now;
      drawHead();
      drawButtons();
    },
    /** @param {string | null} text Null: it was taken, and this part will soon go. */
    problem: (text) => {
      clearTimeout(patience);
      put(status, text === null ? "decided" : "");
      if (text === null) return;
      const isOurs = isSent && holdsFocus();
      isSent = false;
      drawButtons();
      showError(text);
      if (editor.isChanged()) editor.tell(text);
      if (isOurs) head.focus({ preventScroll: true }); // who types elsewhere goes on
    },
    /** @param {string} text */
    lost: (text) => {
      clearInterval(clock);
      clearTimeout(patience);
      isSent = true;
      drawButtons();
      put(status, text);
    },
    destroy: () => (clearInterval(clock), clearTimeout(patience)),
  };
}
