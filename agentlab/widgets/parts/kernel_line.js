// @ts-check
// Messages to Python, and what is told where no kernel hears them any more.

/**
 * What a view says that nobody hears.
 * @param {string} runId
 */
export function goneWords(runId) {
  return `the kernel is gone; lab.view(${JSON.stringify(runId)}) opens the run again, if a lab keeps it`;
}

/** What a view of no single run says then. */
export const GONE_WORDS = "the kernel is gone: run the cell again";

/**
 * Sends to Python as long as there is a kernel; the first message that it cannot send ends it.
 * @param {{ send: (message: any) => void }} model
 * @param {() => void} gone Called once.
 * @returns {(message: any) => boolean} whether it was sent
 */
export function kernelLine(model, gone) {
  let isOpen = true;
  return (message) => {
    if (!isOpen) return false;
    try {
      model.send(message);
    } catch (error) {
      console.warn("agentlab: the kernel does not hear this view", error);
      isOpen = false;
      gone();
    }
    return isOpen;
  };
}
