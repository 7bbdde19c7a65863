// The help overlay: a <dialog> with the id that a button's `data-opens` names.
//
// The rule: Escape, ? and its own button close it, and the focus returns to where it was.
import { home } from "./focus.js";

/** Listen to the buttons that open and close dialogs. */
export function watch() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-opens]");
    const dialog = opener && document.getElementById(opener.dataset.opens);
    if (dialog) {
      event.preventDefault();
      open(dialog);
    } else if (event.target.closest?.("[data-closes]")) {
      event.target.closest("dialog")?.close();
    } else if (event.target.closest?.("#desk-reload")) {
      location.reload();
    }
  });
}

function open(dialog) {
  const before = document.activeElement;
  dialog.addEventListener(
    "close",
    () => (before?.isConnected && before !== document.body ? before.focus({ preventScroll: true }) : home()),
    { once: true },
  );
  dialog.showModal();
}
