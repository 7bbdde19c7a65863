// Keys: an element with `data-key="j ArrowDown"` is pressed by each of these keys.
//
// The rule: a key does what its button does, so that everything also works with a mouse or a screen
// reader. In a text field only Escape (leave) and Ctrl+Enter (save) act. A key that is pressed
// while a request runs waits for the new page, in order; none is lost without a message, and all
// that wait are dropped where a request failed, as they were meant for a page that did not come.
import * as connection from "./connection.js";
import { home } from "./focus.js";
import { say, words } from "./messages.js";

const LONGEST_QUEUE = 100; // more than anyone types ahead on purpose
const NAMED = new Set(["Enter", "Backspace", "Escape", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"]);
const TEXT_INPUTS = 'textarea, select, [contenteditable=""], [contenteditable="true"], input:not([type="checkbox"], [type="radio"], [type="button"], [type="submit"], [type="reset"], [type="range"], [type="color"], [type="file"])';
const PRESSED_BY_ENTER = "a[href], button, summary, input, select, [role=button]";

const queue = [];
let mode = { takes: () => false, leave: () => {} };

/** Listen to keys; `cursor` takes keys first (words.js). */
export function watch(cursor) {
  mode = cursor;
  document.addEventListener("keydown", onKey);
  connection.watch({ idle: drain, fault: drop });
}

function onKey(event) {
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) {
    return; // an input method is composing a character
  }
  if (event.target.matches?.(TEXT_INPUTS)) {
    inField(event);
    return;
  }
  if (event.ctrlKey || event.altKey || event.metaKey) {
    return;
  }
  const press = { key: keyOf(event), shift: event.shiftKey, repeat: event.repeat };
  const dialog = document.querySelector("dialog[open]");
  if (dialog) {
    if (press.key === "?") {
      event.preventDefault();
      dialog.close();
    }
    return;
  }
  if (!isNative(event) && isOurs(press)) {
    event.preventDefault();
    take(press);
  }
}

function inField(event) {
  const field = event.target;
  if (event.key === "Escape") {
    event.preventDefault();
    field.blur();
    home();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field.form) {
    event.preventDefault();
    const save = field.form.querySelector("[data-save]");
    field.blur(); // the next key is one of the desk again
    save ? save.click() : field.form.requestSubmit();
  }
}

// Digits of other scripts and full-width letters count as the plain ones. On a layout without
// Latin letters, or with digits only behind Shift, the place of the key on the keyboard decides.
function keyOf(event) {
  const key = event.key === " " ? "Space" : event.key.normalize("NFKC");
  if (key.length !== 1 || elementFor(key)) {
    return key;
  }
  const code = /^(?:Key|Digit)([A-Z0-9])$/.exec(event.code ?? "")?.[1].toLowerCase();
  const replaces = code && !event.shiftKey && (/\d/.test(code) || key.charCodeAt(0) > 127);
  if (replaces) {
    return code;
  }
  return event.getModifierState?.("CapsLock") ? key.toLowerCase() : key;
}

// What the browser itself does with the key: press a focused button, scroll a pane that was
// given the focus by keys.
function isNative(event) {
  const target = event.target;
  if ((event.key === "Enter" || event.key === " ") && target.matches?.(PRESSED_BY_ENTER)) {
    return true;
  }
  if (target.matches?.('input[type="radio"], input[type="range"]')) {
    return event.key.startsWith("Arrow");
  }
  const scrolls = target.tabIndex === 0 && target.scrollHeight > target.clientHeight;
  return scrolls && event.key.startsWith("Arrow") && target.matches(":focus-visible");
}

function isOurs(press) {
  if (connection.isBusy() || connection.isLost()) {
    return press.key.length === 1 || press.key === "Space" || NAMED.has(press.key);
  }
  return mode.takes(press, true) || elementFor(press.key) !== undefined;
}

/** The element that a key presses: in the desk, else elsewhere on the page. */
export function elementFor(key) {
  const found = [...document.querySelectorAll("[data-key]")].filter(
    (element) =>
      element.dataset.key.split(/\s+/).includes(key) && !element.disabled && !element.closest("[hidden]"),
  );
  return found.find((element) => element.closest("#desk")) ?? found[0];
}

function take(press) {
  if (connection.isLost()) {
    press.key === "Escape" ? connection.giveUp() : connection.again();
  } else if (connection.isBusy()) {
    wait(press);
  } else {
    act(press);
  }
}

function wait(press) {
  if (press.repeat) {
    return;
  }
  if (queue.length >= LONGEST_QUEUE) {
    say(words("full", { count: LONGEST_QUEUE }), { error: true });
    return;
  }
  queue.push(press);
}

function act(press) {
  if (document.activeElement?.matches(TEXT_INPUTS)) {
    type(document.activeElement, press);
    return;
  }
  if (mode.takes(press, false)) {
    return;
  }
  const element = elementFor(press.key);
  if (!element || (press.repeat && changesData(element))) {
    return;
  }
  if (element.matches(TEXT_INPUTS)) {
    mode.leave();
    element.focus();
    element.select?.();
  } else {
    element.click();
  }
}

// Holding a key down goes through sentences, but decides only one.
const changesData = (element) =>
  element instanceof HTMLButtonElement && (element.form !== null || element.hasAttribute("hx-post"));

// A text field came with the new page, and the person already typed into it.
function type(field, press) {
  const text = press.key === "Space" ? " " : press.key === "Enter" ? "\n" : press.key;
  if (text.length === 1 && field.setRangeText && field.selectionStart !== null) {
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function drain() {
  while (queue.length > 0 && !connection.isBusy() && !connection.isLost()) {
    act(queue.shift());
  }
}

function drop() {
  return queue.splice(0).length;
}
