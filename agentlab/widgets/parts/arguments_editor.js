// @ts-check
// The arguments of a call as a form, and as JSON text on the other tab. Both show and edit the same.
import { button, h, put } from "./dom.js";
import { diffElement, shortDiff, wordDiff } from "./word_diff.js";
import { isJsonObject, numbersSurvive, parseJson, sameJson } from "./exact_json.js";
import { schemaForm } from "./form.js";
import { growingBox } from "./form_fields.js";
import { newErrors, toldErrors } from "./schema_errors.js";
import { propertiesOf } from "./schema.js";

/** @typedef {"form" | "json"} EditorTab */

/**
 * @param {{ arguments_json: string, schema: Record<string, any> }} ask
 * @param {string} id
 * @param {() => void} changed
 */
export function argumentsEditor({ arguments_json, schema }, id, changed) {
  const parsed = parseJson(arguments_json).value;
  const original = isJsonObject(parsed) ? parsed : null;
  const why = original === null ? "these arguments are no JSON object" : numbersSurvive(arguments_json) ? "" : "a number here has more digits than a form can hold";
  /** @type {EditorTab} */
  let tab = why ? "json" : "form";
  /** @type {ReturnType<typeof schemaForm> | null} */
  let form = null;
  const raw = growingBox(arguments_json, { id: `${id}-raw`, class: "al-jsonbox", rows: 3, "aria-label": "arguments as JSON", "aria-describedby": `${id}-raw-error` }, () => (drawRaw(), changed()), 24);
  const first = raw.value;
  const rawError = h("div", { class: "al-slot-error", id: `${id}-raw-error`, hidden: true });
  const rawWas = h("div", { class: "al-was", hidden: true });
  const place = h("div", { role: "tabpanel", id: `${id}-panel`, "aria-labelledby": `${id}-form` });
  const tabs = { form: tabButton("form", "Form"), json: tabButton("json", "JSON") };
  const note = h("span", { class: "al-muted" }, why && `only as JSON: ${why}`);
  const hint = h("span", { class: "al-edit-key" }, h("kbd", { "aria-hidden": "true" }, "e"), " edit");
  const undo = button("Undo edits", () => (api.undo(), api.focusFirst(), changed()), { class: "al-quiet al-small", hidden: true });
  const el = h("div", { class: "al-editor" }, h("div", { class: "al-tabs" }, h("span", { role: "tablist", "aria-label": "arguments" }, tabs.form, tabs.json), note, h("span", { class: "al-space" }), undo, hint), place);

  /** @param {EditorTab} name @param {string} label */
  function tabButton(name, label) {
    const one = button(label, () => show(name), { role: "tab", id: `${id}-${name}`, "aria-controls": `${id}-panel`, class: "al-tab" });
    one.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      event.preventDefault();
      event.stopPropagation();
      const other = name === "form" ? "json" : "form";
      if (!tabs[other].disabled) (show(other), tabs[other].focus());
    });
    return one;
  }
  /** @param {Record<string, unknown>} value */
  function makeForm(value) {
    form = schemaForm(schema, value, /** @type {Record<string, unknown>} */ (original), changed);
    return form;
  }
  /** @param {EditorTab} name */
  function show(name) {
    if (name === "json" && tab === "form" && form && isFormChanged()) {
      if (!form.isReadable()) return form.focusError();
      raw.value = JSON.stringify(form.read(), null, 2);
    }
    if (name === "form" && tab === "json" && rawValue() === null) return drawRaw();
    if (name === "form") makeForm(/** @type {Record<string, unknown>} */ (raw.value === first ? original : rawValue()));
    tab = name;
    draw();
    changed();
  }
  const isFormChanged = () => form !== null && !sameJson(form.read(), original);
  /** What the text holds; null where no form can show it. */
  function rawValue() {
    const { value } = parseJson(raw.value);
    return isJsonObject(value) && numbersSurvive(raw.value) ? value : null;
  }
  function rawProblem() {
    const { value, problem } = parseJson(raw.value);
    if (problem !== null) return problem;
    if (!isJsonObject(value)) return "must be a JSON object: { … }";
    const [error] = original === null ? [] : newErrors(schema, value, original);
    return error ? error.path.length ? `"${error.path.join(".")}" ${error.text}` : error.text : null;
  }
  function drawRaw() {
    const problem = raw.value === first ? null : rawProblem();
    const noForm = rawValue() === null && !why && problem === null ? "a number here has more digits than the form can hold" : "";
    put(rawError, problem);
    rawError.hidden = problem === null;
    raw.setAttribute("aria-invalid", String(problem !== null));
    put(note, why ? `only as JSON: ${why}` : noForm);
    rawWas.hidden = raw.value === first;
    put(rawWas, raw.value === first ? "" : diffElement(shortDiff(wordDiff(layOut(first), layOut(raw.value)))));
  }
  function draw() {
    for (const name of /** @type {const} */ (["form", "json"])) {
      tabs[name].setAttribute("aria-selected", String(tab === name));
      tabs[name].tabIndex = tab === name ? 0 : -1;
    }
    tabs.form.disabled = why !== "";
    place.setAttribute("aria-labelledby", `${id}-${tab}`);
    if (tab === "form" && form) put(place, form.el);
    else put(place, raw, rawError, rawWas);
    drawRaw();
  }
  if (!why) makeForm(/** @type {Record<string, unknown>} */ (original));
  draw();
  const api = {
    el,
    names: () => [...new Set([...Object.keys(propertiesOf(schema)), ...Object.keys(original ?? {})])],
    isChanged: () => (tab === "form" ? isFormChanged() : raw.value !== first && !(original !== null && !why && sameJson(parseJson(raw.value).value, original))),
    /** The arguments as JSON text, or why they cannot be sent. */
    read: () => {
      if (tab === "json") return { text: raw.value, problem: raw.value === first ? null : rawProblem() };
      const errors = form?.check() ?? [];
      const problem = errors.length === 0 ? null : errors.length === 1 ? "One field needs another look before this can be sent." : `${errors.length} fields need another look before this can be sent.`;
      return { text: problem === null ? JSON.stringify(form?.read()) : "", problem };
    },
    undo: () => {
      raw.value = first;
      if (!why) makeForm(/** @type {Record<string, unknown>} */ (original));
      draw();
    },
    /** What Python refused, beside the fields that it names. @param {string} text */
    tell: (text) => form?.tell(toldErrors(text)),
    focusFirst: () => (tab === "form" ? form?.focusFirst() : raw.focus()),
    focusError: () => (tab === "form" ? form?.focusError() : raw.focus()),
    /** @param {boolean} isLocked */
    lock: (isLocked) => {
      place.inert = isLocked;
      undo.disabled = isLocked;
      undo.hidden = !api.isChanged();
      hint.hidden = !undo.hidden;
    },
  };
  return api;
}

/** JSON text laid out in the usual way, so that only its content is compared. @param {string} text */
function layOut(text) {
  const { value, problem } = parseJson(text);
  return problem === null && numbersSurvive(text) ? JSON.stringify(value, null, 2) : text;
}
