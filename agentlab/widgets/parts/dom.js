// @ts-check
// Elements made from data. Text goes in as text: nothing here reads HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. `on` holds listeners, `data` data attributes, all others are attributes; `true` writes an empty one,
 * false, null and undefined none.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/**
 * Put children in the place of those that are there.
 * @param {Element} element
 * @param {...Child} children
 */
export function put(element, ...children) {
  element.replaceChildren(...children.filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
}

/**
 * A button that says what it does.
 * @param {string} label
 * @param {() => void} press
 * @param {Record<string, any>} [attributes]
 */
export function button(label, press, attributes = {}) {
  return h("button", { type: "button", ...attributes, on: { click: press } }, label);
}

/**
 * What a message of Python holds: JSON in its first buffer.
 * @param {ArrayBufferView | undefined} buffer
 * @returns {any}
 */
export function readJson(buffer) {
  return buffer ? JSON.parse(new TextDecoder().decode(buffer)) : {};
}

/**
 * True while the focus is where letters are typed: then a letter is no command.
 * @param {EventTarget | null} target
 */
export function isTyping(target) {
  const element = /** @type {Element | null} */ (target);
  return !!element?.closest?.("input, textarea, select, [contenteditable]");
}
