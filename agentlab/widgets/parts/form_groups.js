// @ts-check
// What holds other fields: objects, with entries of free names where the schema allows them, and lists.
import { button, h, put } from "./dom.js";
import { briefJson, isJsonObject } from "./exact_json.js";
import { LEFT_OUT } from "./form_fields.js";
import { itemSchema, propertiesOf, startValue } from "./schema.js";

/** @typedef {import("./schema.js").Schema} Schema */
/** @typedef {import("./schema_errors.js").SchemaError} SchemaError */
/** @typedef {(string | number)[]} FieldPath */
/** @typedef {{ optional?: boolean, tools?: HTMLElement[], heading?: HTMLElement }} SlotOptions */
/**
 * What all fields of a form share.
 * @typedef {object} FormHome
 * @property {Schema} root
 * @property {() => void} changed
 * @property {() => string} nextId
 * @property {(name: string, schema: unknown, value: unknown, original: unknown, home: FormHome, options: SlotOptions) => FormSlot} slot
 */
/**
 * One named place of a form.
 * @typedef {object} FormSlot
 * @property {HTMLElement} el
 * @property {() => unknown} read LEFT_OUT where no value is given.
 * @property {(path: FieldPath) => SchemaError[]} problems What cannot be read.
 * @property {(errors: SchemaError[]) => void} show Shows errors (those here have an empty path) and what has changed.
 * @property {() => void} focus
 */
/**
 * What is inside a place that holds others.
 * @typedef {object} FormGroup
 * @property {HTMLElement} el
 * @property {() => any} read
 * @property {(path: FieldPath) => SchemaError[]} problems
 * @property {(errors: SchemaError[]) => SchemaError[]} show The errors that stand at none of its places come back.
 * @property {() => void} focus
 * @property {() => string} note What has changed in the group as a whole.
 */

/**
 * The properties of an object, and entries beyond them where the schema allows any.
 * @param {Schema} schema
 * @param {Record<string, unknown>} value
 * @param {unknown} original
 * @param {FormHome} home
 * @returns {FormGroup}
 */
export function objectGroup(schema, value, original, home) {
  const properties = propertiesOf(schema);
  const before = isJsonObject(original) ? original : {};
  const was = (/** @type {string} */ name) => (Object.hasOwn(before, name) ? before[name] : LEFT_OUT);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const others = isJsonObject(schema.additionalProperties) ? schema.additionalProperties : {};
  const isOpen = schema.additionalProperties !== false && (schema.additionalProperties !== undefined || !Object.keys(properties).length);
  /** @type {{ name: () => string, slot: FormSlot }[]} */
  let entries = Object.keys(properties).map((name) => {
    const now = Object.hasOwn(value, name) ? value[name] : LEFT_OUT;
    return { name: () => name, slot: home.slot(name, properties[name], now, was(name), home, { optional: !required.has(name) }) };
  });
  const list = h("div", { class: "al-slots" });
  const add = button("+ add an entry", () => (addEntry("", startValue(others, home.root), LEFT_OUT, true), home.changed()), { class: "al-quiet al-small" });
  const el = h("div", {}, list, isOpen && add);

  /** @param {string} name @param {unknown} now @param {unknown} before @param {boolean} [isNew] */
  function addEntry(name, now, before, isNew = false) {
    const input = h("input", { type: "text", class: "al-entry-name", "aria-label": "name of the entry", autocomplete: "off", spellcheck: "false", on: { input: home.changed } });
    input.value = name;
    const remove = button("✕", () => {
      entries = entries.filter((entry) => entry.slot !== slot);
      draw();
      home.changed();
      add.focus();
    }, { class: "al-quiet al-small", "aria-label": `remove ${name || "this entry"}`, title: "remove" });
    const slot = home.slot(name || "value", others, now, before, home, { tools: [remove], heading: isOpen ? input : undefined });
    entries.push({ name: () => (isOpen ? input.value : name), slot });
    draw();
    if (isNew) input.focus();
  }
  const draw = () => put(list, ...entries.map((entry) => entry.slot.el));
  for (const name of Object.keys(value)) if (!Object.hasOwn(properties, name)) addEntry(name, value[name], was(name));
  draw();
  return {
    el,
    read: () => Object.fromEntries(entries.map(({ name, slot }) => [name(), slot.read()]).filter(([, now]) => now !== LEFT_OUT)),
    problems: (path) => {
      const names = entries.filter(({ slot }) => slot.read() !== LEFT_OUT).map(({ name }) => name());
      const twice = entries.filter(({ name }, i) => names.indexOf(name()) < i && entries.findIndex((other) => other.name() === name()) < i);
      const doubled = twice.map(({ name }) => ({ path: [...path, name()], text: "this name is there twice" }));
      return [...doubled, ...entries.flatMap(({ name, slot }) => slot.problems([...path, name()]))];
    },
    show: (errors) => {
      for (const { name, slot } of entries) slot.show(errorsBelow(errors, name()));
      const names = new Set(entries.map(({ name }) => name()));
      return errors.filter((error) => !names.has(String(error.path[0])));
    },
    focus: () => (entries[0] ? entries[0].slot.focus() : add.focus()),
    note: () => {
      const names = new Set(entries.map(({ name }) => name()));
      const gone = Object.keys(before).filter((name) => !names.has(name));
      return gone.length ? `removed: ${gone.map((name) => `${name} = ${briefJson(before[name], 40)}`).join(", ")}` : "";
    },
  };
}

/**
 * The items of a list, to be added, removed and moved.
 * @param {Schema} schema
 * @param {unknown[]} value
 * @param {unknown} original
 * @param {FormHome} home
 * @returns {FormGroup}
 */
export function listGroup(schema, value, original, home) {
  const before = Array.isArray(original) ? original : [];
  const isFixed = Array.isArray(schema.prefixItems) && schema.prefixItems.length > 0;
  /** @type {{ slot: FormSlot, place: HTMLElement, was: number, tools: HTMLButtonElement[] }[]} */
  let items = [];
  const list = h("div", { class: "al-slots al-items" });
  const add = button("+ add an item", () => {
    const item = makeItem(startValue(itemSchema(schema, items.length) ?? {}, home.root), -1);
    items.push(item);
    draw();
    home.changed();
    item.slot.focus();
  }, { class: "al-quiet al-small" });

  /** @param {unknown} now @param {number} was */
  function makeItem(now, was) {
    const place = h("span", { class: "al-place" });
    const tools = [
      button("↑", () => move(item, -1), { class: "al-quiet al-small", title: "move up" }),
      button("↓", () => move(item, 1), { class: "al-quiet al-small", title: "move down" }),
      button("✕", () => drop(item), { class: "al-quiet al-small", title: "remove" }),
    ];
    const slot = home.slot("item", itemSchema(schema, was < 0 ? items.length : was) ?? {}, now, was in before ? before[was] : LEFT_OUT, home, {
      tools: isFixed ? [] : tools, heading: place,
    });
    const item = { slot, place, was, tools };
    return item;
  }
  /** @param {typeof items[0]} item @param {number} by */
  function move(item, by) {
    const at = items.indexOf(item);
    items.splice(at, 1);
    items.splice(at + by, 0, item);
    draw();
    home.changed();
    const [up, down] = item.tools;
    (by < 0 ? [up, down] : [down, up]).find((tool) => !tool.disabled)?.focus();
  }
  /** @param {typeof items[0]} item */
  function drop(item) {
    const at = items.indexOf(item);
    items = items.filter((other) => other !== item);
    draw();
    home.changed();
    (items[at] ?? items[at - 1])?.tools[2].focus();
    if (!items.length) add.focus();
  }
  function draw() {
    put(list, ...items.map((item) => item.slot.el));
    items.forEach(({ place, tools }, i) => {
      put(place, String(i + 1));
      [i === 0, i === items.length - 1, false].forEach((off, n) => (tools[n].disabled = off));
      ["move item # up", "move item # down", "remove item #"].forEach((words, n) => tools[n].setAttribute("aria-label", words.replace("#", String(i + 1))));
    });
    add.disabled = items.length >= (schema.maxItems ?? Infinity) || itemSchema(schema, items.length) === null;
  }
  items = value.map((now, i) => makeItem(now, i));
  draw();
  const isMoved = () => items.length !== before.length || items.some((item, i) => item.was !== i);
  return {
    el: h("div", {}, list, !items.length && isFixed ? null : add),
    read: () => items.map(({ slot }) => slot.read()).map((now) => (now === LEFT_OUT ? null : now)),
    problems: (path) => items.flatMap(({ slot }, i) => slot.problems([...path, i])),
    show: (errors) => (items.forEach(({ slot }, i) => slot.show(errorsBelow(errors, i))), errors.filter((error) => !items[Number(error.path[0])])),
    focus: () => (items[0] ? items[0].slot.focus() : add.focus()),
    note: () => (Array.isArray(original) && isMoved() ? `was: ${briefJson(original, 200)}` : ""),
  };
}

/** @param {SchemaError[]} errors @param {string | number} name @returns {SchemaError[]} */
export function errorsBelow(errors, name) {
  return errors.filter(({ path }) => path.length && String(path[0]) === String(name)).map(({ path, text }) => ({ path: path.slice(1), text }));
}
