// @ts-check
// A trace, finished or as it happens. What is in it comes from Python; here it is only drawn, sought and folded.

import { TRACE_SHORTCUTS } from "./parts/trace_keys.js";
import { h } from "./parts/dom.js";
import { hearThoughLate } from "./parts/late_model.js";
import { TracePane } from "./parts/trace_pane.js";
import { TraceStore } from "./parts/trace_store.js";

/** How often a page says that it is there: for one that is gone, nothing need be drawn. */
const HERE_MS = 20_000;

export default () => {
  /** @type {TraceStore | undefined} one for all views of the model */
  let store;
  return {
    /** @param {{ model: any }} props */
    initialize({ model }) {
      void hearThoughLate(model);
      store = new TraceStore(model);
    },
    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      store ??= new TraceStore(model);
      const root = h("div", {
        class: "agentlab-trace agentlab-widget agentlab-trace-view", tabindex: "0", role: "group",
        "aria-label": "Trace of a run", "aria-keyshortcuts": TRACE_SHORTCUTS, "data-lm-suppress-shortcuts": "true",
      });
      const pane = new TracePane(root, store);
      el.append(root);
      pane.start();
      const here = setInterval(() => model.send({ type: "here" }), HERE_MS);
      return () => {
        clearInterval(here);
        pane.destroy();
      };
    },
  };
};
