// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { hearThoughLate } from "../../agentlab/widgets/parts/late_model.js";

/** A model as front ends make them: the upper class takes messages, the lower one does so once it is ready. */
function made(/** @type {Promise<void>} */ ready) {
  /** @type {string[]} */
  const heard = [];
  /** @type {any[]} */
  const sent = [];
  class Above {
    async _handle_comm_msg(/** @type {any} */ message) {
      if (message.content.data.method === "custom") heard.push(message.content.data.content);
    }
  }
  class Model extends Above {
    async _handle_comm_msg(/** @type {any} */ message) {
      await ready;
      return super._handle_comm_msg(message);
    }
  }
  const own = /** @type {any} */ (new Model());
  /** @type {(message: any) => unknown} */
  let takes = own._handle_comm_msg.bind(own);
  let plugged = 0;
  own.comm = { on_msg: (/** @type {any} */ take) => (plugged++, (takes = take)) };
  const proxy = {
    get: (/** @type {string} */ name) => (name === "own_id" ? "me" : undefined),
    send: (/** @type {any} */ message) => sent.push(message),
    widget_manager: { get_model: async (/** @type {string} */ id) => (id === "me" ? own : undefined) },
  };
  const say = async (/** @type {string} */ content) => takes({ content: { data: { method: "custom", content } } });
  return { proxy, say, heard, sent, plugged: () => plugged };
}

test("a model that came late hears what is said from now on, and asks for what was said before", async () => {
  const model = made(Promise.reject(new Error("given up")));
  await assert.rejects(model.say("before"));
  await hearThoughLate(model.proxy);
  await model.say("after");
  assert.deepEqual(model.heard, ["after"]);
  assert.deepEqual(model.sent, [{ type: "resync" }]);
});

test("a model that came in time is left as it is", async () => {
  const model = made(Promise.resolve());
  await hearThoughLate(model.proxy);
  await model.say("hello");
  assert.deepEqual([model.heard, model.sent, model.plugged()], [["hello"], [], 0]);
});

test("a front end that has no such model is left alone", async () => {
  const model = made(Promise.resolve());
  await hearThoughLate({ ...model.proxy, widget_manager: undefined });
  await hearThoughLate({ ...model.proxy, get: () => "another" });
  const lost = { get_model: () => Promise.reject(new Error("widget model not found")) };
  await hearThoughLate({ ...model.proxy, widget_manager: lost });
  const never = Promise.reject(new Error("given up"));
  never.catch(() => {});
  const dead = made(never);
  delete (await dead.proxy.widget_manager.get_model("me")).comm;
  await hearThoughLate(dead.proxy);
  assert.deepEqual(dead.sent, []);
  assert.deepEqual(model.sent, []);
});
