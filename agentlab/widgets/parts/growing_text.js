// @ts-check
// A text that grows at its end. It stands in blocks of some lines, so that a new piece lays out the last block only.

import { h } from "./dom.js";

const BLOCK_SOFT_CHARS = 4000;
const BLOCK_HARD_CHARS = 16000;

/**
 * Where a block ends within the piece that is about to be appended to it.
 * @param {number} length of the block so far
 * @param {string} piece
 * @returns {number} characters of the piece that still belong to the block
 */
export function blockTakes(length, piece) {
  if (length + piece.length <= BLOCK_SOFT_CHARS) return piece.length;
  const line = piece.indexOf("\n", Math.max(0, BLOCK_SOFT_CHARS - length - 1));
  if (line >= 0 && length + line < BLOCK_HARD_CHARS) return line + 1;
  if (length + piece.length <= BLOCK_HARD_CHARS) return piece.length;
  const cut = Math.max(0, BLOCK_HARD_CHARS - length);
  const unit = piece.charCodeAt(cut);
  return unit >= 0xdc00 && unit <= 0xdfff ? cut + 1 : cut; // not between the halves of one character
}

/** How many characters two texts begin with alike. @param {string} one @param {string} other */
function commonStart(one, other) {
  const end = Math.min(one.length, other.length);
  for (let i = 0; i < end; i++) if (one[i] !== other[i]) return i;
  return end;
}

export class GrowingText {
  /**
   * @param {HTMLElement} box scrolls; keeps to the end while `followed` and until the reader scrolls up in it
   * @param {boolean} followed
   */
  constructor(box, followed) {
    this.box = box;
    this.text = "";
    this.followed = followed;
    /** @type {Text | null} */
    this.last = null;
    this.before = 0;
    if (followed) box.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  /** @param {string} text the whole text; what it shares with the one shown stays in the page */
  set(text) {
    if (!text.startsWith(this.text)) this.cutTo(commonStart(this.text, text));
    if (text.length > this.text.length) this.append(text.slice(this.text.length));
  }

  /** @private @param {number} length */
  cutTo(length) {
    let end = this.text.length;
    while (this.last && end - this.last.length >= length) {
      end -= this.last.length;
      this.last.parentElement?.remove();
      this.last = /** @type {Text | null} */ (this.box.lastElementChild?.firstChild ?? null);
    }
    this.last?.deleteData(this.last.length - (end - length), end - length);
    this.text = this.text.slice(0, length);
  }

  /** @param {string} piece */
  append(piece) {
    this.text += piece;
    let rest = piece;
    while (rest) {
      const taken = this.last ? blockTakes(this.last.length, rest) : 0;
      if (this.last && taken) this.last.appendData(rest.slice(0, taken));
      rest = rest.slice(taken);
      if (rest) {
        this.last = document.createTextNode("");
        this.box.append(h("div", { dir: "auto" }, this.last));
      }
    }
    this.toEnd();
  }

  toEnd() {
    if (!this.followed) return;
    this.box.scrollTop = this.box.scrollHeight;
    this.before = this.box.scrollTop;
  }

  /** @private */
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    if (!clientHeight || scrollTop === this.before) return;
    this.followed = scrollHeight - clientHeight - scrollTop < 8 || (this.followed && scrollTop >= this.before);
    this.before = scrollTop;
  }
}
