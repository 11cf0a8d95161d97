// @ts-check
// A panel over a widget: a long text to read, or the keys.

import { button, h, put } from "./dom.js";

export class Panel {
  /** @param {HTMLElement} root of the widget; it gets the focus back */
  constructor(root) {
    this.root = root;
    this.title = h("strong", { class: "al-paneltitle" });
    this.tools = h("span", { class: "al-paneltools" });
    this.body = h("div", { class: "al-panelbody", tabindex: "0" });
    this.dialog = h(
      "dialog", { class: "al-panel", "aria-label": "", on: { keydown: (/** @type {Event} */ event) => event.stopPropagation(), close: () => this.closed() } },
      h("div", { class: "al-panelhead" }, this.title, this.tools, button("Close", () => this.dialog.close(), { class: "al-quiet" })),
      this.body,
    );
    /** @type {Element | null} */
    this.from = null;
    root.append(this.dialog);
  }

  /**
   * @param {string} title
   * @param {import("./dom.js").Child[]} content
   * @param {HTMLElement[]} [tools]
   */
  show(title, content, tools = []) {
    put(this.title, title);
    put(this.tools, ...tools);
    put(this.body, ...content);
    this.dialog.setAttribute("aria-label", title);
    if (this.dialog.open) return;
    this.from = /** @type {Document | ShadowRoot} */ (this.root.getRootNode()).activeElement ?? null;
    this.dialog.showModal();
    this.body.focus();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** @private */
  closed() {
    put(this.body);
    const back = this.from?.isConnected && this.root.contains(this.from) ? this.from : this.root;
    /** @type {HTMLElement} */ (back).focus({ preventScroll: true });
  }
}

/**
 * Put a text on the clipboard.
 * @param {string} text
 * @returns {Promise<boolean>} false: the browser does not let us
 */
export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or a page without https
  }
}
