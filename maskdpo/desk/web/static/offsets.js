// Where a selection is in a text, in code points of the text as it is in the file.
//
// The rule: the text nodes of an element with `data-text`, joined, are the text from its
// `data-start` to its `data-end`. Nothing else is read: no layout, no rendered text.
//
// A boundary outside the text is moved to its nearer end. A boundary inside a grapheme cluster (a
// base with combining marks, an emoji of several code points, CR LF) is moved outwards, so that a
// cluster is never cut; a boundary where a sentence starts or ends is never moved. White space is
// kept as selected: the server trims it.

const clusters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The element with `data-text` that holds this node, or null. */
export function rootOf(node) {
  const element = node instanceof Element ? node : node?.parentElement;
  return element?.closest("[data-text]") ?? null;
}

/** The number of code points of a string; a surrogate without its partner counts as one. */
export function countPoints(text) {
  let count = text.length;
  for (let at = 0; at + 1 < text.length; at += 1) {
    if (isPair(text, at)) {
      count -= 1;
      at += 1;
    }
  }
  return count;
}

/** The index in UTF-16 units of a code point. */
export function unitOfPoint(text, point) {
  let unit = 0;
  for (let count = 0; count < point && unit < text.length; count += 1) {
    unit += isPair(text, unit) ? 2 : 1;
  }
  return unit;
}

function isPair(text, at) {
  const first = text.charCodeAt(at);
  const second = text.charCodeAt(at + 1);
  return first >= 0xd800 && first < 0xdc00 && second >= 0xdc00 && second < 0xe000;
}

/** A text element's own numbers; `intact` is false where something in the browser changed it. */
export function describe(root) {
  const start = Number(root.dataset.start);
  const end = Number(root.dataset.end);
  const text = root.textContent;
  const intact = countPoints(text) === end - start;
  return { root, kind: root.dataset.text, id: root.dataset.id ?? "", start, end, text, intact };
}

/** The offsets of a selection: {kind, id, start, end}, or {problem}: none, several or changed. */
export function selected(selection = document.getSelection()) {
  if (!selection || selection.rangeCount === 0 || selection.isCollapsed) {
    return { problem: "none" };
  }
  const range = selection.getRangeAt(0);
  const root = rootOfSelection(selection, range);
  if (root === null) {
    return { problem: "none" };
  }
  return root === undefined ? { problem: "several" } : offsetsOf(range, root);
}

// The text in which the selection began, else the one in which it ended, else the only one in it.
function rootOfSelection(selection, range) {
  const own = rootOf(selection.anchorNode) ?? rootOf(selection.focusNode);
  if (own) {
    return own;
  }
  const inside = [...document.querySelectorAll("[data-text]")].filter((root) =>
    range.intersectsNode(root),
  );
  return inside.length > 1 ? undefined : (inside[0] ?? null);
}

/** The offsets of a range in one text. */
export function offsetsOf(range, root) {
  const place = describe(root);
  if (!place.intact) {
    return { problem: "changed" };
  }
  let from = unitsBefore(root, range.startContainer, range.startOffset);
  let to = unitsBefore(root, range.endContainer, range.endOffset);
  if (from < to) {
    from = outward(place, from, false);
    to = outward(place, to, true);
  }
  if (from >= to) {
    return { problem: "none" };
  }
  const start = place.start + countPoints(place.text.slice(0, from));
  const end = start + countPoints(place.text.slice(from, to));
  return { kind: place.kind, id: place.id, start, end };
}

/** The offset of a caret without a selection: {kind, id, start, end: start}, or null. */
export function caret(selection = document.getSelection()) {
  const root = selection?.rangeCount ? rootOf(selection.focusNode) : null;
  if (!root || !describe(root).intact) {
    return null;
  }
  const place = describe(root);
  const unit = unitsBefore(root, selection.focusNode, selection.focusOffset);
  const at = place.start + countPoints(place.text.slice(0, unit));
  return { kind: place.kind, id: place.id, start: at, end: at };
}

// UTF-16 units of the text before a boundary point; one outside the text gives its nearer end.
function unitsBefore(root, container, offset) {
  const range = document.createRange();
  range.selectNodeContents(root);
  range.setEnd(container, offset); // one before the text makes the range empty
  return Math.min(range.toString().length, root.textContent.length);
}

// The boundary itself, or the start or end of the grapheme cluster that it would cut.
function outward(place, unit, up) {
  const { text } = place;
  if (unit <= 0 || unit >= text.length) {
    return unit;
  }
  const cutsPair = isPair(text, unit - 1);
  if (!cutsPair && isBorder(place, place.start + countPoints(text.slice(0, unit)))) {
    return unit;
  }
  const cluster = clusters.segment(text).containing(unit);
  if (cluster.index === unit) {
    return unit;
  }
  return up ? cluster.index + cluster.segment.length : cluster.index;
}

function isBorder(place, point) {
  const query = `.sentence[data-start="${point}"], .sentence[data-end="${point}"]`;
  return place.root.querySelector(query) !== null;
}

/** The range in the page of code points start to end, or null where they are not shown. */
export function rangeOf(root, start, end) {
  const place = describe(root);
  if (!place.intact || start < place.start || end > place.end) {
    return null;
  }
  const from = unitOfPoint(place.text, start - place.start);
  const to = from + unitOfPoint(place.text.slice(from), end - start);
  const range = document.createRange();
  const nodes = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  let passed = 0;
  let started = false;
  for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
    if (!started && from < passed + node.length) {
      range.setStart(node, from - passed);
      started = true;
    }
    if (started && to <= passed + node.length) {
      range.setEnd(node, to - passed);
      return range;
    }
    passed += node.length;
  }
  return null;
}

/** The text of code points start to end of a text element. */
export function textOf(root, start, end) {
  const place = describe(root);
  const from = unitOfPoint(place.text, start - place.start);
  return place.text.slice(from, from + unitOfPoint(place.text.slice(from), end - start));
}
