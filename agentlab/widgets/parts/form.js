// @ts-check
// A form made from a JSON schema: what it shows is what it reads back, and it says what differs from the original.
import { h, put } from "./dom.js";
import { objectGroup } from "./form_groups.js";
import { formSlot } from "./form_slot.js";
import { newErrors } from "./schema_errors.js";

/** @typedef {import("./schema.js").Schema} Schema */
/** @typedef {import("./schema_errors.js").SchemaError} SchemaError */

let formIds = 0;

/**
 * A form for the arguments of a call.
 * @param {Schema} schema Of an object.
 * @param {Record<string, unknown>} value
 * @param {Record<string, unknown>} original
 * @param {() => void} onChange
 */
export function schemaForm(schema, value, original, onChange) {
  const form = `al-form-${++formIds}`;
  let fields = 0;
  /** What Python said of the values that stand here now. @type {SchemaError[]} */
  let told = [];
  /** All that is wrong, shown where it is wrong, or below where there is no field for it. */
  const check = () => {
    const errors = [...group.problems([]), ...newErrors(schema, group.read(), original)];
    put(rest, ...group.show([...errors, ...told]).map(({ path, text }) => h("div", { class: "al-slot-error" }, [...path, text].join(" "))));
    return errors;
  };
  const home = { root: schema, nextId: () => `${form}-${++fields}`, changed: () => ((told = []), check(), onChange()), slot: formSlot };
  const group = objectGroup(schema, value, original, home);
  const rest = h("div", { class: "al-form-rest" });
  const el = h("div", { class: "al-form" }, group.el, rest);
  check();
  return {
    el,
    read: () => /** @type {Record<string, unknown>} */ (group.read()),
    check,
    /** @param {SchemaError[]} errors To be shown until something is changed. */
    tell: (errors) => {
      told = errors;
      check();
    },
    /** Whether every field holds a value, though the schema may not allow it. */
    isReadable: () => group.problems([]).length === 0,
    focusFirst: group.focus,
    focusError: () => /** @type {HTMLElement | null} */ (el.querySelector('[aria-invalid="true"]'))?.focus(),
  };
}
