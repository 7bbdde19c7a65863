// Marking by keys and by mouse: wrong words, where to split, evidence in a document.
//
// The rule: a script only puts offsets into the form's hidden inputs and presses the form's own
// button; the server draws the draft. The text nodes stay as they are: the cursor is a highlight
// (CSS Custom Highlight API), so that offsets never depend on what is marked.
//
// A button with `name="op"` and the value `word`, `cut` or `evidence` takes the selection, if there
// is one; without a selection it starts a cursor that moves by words (evidence: by sentences).
import { home, placeShown, show } from "./focus.js";
import { caret, describe, offsetsOf, rangeOf, selected, textOf } from "./offsets.js";
import { readOut, say, words } from "./messages.js";

const OPERATIONS = "button[name=op][value=word], button[name=op][value=cut], button[name=op][value=evidence]";
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
const LETTER = /\p{L}/u;

// The cursor: {op, kind, id, place, units, from, to, by}; `units` are its stops, `to` is where it
// is, `from` where the extended part began. Null: no cursor.
let cursor = null;

/** Listen to clicks on the buttons of the draft, and draw the cursor again after a change. */
export function watch() {
  document.addEventListener("click", onClick, true);
  document.addEventListener("mousedown", keepSelection, true);
  document.addEventListener("selectionchange", offer);
}

/** Whether the cursor takes a key; `only` asks without doing it. */
export function takes(press, only) {
  if (!cursor || !moves(press.key)) {
    if (cursor && !only) {
      leave();
    }
    return false;
  }
  if (!only) {
    move(press);
  }
  return true;
}

const MOVES = new Set(["ArrowLeft", "ArrowRight", "Home", "End", "Escape", "Enter", "Space", "c"]);
const OWN_KEY = { word: "w", cut: "x", evidence: "e" };
const moves = (key) =>
  MOVES.has(key) || key === OWN_KEY[cursor.op] || (cursor.op === "evidence" && /^Arrow/.test(key));

function move({ key, shift, repeat }) {
  const last = cursor.units.length - 1;
  const steps = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  if (key in steps) {
    const turned = /Left|Right/.test(key) && isRightToLeft() ? -1 : 1;
    cursor.to = Math.max(0, Math.min(last, cursor.to + steps[key] * turned));
    cursor.from = shift && cursor.op !== "cut" ? cursor.from : cursor.to;
    draw();
  } else if (key === "Escape" || key === OWN_KEY[cursor.op]) {
    leave();
  } else if (key === "c") {
    changeUnits();
  } else if (!repeat) {
    mark(key === "Space");
  }
}

// The first letter of the text decides: its reading direction is also that of the words on screen.
function isRightToLeft() {
  const root = rootOfCursor();
  const letter = root && LETTER.exec(textOf(root, cursor.start, cursor.end));
  return letter !== null && RIGHT_TO_LEFT.test(letter?.[0] ?? "");
}

function changeUnits() {
  const at = cursor.units[cursor.to].start;
  const by = cursor.by === "grapheme" ? basic(cursor.op) : "grapheme";
  begin(cursor.op, { ...cursor, by, at });
}

const basic = (op) => (op === "evidence" ? "sentence" : "word");

function rootOfCursor() {
  const { kind, id } = cursor;
  return rootsOf(kind).find((root) => (root.dataset.id ?? "") === id) ?? null;
}

const rootsOf = (kind) => [...document.querySelectorAll(`#desk [data-text="${kind}"]`)];

// Start the cursor at `at`, or at the first unit.
function begin(op, { kind, id, start, end, by, at }) {
  cursor = { op, kind, id, start, end, by, place: placeShown(), units: [], from: 0, to: 0 };
  const root = rootOfCursor();
  cursor.units = root ? unitsOf(root, start, end, by) : [];
  if (op === "cut") {
    cursor.units.shift(); // a part before the first word would be empty
  }
  if (cursor.units.length === 0) {
    leave();
    say(words("nothing"));
    return;
  }
  const found = cursor.units.findIndex((unit) => unit.end > at);
  cursor.to = found < 0 ? 0 : found;
  cursor.from = cursor.to;
  home(); // not on a button, which Space and Enter would press
  say(words(`mode_${op}`));
  draw();
}

// What the cursor stops at: words, numbers and signs, not the white space between them.
function unitsOf(root, start, end, by) {
  const language = root.closest("[lang]")?.lang || undefined;
  const segmenter = new Intl.Segmenter(language, { granularity: by });
  const found = [];
  let at = start;
  for (const { segment } of segmenter.segment(textOf(root, start, end))) {
    const next = at + [...segment].length;
    if (segment.trim()) {
      found.push({ start: at, end: next });
    }
    at = next;
  }
  return found;
}

function draw() {
  const root = rootOfCursor();
  const { units, from, to, op, end } = cursor;
  const first = units[Math.min(from, to)].start;
  const last = units[Math.max(from, to)].end;
  const range = root && rangeOf(root, first, op === "cut" ? end : last);
  if (!range) {
    leave();
    return;
  }
  CSS.highlights.set(op === "cut" ? "desk-part" : "desk-cursor", new Highlight(range));
  if (op === "cut") {
    CSS.highlights.set("desk-cursor", new Highlight(rangeOf(root, first, last)));
  }
  const at = rangeOf(root, units[to].start, units[to].end);
  show(at);
  readOut(textOf(root, first, last));
}

/** End the cursor. */
export function leave() {
  if (cursor) {
    cursor = null;
    say("");
  }
  CSS.highlights.clear();
}

/** After a change of the page: the cursor stays if the same place is shown. */
export function settle() {
  offer();
  if (cursor && cursor.place === placeShown() && rootOfCursor()) {
    say(words(`mode_${cursor.op}`));
    draw();
  } else {
    leave();
  }
}

function mark(stays) {
  const { op, kind, id, units, from, to } = cursor;
  const start = units[Math.min(from, to)].start;
  const end = op === "cut" ? start : units[Math.max(from, to)].end;
  if (!stays || op === "cut") {
    leave();
  }
  send(op, { kind, id, start, end });
}

function send(op, place) {
  const button = document.querySelector(`#desk button[name=op][value=${op}]`);
  fill(place);
  button.dataset.filled = "true";
  button.click();
  delete button.dataset.filled;
}

function fill({ kind, id, start, end }) {
  const form = document.getElementById("decision");
  const values = { sel_kind: kind, sel_id: id, sel_start: start, sel_end: end };
  for (const [name, value] of Object.entries(values)) {
    form.elements.namedItem(name).value = value;
  }
}

// A press of a button must not remove the selection that it is about.
function keepSelection(event) {
  if (event.target.closest?.(`${OPERATIONS}, #desk-tools button`)) {
    event.preventDefault();
  }
}

function onClick(event) {
  const tool = event.target.closest?.("#desk-tools [data-press]");
  if (tool) {
    document.querySelector(`#desk button[name=op][value=${tool.dataset.press}]`)?.click();
    return;
  }
  const button = event.target.closest?.(OPERATIONS);
  if (button && !button.dataset.filled && !button.dataset.again && !prepare(button.value)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

// Whether the form holds a selection now and can be sent. If not, the cursor begins, or the fault
// of the selection is shown.
function prepare(op) {
  const place = placeOfForm();
  const found = selected();
  const fault = found.problem === "none" ? null : (found.problem ?? wrongPlace(op, found, place));
  leave();
  if (fault) {
    say(words(fault), { error: true });
  } else if (op !== "cut" && !found.problem) {
    fill(found);
    document.getSelection().removeAllRanges();
    return true;
  } else if (op === "evidence") {
    beginInDocument();
  } else {
    const at = found.problem ? (caret()?.start ?? 0) : found.start;
    begin(op, { kind: "response", id: idOfResponse(), ...place, by: "word", at });
  }
  return false;
}

const idOfResponse = () => rootsOf("response")[0]?.dataset.id ?? "";

function placeOfForm() {
  const value = (name) => Number(document.getElementById("decision")?.elements.namedItem(name)?.value);
  return { start: value("start"), end: value("end") };
}

// A selection that reaches outside the current sentence is reported, never cut to fit.
function wrongPlace(op, found, { start, end }) {
  if (op === "evidence") {
    return found.kind === "document" ? null : "not_document";
  }
  if (found.kind !== "response") {
    return "not_response";
  }
  const root = rootsOf("response").find((one) => (one.dataset.id ?? "") === found.id);
  const inner = { start: Math.max(start, found.start), end: Math.min(end, found.end) };
  const outside = [
    textOf(root, found.start, Math.max(found.start, Math.min(found.end, start))),
    textOf(root, Math.min(found.end, Math.max(end, found.start)), found.end),
  ];
  return inner.start >= inner.end || outside.some((text) => text.trim()) ? "outside" : null;
}

function beginInDocument() {
  const root = rootsOf("document")[0];
  if (!root) {
    say(words("no_document"));
    return;
  }
  const { id, start, end } = describe(root);
  const at = startOf(root.querySelector("[data-scroll]"), root) ?? start;
  begin("evidence", { kind: "document", id, start, end, by: "sentence", at });
}

// Where an element of a text begins.
function startOf(element, root) {
  if (!element) {
    return null;
  }
  const range = document.createRange();
  range.selectNodeContents(element);
  return offsetsOf(range, root).start;
}

// The tools next to a selection by mouse.
function offer() {
  const tools = document.getElementById("desk-tools");
  if (!tools) {
    return;
  }
  const found = document.getElementById("decision") ? selected() : { problem: "none" };
  const op = found.kind === "document" ? "evidence" : "word";
  const fits = !found.problem && wrongPlace(op, found, placeOfForm()) === null;
  tools.hidden = !fits;
  for (const button of tools.querySelectorAll("[data-press]")) {
    button.hidden = button.dataset.press !== op;
  }
  if (fits) {
    const box = document.getSelection().getRangeAt(0).getBoundingClientRect();
    tools.style.top = `${Math.max(4, box.bottom + 4)}px`;
    tools.style.left = `${Math.max(4, Math.min(box.right, innerWidth - tools.offsetWidth - 4))}px`;
  }
}

