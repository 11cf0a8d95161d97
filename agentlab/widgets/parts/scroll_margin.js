// @ts-check
// How much more than is seen is drawn, for whoever scrolls on: nothing while a list is dragged through.

const MARGIN_PX = 400;
/** When the rows around what is seen are drawn after a jump. */
const REST_MS = 120;

export class ScrollMargin {
  /** @param {() => void} drawAgain */
  constructor(drawAgain) {
    this.drawAgain = drawAgain;
    this.px = MARGIN_PX;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.resting = undefined;
  }

  /** The view moved: nothing that was seen is seen any more after a jump. @param {number} by [px] @param {number} height */
  moved(by, height) {
    if (Math.abs(by) <= height) return;
    this.px = 0;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.px = MARGIN_PX;
      this.drawAgain();
    }, REST_MS);
  }

  destroy() {
    clearTimeout(this.resting);
  }
}
