// @ts-check
// What is wrong with a value by its schema, in words to stand beside the field. Python has the last word; this one
// speaks before anything is sent. A pattern is for Python alone: it comes with the tool, its text from the model, and
// JavaScript cannot give up on one that takes years.
import { briefJson, isJsonObject, sameJson } from "./exact_json.js";
import { isOfType, itemSchema, propertiesOf, resolveSchema } from "./schema.js";

/** @typedef {import("./schema.js").Schema} Schema */
/** @typedef {{ path: (string | number)[], text: string }} SchemaError */

/** Stands for what a field holds that cannot be read; the field itself says so. */
export const UNREADABLE = Symbol("unreadable");

/** Later items of a list are compared with the others by Python only. */
const MOST_COMPARED = 500;

const TYPE_WORDS = /** @type {Record<string, string>} */ ({
  string: "text", number: "a number", integer: "a whole number", boolean: "yes or no", array: "a list", object: "an object", null: "null",
});

/**
 * All that is wrong, with the place of each.
 * @param {unknown} schema
 * @param {unknown} value
 * @param {Schema} [root]
 * @param {(string | number)[]} [path]
 * @returns {SchemaError[]}
 */
export function schemaErrors(schema, value, root = /** @type {Schema} */ (schema), path = []) {
  if (value === UNREADABLE || path.length > 100) return [];
  const s = resolveSchema(schema, root);
  const own = [typeError(s, value) ?? [choiceError(s, value), ...numberErrors(s, value), ...textErrors(s, value)]].flat();
  const errors = own.filter((text) => text !== null).map((text) => ({ path, text }));
  if (Array.isArray(value)) errors.push(...listErrors(s, value, root, path));
  else if (isJsonObject(value)) errors.push(...objectErrors(s, value, root, path));
  return [...errors, ...combinedErrors(s, value, root, path)];
}

/**
 * The errors that a change has brought: what was wrong with the same value before (a text whose key is not shown, for
 * one) is no error of who changes something else.
 * @param {Schema} schema
 * @param {unknown} value
 * @param {unknown} original
 */
export function newErrors(schema, value, original) {
  const known = new Set(schemaErrors(schema, original).map((error) => errorKey(error, original)));
  return schemaErrors(schema, value).filter((error) => !known.has(errorKey(error, value)));
}

/**
 * The errors that Python tells of single arguments: "`to.zip`: must match …; `count`: …".
 * @param {string} text
 * @returns {SchemaError[]}
 */
export function toldErrors(text) {
  return [...text.matchAll(/`([^`]+)`: ((?:(?!; `)[^])+)/g)].map(([, name, told]) => ({
    path: name.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part)), text: told.trim(),
  }));
}

/** @param {SchemaError} error @param {unknown} whole */
function errorKey(error, whole) {
  const at = error.path.reduce((here, name) => (here === null || here === undefined ? undefined : /** @type {any} */ (here)[name]), whole);
  return JSON.stringify([error.text, error.path.filter((name) => typeof name === "string"), at]);
}

/** @param {Schema} s @param {unknown} value @returns {string | null} */
function typeError(s, value) {
  if (s.type === undefined) return null;
  const types = /** @type {string[]} */ ([s.type].flat());
  if (types.some((type) => isOfType(value, type))) return null;
  return `must be ${types.map((type) => TYPE_WORDS[type] ?? type).join(" or ")}`;
}

/** @param {Schema} s @param {unknown} value @returns {string | null} */
function choiceError(s, value) {
  if ("const" in s && !sameJson(s.const, value)) return `must be ${briefJson(s.const)}`;
  if (Array.isArray(s.enum) && !s.enum.some((choice) => sameJson(choice, value))) return `must be one of ${s.enum.map((c) => briefJson(c, 30)).join(", ")}`;
  return null;
}

/** @param {Schema} s @param {unknown} value @returns {(string | null)[]} */
function numberErrors(s, value) {
  if (typeof value !== "number") return [];
  return [
    s.minimum !== undefined && value < s.minimum ? `must be at least ${s.minimum}` : null,
    s.maximum !== undefined && value > s.maximum ? `must be at most ${s.maximum}` : null,
    s.exclusiveMinimum !== undefined && value <= s.exclusiveMinimum ? `must be above ${s.exclusiveMinimum}` : null,
    s.exclusiveMaximum !== undefined && value >= s.exclusiveMaximum ? `must be below ${s.exclusiveMaximum}` : null,
    s.multipleOf > 0 && !isMultiple(value, s.multipleOf) ? `must be a multiple of ${s.multipleOf}` : null,
  ];
}

/** 0.3 is a multiple of 0.1, whatever their binary forms say. @param {number} value @param {number} of */
function isMultiple(value, of) {
  const quotient = value / of;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9 * Math.max(1, Math.abs(quotient));
}

/** @param {Schema} s @param {unknown} value @returns {(string | null)[]} */
function textErrors(s, value) {
  if (typeof value !== "string") return [];
  const length = [...value].length;
  return [
    length < s.minLength ? `must have at least ${countedWords(s.minLength, "character")}, has ${length}` : null,
    length > s.maxLength ? `must have at most ${countedWords(s.maxLength, "character")}, has ${length}` : null,
  ];
}

/** @param {Schema} s @param {unknown[]} value @param {Schema} root @param {(string | number)[]} path */
function listErrors(s, value, root, path) {
  /** @type {SchemaError[]} */
  const errors = [];
  if (value.length < s.minItems) errors.push({ path, text: `must have at least ${countedWords(s.minItems, "item")}` });
  if (value.length > s.maxItems) errors.push({ path, text: `must have at most ${countedWords(s.maxItems, "item")}` });
  value.forEach((item, i) => {
    const schema = itemSchema(s, i);
    errors.push(...(schema === null ? [{ path: [...path, i], text: "must not be there" }] : schemaErrors(schema, item, root, [...path, i])));
    const first = s.uniqueItems && i < MOST_COMPARED ? value.findIndex((other) => sameJson(other, item)) : i;
    if (first < i) errors.push({ path: [...path, i], text: `is the same as item ${first + 1}` });
  });
  return errors;
}

/** @param {Schema} s @param {Record<string, unknown>} value @param {Schema} root @param {(string | number)[]} path */
function objectErrors(s, value, root, path) {
  const properties = propertiesOf(s), names = Object.keys(value);
  const isOpen = isJsonObject(s.patternProperties); // Python knows which names they are about
  const required = /** @type {string[]} */ (Array.isArray(s.required) ? s.required : []);
  const errors = required.filter((name) => !Object.hasOwn(value, name)).map((name) => ({ path: [...path, name], text: "is required" }));
  if (names.length < s.minProperties) errors.push({ path, text: `must have at least ${countedWords(s.minProperties, "entry")}` });
  if (names.length > s.maxProperties) errors.push({ path, text: `must have at most ${countedWords(s.maxProperties, "entry")}` });
  for (const name of names) {
    if (Object.hasOwn(properties, name)) errors.push(...schemaErrors(properties[name], value[name], root, [...path, name]));
    else if (!isOpen && s.additionalProperties === false) errors.push({ path: [...path, name], text: "is not an argument of this tool" });
    else if (!isOpen && isJsonObject(s.additionalProperties)) errors.push(...schemaErrors(s.additionalProperties, value[name], root, [...path, name]));
    if (isJsonObject(s.propertyNames) && schemaErrors(s.propertyNames, name, root).length) errors.push({ path: [...path, name], text: "is not a name allowed here" });
  }
  return errors;
}

/** @param {Schema} s @param {unknown} value @param {Schema} root @param {(string | number)[]} path @returns {SchemaError[]} */
function combinedErrors(s, value, root, path) {
  if (holdsUnreadable(value)) return [];
  const passes = (/** @type {unknown} */ schema) => !schemaErrors(schema, value, root, path).length;
  const errors = (Array.isArray(s.allOf) ? s.allOf : []).flatMap((schema) => schemaErrors(schema, value, root, path));
  if (Array.isArray(s.anyOf) && !s.anyOf.some(passes)) errors.push(...closestErrors(s.anyOf, value, root, path));
  if (Array.isArray(s.oneOf)) {
    const fitting = s.oneOf.filter(passes).length;
    if (!fitting) errors.push(...closestErrors(s.oneOf, value, root, path));
    else if (fitting > 1 && !holdsPattern(root)) errors.push({ path, text: `fits ${fitting} of the forms allowed here; must fit one` });
  }
  if ("not" in s && passes(s.not) && !holdsPattern(root)) errors.push({ path, text: "is not allowed here" });
  return errors;
}

/** @type {WeakMap<Schema, boolean>} */
const patternsHeld = new WeakMap();

/** What passes here may still be refused by a pattern, so who must not pass is not known. @param {Schema} root @returns {boolean} */
function holdsPattern(root) {
  if (!isJsonObject(root)) return false;
  const known = patternsHeld.get(root);
  if (known !== undefined) return known;
  const held = /"pattern(?:Properties)?":/.test(JSON.stringify(root));
  patternsHeld.set(root, held);
  return held;
}

/** @param {unknown} value @returns {boolean} */
function holdsUnreadable(value) {
  if (value === UNREADABLE) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsUnreadable);
}

/** The errors by the one option that is of the value's type, where there is one. @param {unknown[]} options @param {unknown} value @param {Schema} root @param {(string | number)[]} path */
function closestErrors(options, value, root, path) {
  const real = options.filter((option) => resolveSchema(option, root).type !== "null");
  const likely = real.length > 1 ? real.filter((option) => typeError(resolveSchema(option, root), value) === null) : real;
  return likely.length === 1 ? schemaErrors(likely[0], value, root, path) : [{ path, text: "fits none of the forms allowed here" }];
}

/** @param {number} n @param {string} noun */
function countedWords(n, noun) {
  return n === 1 ? `1 ${noun}` : `${n} ${noun.endsWith("y") ? `${noun.slice(0, -1)}ie` : noun}s`;
}
