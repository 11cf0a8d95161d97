// @ts-check
// "Always allow": how far it reaches and how often it holds, in words, before anybody agrees to it.
import { button, h, put } from "./dom.js";

/** @typedef {{ kind: "exact" | "pattern" | "tool", where?: string[], uses?: number }} AlwaysScope */

const CONDITION = /^\s*([\p{L}\p{N}_]+)\s*(==|!=|<=|>=|<|>|\bnot\s+in\b|\bin\b|\bunder\b|\blike\b|\bcontains\b)\s*(\S.*)$/u;

let alwaysIds = 0;

/**
 * Why a text is no condition on the arguments; null where it is one.
 * @param {string} text
 * @param {string[]} names Of the arguments.
 * @returns {string | null}
 */
export function conditionProblem(text, names) {
  const match = CONDITION.exec(text);
  if (!match) return 'write an argument, one of == != < <= > >= in, not in, under, like, contains, and a value, such as amount > 100';
  return names.includes(match[1]) ? null : `there is no argument ${match[1]}: ${names.join(", ") || "it takes none"}`;
}

/**
 * What "always allow" would mean.
 * @param {string} tool
 * @param {AlwaysScope} scope
 */
export function alwaysWords(tool, { kind, where = [], uses }) {
  const calls = kind === "exact" ? `calls of ${tool} with exactly these arguments` : kind === "tool" ? `all calls of ${tool}, whatever their arguments` : `calls of ${tool} where ${where.join(" and ")}`;
  const often = uses === undefined ? "as long as this agent lives" : `${uses} ${uses === 1 ? "time" : "times"}`;
  return `This call runs now. After it, ${calls} run without a question, ${often}.`;
}

/**
 * The panel in which the scope is chosen.
 * @param {{ tool: string, names: string[], patterns: string[][] }} about
 * @param {(scope: AlwaysScope) => void} agree
 * @param {() => void} cancel
 */
export function alwaysPanel({ tool, names, patterns }, agree, cancel) {
  const id = `al-always-${++alwaysIds}`;
  const words = h("p", { class: "al-always-words", "aria-live": "polite" });
  const often = h("input", { type: "text", inputmode: "numeric", class: "al-uses", "aria-label": "how many further calls", on: { input: () => ((limited.checked = true), draw()) } });
  often.value = "5";
  const reach = /** @type {const} */ (["exact", "pattern", "tool"]).map((kind) => h("input", { type: "radio", name: `${id}-reach`, value: kind, on: { change: () => draw() } }));
  const limited = h("input", { type: "radio", name: `${id}-often`, on: { change: () => draw() } });
  const unlimited = h("input", { type: "radio", name: `${id}-often`, on: { change: () => draw() } });
  reach[0].checked = limited.checked = true;
  const error = h("div", { class: "al-slot-error", id: `${id}-error`, role: "alert", hidden: true });
  const conditions = conditionList(patterns[0] ?? [], names, `${id}-error`, () => ((reach[1].checked = true), draw()));
  const suggestions = [...new Set(patterns.flat())].map((text) => button(text, () => conditions.add(text), { class: "al-suggestion" }));
  const send = button("Approve and always allow", () => {
    const { scope, problem } = chosen();
    put(error, problem);
    error.hidden = !problem;
    if (problem) /** @type {HTMLElement | null} */ (el.querySelector('[aria-invalid="true"]'))?.focus();
    else agree(scope);
  }, { class: "al-primary" });
  const el = h("fieldset", { class: "al-panel al-always" },
    h("legend", {}, "Always allow"),
    h("div", { class: "al-choices" },
      h("label", {}, reach[0], "these exact arguments"),
      h("label", {}, reach[1], "calls like this one, where"),
      h("div", { class: "al-where" }, conditions.el, suggestions.length > 0 && h("div", { class: "al-suggestions" }, h("span", {}, "suggestions"), ...suggestions)),
      h("label", {}, reach[2], "every call of ", h("code", {}, tool))),
    h("div", { class: "al-choices al-often" },
      h("label", {}, limited, "the next"), often, h("span", {}, "times"),
      h("label", {}, unlimited, "without a limit, as long as this agent lives")),
    error,
    words,
    h("div", { class: "al-panel-buttons" }, send, button("Cancel", cancel)));

  /** @returns {{ scope: AlwaysScope, problem: string | null }} */
  function chosen() {
    const kind = /** @type {AlwaysScope["kind"]} */ (reach.find((radio) => radio.checked)?.value ?? "exact");
    const count = often.value.trim();
    const problem = limited.checked && !/^[1-9]\d{0,5}$/.test(count) ? "write how many times: a whole number from 1" : null;
    often.setAttribute("aria-invalid", String(problem !== null));
    const scope = { kind, ...(kind === "pattern" && { where: conditions.read() }), ...(limited.checked && { uses: Number(count) }) };
    return { scope, problem: problem ?? (kind === "pattern" ? conditions.problem() : null) };
  }
  function draw() {
    const { scope, problem } = chosen();
    put(words, problem ? "" : alwaysWords(tool, scope));
    if (!problem) error.hidden = true;
    conditions.el.parentElement?.classList.toggle("al-off", scope.kind !== "pattern");
  }
  draw();
  return { el, focus: () => reach.find((radio) => radio.checked)?.focus() };
}

/** @param {string[]} first @param {string[]} names @param {string} errorId @param {() => void} changed */
function conditionList(first, names, errorId, changed) {
  /** @type {{ el: HTMLElement, input: HTMLInputElement }[]} */
  let lines = [];
  const list = h("div", { class: "al-conditions" });
  const draw = () => put(list, ...lines.map((line) => line.el));
  const more = button("+ add a condition", () => (addLine("").input.focus(), changed()), { class: "al-quiet al-small" });
  /** @param {string} text */
  function addLine(text) {
    const input = h("input", { type: "text", class: "al-condition", "aria-label": "condition", "aria-describedby": errorId, autocomplete: "off", spellcheck: "false", on: { input: changed } });
    input.value = text;
    const remove = button("✕", () => {
      lines = lines.filter((other) => other !== line);
      draw();
      changed();
      (lines[0]?.input ?? more).focus();
    }, { class: "al-quiet al-small", "aria-label": "remove this condition", title: "remove" });
    const line = { input, el: h("div", { class: "al-condition-line" }, input, remove) };
    lines.push(line);
    draw();
    return line;
  }
  for (const text of first) addLine(text);
  return {
    el: h("div", {}, list, more),
    /** @param {string} text */
    add: (text) => {
      const empty = lines.find((line) => !line.input.value.trim());
      if (empty) empty.input.value = text;
      else if (!lines.some((line) => line.input.value === text)) addLine(text);
      changed();
    },
    read: () => lines.map((line) => line.input.value.trim()).filter(Boolean),
    problem: () => {
      const filled = lines.filter((line) => line.input.value.trim());
      const problems = filled.map((line) => conditionProblem(line.input.value, names));
      for (const line of lines) line.input.setAttribute("aria-invalid", String(!!problems[filled.indexOf(line)]));
      return filled.length ? (problems.find((problem) => problem !== null) ?? null) : "a pattern needs a condition";
    },
  };
}
