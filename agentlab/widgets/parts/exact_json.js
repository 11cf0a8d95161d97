// @ts-check
// JSON whose numbers JavaScript can hold, and values compared as JSON has them.

const JSON_PIECE = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * False when reading this JSON text and writing it again would alter a number: one of too many digits, or too large or
 * too small for JavaScript.
 * @param {string} text
 */
export function numbersSurvive(text) {
  for (const [piece] of text.matchAll(JSON_PIECE)) {
    if (piece[0] === '"') continue;
    const number = Number(piece);
    const vanished = number === 0 && /[1-9]/.test(piece.split(/[eE]/)[0]);
    if (vanished || !(Math.abs(number) <= Number.MAX_SAFE_INTEGER)) return false;
  }
  return true;
}

/**
 * The value of a JSON text, or what is wrong with it.
 * @param {string} text
 * @returns {{ value: unknown, problem: null } | { value: undefined, problem: string }}
 */
export function parseJson(text) {
  try {
    return { value: JSON.parse(text), problem: null };
  } catch (error) {
    return { value: undefined, problem: `not valid JSON: ${error instanceof Error ? error.message : error}` };
  }
}

/**
 * A JSON value on indented lines; what is short stays on one.
 * @param {unknown} value
 */
export function prettyJson(value) {
  const short = JSON.stringify(value) ?? "";
  return short.length <= 60 ? short : JSON.stringify(value, null, 2);
}

/**
 * A JSON value on one line, cut where it is long.
 * @param {unknown} value
 * @param {number} [limit]
 */
export function briefJson(value, limit = 80) {
  const text = JSON.stringify(value) ?? "";
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isJsonObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Whether two JSON values are the same; the order of an object's names does not count.
 * @param {unknown} a
 * @param {unknown} b
 * @returns {boolean}
 */
export function sameJson(a, b) {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]));
}
