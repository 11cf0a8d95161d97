// @ts-check
// Slips of a hand. What has just come or moved is deaf for a moment, as a click may have been meant for what was there
// before; and letters that were typed into a field that went are let go, as none of them was meant as a command.
import { isTyping } from "./dom.js";

/** How long what has come or moved takes no answer. */
export const SETTLE_MS = 600;
/** After so long without a key nobody goes on typing what he had begun. */
export const QUIET_MS = 1500;

/** The buttons of a place, deaf for a moment. */
export class Settling {
  /** @param {HTMLElement} root What holds the places. */
  constructor(root) {
    /** @type {HTMLElement[]} */
    this.places = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    const letGo = (/** @type {Event} */ event) => {
      const target = /** @type {Element} */ (event.target).closest("button");
      if (!target || !this.places.some((place) => place.contains(target))) return;
      event.preventDefault(); // nor does a button get the focus, on which Enter would press it
      event.stopPropagation();
    };
    root.addEventListener("mousedown", letGo, true);
    root.addEventListener("click", letGo, true);
  }

  get isOn() {
    return this.places.length > 0;
  }

  /** @param {HTMLElement[]} places */
  begin(places) {
    this.end();
    this.places = places;
    for (const place of places) place.setAttribute("aria-disabled", "true");
    this.timer = setTimeout(() => this.end(), SETTLE_MS);
  }

  end() {
    clearTimeout(this.timer);
    for (const place of this.places) place.removeAttribute("aria-disabled");
    this.places = [];
  }
}

/** Keys that go on coming after the field went into which they were typed. */
export class LostLetters {
  /** @param {() => number} [now] In ms. */
  constructor(now = () => performance.now()) {
    this.now = now;
    /** When the last one came; null while none is expected. @type {number | null} */
    this.last = null;
  }

  begin() {
    this.last = this.now();
  }

  end() {
    this.last = null;
  }

  /**
   * Let a key go that was meant for the field; Tab, and a field, begin something new.
   * @param {KeyboardEvent} event
   */
  takes(event) {
    if (this.last === null) return false;
    if (event.key === "Tab" || isTyping(event.target) || this.now() - this.last > QUIET_MS) {
      this.end();
      return false;
    }
    this.last = this.now();
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}
