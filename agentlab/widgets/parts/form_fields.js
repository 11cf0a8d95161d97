// @ts-check
// The fields of a form for one value each: a text, a number, yes or no, a choice, and JSON text for everything else.
import { h } from "./dom.js";
import { briefJson, numbersSurvive, parseJson, prettyJson, sameJson } from "./exact_json.js";
import { UNREADABLE } from "./schema_errors.js";

/** @typedef {import("./schema.js").Shape} Shape */
/**
 * @typedef {object} ValueField
 * @property {HTMLElement} el
 * @property {HTMLElement[]} controls What gets the focus and is told of errors; the label is bound to the first.
 * @property {() => unknown} read The value; UNREADABLE where there is none.
 * @property {() => string | null} problem Why it cannot be read.
 */

/** Stands for an argument that is not given. */
export const LEFT_OUT = Symbol("left out");

const LONG_TEXT = 72;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The field for a value of this shape.
 * @param {Shape} shape
 * @param {unknown} value
 * @param {string} id Of its control.
 * @param {() => void} changed
 * @returns {ValueField}
 */
export function valueField(shape, value, id, changed) {
  if (shape.kind === "text") return textField(String(value), id, changed);
  if (shape.kind === "number" || shape.kind === "integer") return numberField(shape.kind, Number(value), id, changed);
  if (shape.kind === "yesno") return yesNoField(value === true, id, changed);
  if (shape.kind === "choice") return choiceField(shape.choices, value, id, changed);
  return jsonField(value, id, changed);
}

/**
 * A number as a person typed it, or what is wrong with it.
 * @param {string} text
 * @param {"number" | "integer"} kind
 * @returns {{ value: number | symbol, problem: string | null }}
 */
export function readNumber(text, kind) {
  const plain = text.trim().replace(/^\+/, "").replace(/^(-?)\./, "$10.");
  const refuse = (/** @type {string} */ problem) => ({ value: UNREADABLE, problem });
  if (!JSON_NUMBER.test(plain)) return refuse(kind === "integer" ? "must be a whole number" : "must be a number, such as 2.5");
  if (!numbersSurvive(plain)) return refuse("has more digits than this form can hold: write it in the JSON tab");
  return { value: Number(plain), problem: null };
}

/**
 * A box for text that grows with it.
 * @param {string} text
 * @param {Record<string, any>} attributes
 * @param {() => void} changed
 * @param {number} [mostRows]
 */
export function growingBox(text, attributes, changed, mostRows = 14) {
  const box = h("textarea", { spellcheck: "false", ...attributes, on: { input: () => (fit(), changed()) } });
  const fit = () => {
    const rows = box.value.split("\n").reduce((sum, line) => sum + 1 + Math.floor(line.length / 90), 0);
    box.rows = Math.max(Number(attributes.rows ?? 1), Math.min(rows, mostRows));
  };
  box.value = text;
  fit();
  return box;
}

/** @param {string} text @param {string} id @param {() => void} changed @returns {ValueField} */
function textField(text, id, changed) {
  const isLong = text.length > LONG_TEXT || text.includes("\n");
  const control = isLong ? growingBox(text, { id, rows: 3 }, changed) : h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", on: { input: changed } });
  control.value = text;
  const first = control.value; // a control may keep another form of line ends
  return { el: control, controls: [control], read: () => (control.value === first ? text : control.value), problem: () => null };
}

/** @param {"number" | "integer"} kind @param {number} number @param {string} id @param {() => void} changed @returns {ValueField} */
function numberField(kind, number, id, changed) {
  const control = h("input", {
    id, type: "text", class: "al-number", autocomplete: "off", inputmode: kind === "integer" ? "numeric" : "decimal", on: { input: changed },
  });
  control.value = String(number);
  const first = control.value;
  const reading = () => (control.value === first ? { value: number, problem: null } : readNumber(control.value, kind));
  return { el: control, controls: [control], read: () => reading().value, problem: () => reading().problem };
}

/** @param {boolean} value @param {string} id @param {() => void} changed @returns {ValueField} */
function yesNoField(value, id, changed) {
  const radios = [true, false].map((answer) => h("input", { type: "radio", name: id, id: answer ? id : `${id}-no`, on: { change: changed } }));
  radios[value ? 0 : 1].checked = true;
  const el = h("span", { class: "al-yesno" }, ...radios.map((radio, i) => h("label", {}, radio, i ? "no" : "yes")));
  return { el, controls: radios, read: () => radios[0].checked, problem: () => null };
}

/** @param {unknown[]} choices @param {unknown} value @param {string} id @param {() => void} changed @returns {ValueField} */
function choiceField(choices, value, id, changed) {
  const names = choices.map((choice) => (typeof choice === "string" && choice !== "" ? choice : briefJson(choice)));
  const control = h("select", { id, on: { change: changed } }, ...names.map((name, i) => h("option", { value: i }, name)));
  control.selectedIndex = choices.findIndex((choice) => sameJson(choice, value));
  return { el: control, controls: [control], read: () => choices[control.selectedIndex] ?? UNREADABLE, problem: () => null };
}

/** @param {unknown} value @param {string} id @param {() => void} changed @returns {ValueField} */
function jsonField(value, id, changed) {
  const control = growingBox(prettyJson(value), { id, rows: 1, class: "al-jsonbox" }, changed);
  const first = control.value;
  const reading = () => (control.value === first ? { value, problem: null } : readJsonText(control.value));
  return { el: control, controls: [control], read: () => reading().value, problem: () => reading().problem };
}

/** @param {string} text */
function readJsonText(text) {
  const { value, problem } = parseJson(text);
  if (problem !== null) return { value: UNREADABLE, problem };
  if (!numbersSurvive(text)) return { value: UNREADABLE, problem: "has a number of more digits than this form can hold: write it in the JSON tab" };
  return { value, problem: null };
}
