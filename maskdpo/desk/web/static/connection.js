// Requests of the desk: one at a time, repeated when a lost server is back, errors shown.
//
// The rule: a request that got no reply changed nothing on the page, so that the element that sent
// it is still there and is pressed again. The server records an equal decision only once.
import { offerReload, say, sentenceOf, words } from "./messages.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 4000;

let running = false;
let lost = null; // the element or form to press again, while the server does not reply
let timer = 0;
let wait = FIRST_WAIT_MS;
let onIdle = () => {};
let onFault = () => 0;

export const isBusy = () => running;
export const isLost = () => lost !== null;

/** `idle` is called after each reply; `fault` drops waiting keys and returns how many. */
export function watch({ idle, fault }) {
  onIdle = idle;
  onFault = fault;
  document.addEventListener("htmx:beforeRequest", before);
  document.addEventListener("htmx:afterRequest", after);
}

function before(event) {
  if (running) {
    event.preventDefault(); // a second click; keys wait in their own queue
    return;
  }
  running = true;
  document.getElementById("desk")?.setAttribute("aria-busy", "true");
}

function after(event) {
  const { xhr, requestConfig } = event.detail;
  running = false;
  document.getElementById("desk")?.removeAttribute("aria-busy");
  if (xhr.status === 0) {
    lose(requestConfig);
    return;
  }
  if (lost) {
    found();
  }
  if (xhr.status >= 400) {
    report(xhr);
  }
  onIdle();
}

function report(xhr) {
  const dropped = onFault();
  const parts = [sentenceOf(xhr) || words("failed", { status: xhr.status })];
  if (dropped) {
    parts.push(words("dropped", { count: dropped }));
  }
  say(parts.join(" "), { error: true });
  offerReload(xhr.status === 409 || xhr.status === 401);
}

function lose(request) {
  lost = { element: request.elt, submitter: request.triggeringEvent?.submitter ?? null };
  say(words("lost"), { error: true });
  clearTimeout(timer);
  timer = setTimeout(look, wait);
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
}

function found() {
  lost = null;
  wait = FIRST_WAIT_MS;
  clearTimeout(timer);
}

async function look() {
  try {
    const reply = await fetch("/healthz", { cache: "no-store", redirect: "error" });
    if (lost && reply.status < 500) {
      again();
      return;
    }
  } catch {
    // Still no reply; look again.
  }
  if (lost) {
    timer = setTimeout(look, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** Send the request that got no reply again. */
export function again() {
  if (!lost || running) {
    return;
  }
  const { element, submitter } = lost;
  clearTimeout(timer);
  if (!element.isConnected) {
    found();
    onIdle();
  } else if (element instanceof HTMLFormElement && !submitter) {
    element.requestSubmit();
  } else {
    press(submitter ?? element);
  }
}

// What the button filled into the form is still there.
function press(button) {
  button.dataset.again = "true";
  button.click();
  delete button.dataset.again;
}

/** Forget the request that got no reply. */
export function giveUp() {
  found();
  say(words("forgotten"));
}
