// @ts-check
// A place of a form: its name, its value or the lack of one, what is wrong with it and what it was.
import { button, h, put } from "./dom.js";
import { briefJson, sameJson } from "./exact_json.js";
import { LEFT_OUT, valueField } from "./form_fields.js";
import { listGroup, objectGroup } from "./form_groups.js";
import { limitsInWords, shapeFor, shapeOf, startValue } from "./schema.js";
import { diffElement, shortDiff, wordDiff } from "./word_diff.js";

/** @typedef {import("./form_groups.js").FormGroup} FormGroup */
/** @typedef {import("./form_groups.js").FormHome} FormHome */
/** @typedef {import("./form_groups.js").FormSlot} FormSlot */
/** @typedef {import("./form_groups.js").SlotOptions} SlotOptions */
/** @typedef {{ el: HTMLElement, read: () => unknown, focus: () => void, problem: () => string | null, controls: HTMLElement[], group: FormGroup | null }} SlotValue */

/**
 * @param {string} name
 * @param {unknown} schema
 * @param {unknown} value LEFT_OUT where none is given.
 * @param {unknown} original
 * @param {FormHome} home
 * @param {SlotOptions} options
 * @returns {FormSlot}
 */
export function formSlot(name, schema, value, original, home, { optional = false, tools = [], heading }) {
  const id = home.nextId();
  const asked = shapeOf(schema, home.root);
  const fallback = optional && "default" in asked.schema ? `default ${briefJson(asked.schema.default, 40)}` : "";
  const hint = h("div", { class: "al-slot-hint", id: `${id}-hint` });
  const error = h("div", { class: "al-slot-error", id: `${id}-error`, hidden: true });
  const was = h("div", { class: "al-was", id: `${id}-was`, hidden: true });
  const notes = [hint, error, was];
  const described = `${id}-hint ${id}-error ${id}-was`;
  const title = heading ?? h("code", {}, name);
  const el = h("div", { class: "al-slot" });
  /** @type {SlotValue | null} */
  let inner = null;

  /** @param {unknown} now */
  function take(now) {
    const isBare = now === LEFT_OUT || (now === null && asked.nullable);
    value = now;
    inner = isBare ? null : slotValue(schema, now, original, id, home);
    draw();
  }
  function focus() {
    if (inner) inner.focus();
    else /** @type {HTMLElement | null} */ (el.querySelector(".al-slot-tools button"))?.focus();
  }
  /** @param {string} label @param {string} title @param {() => unknown} now */
  function turn(label, title, now) {
    const press = () => (take(now()), home.changed(), focus());
    return button(label, press, { class: "al-quiet al-small", title, "aria-label": `${title}: ${name}` });
  }
  function draw() {
    put(hint, [asked.schema.description, ...(inner ? [limitsInWords(asked), fallback] : [])].filter(Boolean).join(" · "));
    const side = h("span", { class: "al-slot-tools" },
      !inner && turn("give a value", "give a value", () => startValue(schema, home.root)),
      asked.nullable && value !== null && turn("null", "set to null", () => null),
      optional && value !== LEFT_OUT && turn("leave out", "leave out", () => LEFT_OUT),
      ...tools);
    if (inner?.group) {
      put(el, h("fieldset", { class: "al-group", "aria-describedby": described }, h("legend", {}, title), side, ...notes, inner.el));
      return;
    }
    const bare = h("span", { class: "al-bare" }, value === null ? "null" : ["not given", fallback].filter(Boolean).join(", "));
    put(el, slotName(), h("div", { class: "al-slot-body" }, h("div", { class: "al-slot-line" }, inner ? inner.el : bare, side), ...notes));
    for (const control of inner?.controls ?? []) {
      control.setAttribute("aria-describedby", described);
      if (heading) control.setAttribute("aria-labelledby", `${id}-name`);
      if (!optional) control.setAttribute("aria-required", "true");
    }
  }
  /** A label where there is one control to bind it to. */
  function slotName() {
    const attributes = { class: "al-slot-name", id: `${id}-name` };
    const one = inner?.controls.length === 1 && !heading;
    if (inner && inner.controls.length > 1) {
      inner.el.setAttribute("role", "radiogroup");
      inner.el.setAttribute("aria-labelledby", `${id}-name`);
    }
    return one ? h("label", { ...attributes, for: id }, title) : h("span", attributes, title);
  }

  take(value);
  const read = () => (inner ? inner.read() : value);
  return {
    el,
    read,
    focus,
    problems: (path) => {
      const problem = inner?.problem();
      return inner?.group ? inner.group.problems(path) : problem ? [{ path, text: problem }] : [];
    },
    show: (errors) => {
      const deeper = errors.filter(({ path }) => path.length);
      const here = [...errors.filter(({ path }) => !path.length), ...(inner?.group ? inner.group.show(deeper) : deeper)];
      error.hidden = !here.length;
      put(error, here.map(({ path, text }) => [...path, text].join(" ")).join("; "));
      for (const control of inner?.controls ?? []) control.setAttribute("aria-invalid", String(here.length > 0));
      const words = inner?.group ? inner.group.note() || wasWords(original, LEFT_OUT, read()) : wasElement(original, read());
      el.classList.toggle("al-changed", words !== "");
      was.hidden = words === "";
      put(was, words);
    },
  };
}

/** @param {unknown} schema @param {unknown} now @param {unknown} original @param {string} id @param {FormHome} home @returns {SlotValue} */
function slotValue(schema, now, original, id, home) {
  const shape = shapeFor(schema, home.root, now);
  const make = shape.kind === "object" ? objectGroup : shape.kind === "list" ? listGroup : null;
  if (make) {
    const group = make(shape.schema, /** @type {any} */ (now), original, home);
    return { ...group, group, problem: () => null, controls: [] };
  }
  const field = valueField(shape, now, id, home.changed);
  const chosen = () => field.controls.find((control) => /** @type {HTMLInputElement} */ (control).checked);
  const focus = () => {
    const control = chosen() ?? field.controls[0];
    control.focus();
    if (control instanceof HTMLInputElement && control.type === "text") control.select();
  };
  return { ...field, group: null, focus };
}

/** A group that was not there before, or was something else. @param {unknown} original @param {symbol} nothing @param {unknown} now */
export function wasWords(original, nothing, now) {
  if (original === nothing) return "new";
  return Array.isArray(original) === Array.isArray(now) && typeof original === "object" && original !== null ? "" : `was: ${briefJson(original, 200)}`;
}

/** What a value was before it was changed; nothing where it was not. @param {unknown} original @param {unknown} now */
function wasElement(original, now) {
  if (sameJson(original, now)) return "";
  if (original === LEFT_OUT) return "new";
  if (typeof original !== "string" || typeof now !== "string") return `was: ${typeof original === "string" ? original : briefJson(original, 200)}`;
  const isShort = original.length <= 60 && !original.includes("\n");
  return isShort ? `was: ${original || "empty"}` : diffElement(shortDiff(wordDiff(original, now)));
}
