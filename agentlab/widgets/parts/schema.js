// @ts-check
// What a JSON schema asks for, in the few shapes that a form can draw. Everything else is JSON text.
import { isJsonObject, sameJson } from "./exact_json.js";

/** @typedef {Record<string, any>} Schema */
/** @typedef {"text" | "number" | "integer" | "yesno" | "choice" | "list" | "object" | "json"} ShapeKind */
/** @typedef {{ kind: ShapeKind, nullable: boolean, schema: Schema, choices: unknown[] }} Shape */

const BEYOND_A_FORM = [
  ...["allOf", "anyOf", "oneOf", "not", "if", "patternProperties", "propertyNames", "contains"],
  ...["dependentSchemas", "dependentRequired", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef"],
];
/** Says nothing about what values are allowed. */
const REMARKS = new Set(["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "discriminator"]);
const KIND_OF_TYPE = /** @type {Record<string, ShapeKind>} */ ({
  string: "text", number: "number", integer: "integer", boolean: "yesno", array: "list", object: "object",
});

/**
 * The schema with its references followed, siblings merged over what they refer to; `true` is the empty schema.
 * @param {unknown} schema
 * @param {Schema} root
 * @returns {Schema}
 */
export function resolveSchema(schema, root) {
  let here = schema === false ? { not: {} } : isJsonObject(schema) ? /** @type {Schema} */ (schema) : {};
  for (let hops = 0; hops < 32; hops++) {
    const { $ref, ...besides } = here;
    if (typeof $ref === "string") here = { ...pointedAt($ref, root), ...besides };
    else if (Array.isArray(here.allOf) && here.allOf.length === 1) {
      const { allOf, ...rest } = here;
      const only = resolveSchema(allOf[0], root);
      if (Object.keys(rest).some((word) => word in only && !REMARKS.has(word))) return here;
      here = { ...only, ...rest };
    } else return here;
  }
  return {};
}

/** What a reference within the schema points at; nothing is fetched. @param {string} ref @param {Schema} root @returns {Schema} */
function pointedAt(ref, root) {
  /** @type {unknown} */
  let here = root;
  if (ref !== "#" && !ref.startsWith("#/")) return {};
  for (const part of ref.split("/").slice(1)) {
    const name = unescapePointer(part);
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, name)) return {};
    here = /** @type {Record<string, unknown>} */ (here)[name];
  }
  return here === false ? { not: {} } : isJsonObject(here) ? here : {};
}

/** @param {string} part */
function unescapePointer(part) {
  const plain = part.replaceAll("~1", "/").replaceAll("~0", "~");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

/**
 * What to draw for a schema.
 * @param {unknown} schema
 * @param {Schema} root
 * @returns {Shape}
 */
export function shapeOf(schema, root) {
  const resolved = resolveSchema(schema, root);
  const options = resolved.anyOf ?? resolved.oneOf;
  if (Array.isArray(options) && !(resolved.anyOf && resolved.oneOf)) return shapeOfOptions(resolved, options, root);
  if (Array.isArray(resolved.enum)) return shapeAs("choice", resolved, { choices: choicesOf(resolved, resolved.enum) });
  if ("const" in resolved) return shapeAs("choice", resolved, { choices: [resolved.const] });
  const types = [resolved.type ?? []].flat();
  const nullable = types.includes("null");
  const others = types.filter((type) => type !== "null");
  const kind = others.length === 1 ? KIND_OF_TYPE[others[0]] : undefined;
  if (!kind || BEYOND_A_FORM.some((word) => word in resolved)) return shapeAs("json", resolved);
  return shapeAs(kind, resolved, { nullable });
}

/** @param {Schema} schema @param {unknown[]} options @param {Schema} root @returns {Shape} */
function shapeOfOptions(schema, options, root) {
  const { anyOf, oneOf, ...rest } = schema;
  if (Object.keys(rest).some((word) => !REMARKS.has(word))) return shapeAs("json", schema);
  const each = options.map((option) => resolveSchema(option, root));
  const others = each.filter((option) => option.type !== "null");
  if (others.length === 1) {
    const inner = shapeOf({ ...others[0], ...rest }, root);
    return { ...inner, nullable: inner.nullable || others.length < each.length };
  }
  if (!others.length || !others.every((option) => "const" in option || Array.isArray(option.enum))) return shapeAs("json", schema);
  const choices = others.flatMap((option) => ("const" in option ? [option.const] : choicesOf(option, option.enum)));
  return shapeAs("choice", schema, { choices, nullable: others.length < each.length });
}

/** @param {Schema} schema @param {unknown[]} values */
function choicesOf(schema, values) {
  return schema.type === undefined ? values : values.filter((value) => [schema.type].flat().some((type) => isOfType(value, type)));
}

/** How a text of this form looks; Python checks it. @type {Map<unknown, string>} */
const FORMS = new Map([
  ["date", "a date, such as 2026-01-31"],
  ["date-time", "a date and time, such as 2026-01-31T09:30:00Z"],
  ["time", "a time, such as 09:30:00"],
  ["duration", "a duration, such as PT90S"],
]);

/** @param {ShapeKind} kind @param {Schema} schema @param {Partial<Shape>} [more] @returns {Shape} */
function shapeAs(kind, schema, more = {}) {
  return { kind, schema, nullable: false, choices: [], ...more };
}

/** Beyond so many items or entries a form is no help, and slow. */
const MOST_FIELDS = 100;

/**
 * What to draw for this value: JSON text where it is not of the shape that the schema asks for, or too long for a form.
 * @param {unknown} schema
 * @param {Schema} root
 * @param {unknown} value
 */
export function shapeFor(schema, root, value) {
  const asked = shapeOf(schema, root);
  const isLong = typeof value === "object" && value !== null && Object.keys(value).length > MOST_FIELDS;
  if ((value === null && asked.nullable) || (fitsShape(asked, value) && !isLong)) return asked;
  return { ...asked, kind: /** @type {ShapeKind} */ ("json") };
}

/** @param {Shape} asked @param {unknown} value */
function fitsShape(asked, value) {
  if (asked.kind === "choice") return asked.choices.some((choice) => sameJson(choice, value));
  const type = Object.keys(KIND_OF_TYPE).find((name) => KIND_OF_TYPE[name] === asked.kind);
  return type === undefined || isOfType(value, type);
}

/**
 * Whether a value is of a type of JSON schema.
 * @param {unknown} value
 * @param {string} type
 */
export function isOfType(value, type) {
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return isJsonObject(value);
  if (type === "array") return Array.isArray(value);
  if (type === "null") return value === null;
  return typeof value === type;
}

/**
 * The schema of the item at this place of a list; null where no item may be.
 * @param {Schema} schema
 * @param {number} index
 */
export function itemSchema(schema, index) {
  const fixed = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
  if (index < fixed.length) return fixed[index];
  return schema.items === false ? null : (schema.items ?? {});
}

/**
 * A first value of the schema, for what a person adds.
 * @param {unknown} schema
 * @param {Schema} root
 * @param {number} [depth]
 * @returns {unknown}
 */
export function startValue(schema, root, depth = 0) {
  const { kind, schema: s, choices, nullable } = shapeOf(schema, root);
  if ("default" in s && !(s.default === null && nullable)) return s.default;
  if (kind === "choice") return choices[0] ?? null;
  if (kind === "text") return "";
  if (kind === "yesno") return false;
  if (kind === "number" || kind === "integer") return startNumber(s);
  if (kind === "json") return nullable ? "" : null;
  if (kind === "list") return depth > 8 ? [] : Array.from({ length: Math.min(s.minItems ?? 0, 20) }, (_, i) => startValue(itemSchema(s, i) ?? {}, root, depth + 1));
  const names = depth <= 8 && Array.isArray(s.required) ? s.required : [];
  return Object.fromEntries(names.map((name) => [name, startValue(propertiesOf(s)[name] ?? {}, root, depth + 1)]));
}

/** @param {Schema} s */
function startNumber(s) {
  const low = s.minimum ?? (s.exclusiveMinimum !== undefined ? Math.floor(s.exclusiveMinimum) + 1 : undefined);
  const high = s.maximum ?? (s.exclusiveMaximum !== undefined ? Math.ceil(s.exclusiveMaximum) - 1 : undefined);
  return low > 0 ? low : high < 0 ? high : 0;
}

/** @param {Schema} schema @returns {Record<string, unknown>} */
export function propertiesOf(schema) {
  return isJsonObject(schema.properties) ? schema.properties : {};
}

/**
 * The limits that a schema sets, in words; empty where it sets none.
 * @param {Shape} asked
 */
export function limitsInWords({ kind, schema: s }) {
  if (kind === "integer" || kind === "number") {
    const noun = kind === "integer" ? "whole number" : "number";
    const limits = [limitRange(s.minimum, s.maximum, ""), s.exclusiveMinimum !== undefined && `above ${s.exclusiveMinimum}`,
      s.exclusiveMaximum !== undefined && `below ${s.exclusiveMaximum}`, s.multipleOf !== undefined && `a multiple of ${s.multipleOf}`];
    return [noun, ...limits].filter(Boolean).join(", ");
  }
  if (kind === "text") return [FORMS.get(s.format), limitRange(s.minLength, s.maxLength, "character"), s.pattern !== undefined && `matches ${s.pattern}`].filter(Boolean).join(", ");
  if (kind === "list") return [limitRange(s.minItems, s.maxItems, "item"), s.uniqueItems && "no item twice"].filter(Boolean).join(", ");
  return kind === "json" ? "written as JSON" : "";
}

/** @param {number | undefined} low @param {number | undefined} high @param {string} noun */
function limitRange(low, high, noun) {
  if (low === undefined && high === undefined) return "";
  const count = low === undefined ? `at most ${high}` : high === undefined ? `at least ${low}` : low === high ? `exactly ${low}` : `${low} to ${high}`;
  return noun ? `${count} ${(high ?? low) === 1 ? noun : `${noun}s`}` : count;
}
