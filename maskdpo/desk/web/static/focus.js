// Where the focus is and what is in view after the page changed.
//
// The rule: the focus is never lost to <body>, and only panes scroll, never the page. A pane is the
// nearest ancestor with its own scroll bar; it stays where it was unless its target is out of view.

const CURRENT = '#desk .sentence[aria-current]:not([aria-current="false"])';
const EVIDENCE = "#desk [data-scroll]";
let kept = new Map();
let place = "";

/** The sentence (or the first of several joined ones) that is decided next. */
export const currentSentence = () => document.querySelector(CURRENT);

/** What a decision would be about; changes when the page goes on to another sentence. */
export function placeShown() {
  const form = document.getElementById("decision");
  const value = (name) => form?.elements.namedItem(name)?.value ?? "";
  return form ? `${form.getAttribute("action")} ${value("start")} ${value("end")}` : "";
}

/** Before a change of the page: keep where its panes are scrolled to. */
export function keep() {
  place = placeShown();
  kept = new Map(
    [...document.querySelectorAll("#desk [id]")]
      .filter((element) => element.scrollTop > 0)
      .map((element) => [element.id, element.scrollTop]),
  );
}

/** After a change of the page. */
export function settle() {
  for (const [id, top] of kept) {
    const pane = document.getElementById(id);
    if (pane) {
      pane.scrollTop = top;
    }
  }
  kept.clear();
  show(currentSentence());
  document.querySelectorAll(EVIDENCE).forEach(show);
  const own = document.querySelector("#desk [autofocus]");
  const active = document.activeElement;
  if (own) {
    own.focus({ preventScroll: true });
  } else if (!active || active === document.body || placeShown() !== place) {
    home();
  }
}

/** Give the focus to the current sentence, or to the whole desk. */
export function home() {
  const target = currentSentence() ?? document.getElementById("desk");
  if (target) {
    if (!target.hasAttribute("tabindex")) {
      target.tabIndex = -1;
    }
    target.focus({ preventScroll: true });
  }
}

/** Scroll the pane of an element or range so that it is in view, a third from the top. */
export function show(target) {
  const element = target instanceof Range ? target.startContainer.parentElement : target;
  const pane = element && paneOf(element);
  if (!pane) {
    return;
  }
  const inner = target.getBoundingClientRect();
  const outer = pane.getBoundingClientRect();
  const fits = inner.top >= outer.top && inner.bottom <= outer.bottom;
  if (!fits) {
    pane.scrollTop += inner.top - outer.top - Math.max(0, (outer.height - inner.height) / 3);
  }
}

function paneOf(element) {
  for (let one = element.parentElement; one && one !== document.body; one = one.parentElement) {
    if (one.scrollHeight > one.clientHeight && /auto|scroll/.test(getComputedStyle(one).overflowY)) {
      return one;
    }
  }
  return null;
}
