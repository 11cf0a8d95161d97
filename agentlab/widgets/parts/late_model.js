// @ts-check
// A model that its page was slow to load. anywidget allows two seconds; past them it shows the widget, but drops all
// that Python sends from then on, for as long as the page is open (0.11).

const NOTHING = { content: { data: { method: "nothing" } } };

/**
 * How models take messages before anywidget puts its way in the place of it.
 * @param {any} model
 * @returns {(message: any) => Promise<void>}
 */
function firstWay(model) {
  let found;
  for (let above = model; above; above = Object.getPrototypeOf(above))
    if (Object.hasOwn(above, "_handle_comm_msg")) found = above._handle_comm_msg;
  return found;
}

/**
 * Let a model hear Python however long its page took to load it. What was said meanwhile is asked for again.
 * @param {{ get: (name: string) => any, send: (message: any) => void, widget_manager?: any }} model
 */
export async function hearThoughLate(model) {
  const own = await Promise.resolve(model.widget_manager?.get_model(model.get("own_id"))).catch(() => undefined);
  if (!own?.comm) return; // not found, or no kernel: there is nobody to hear
  try {
    await own._handle_comm_msg(NOTHING);
  } catch {
    const take = firstWay(own);
    own.comm.on_msg((/** @type {any} */ message) => take.call(own, message));
    model.send({ type: "resync" });
  }
}
