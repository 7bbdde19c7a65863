// The start of the desk's scripts: settings of htmx, and who listens to what.
//
// The rule: a page works without this file, by links and buttons; the scripts add keys, selections
// and the focus. Nothing is stored in the browser.
import { watch as watchDialogs } from "./dialogs.js";
import { keep, settle as settleFocus } from "./focus.js";
import { watch as watchKeys } from "./keys.js";
import { changed } from "./messages.js";
import * as words from "./words.js";

Object.assign(window.htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
  defaultSettleDelay: 0,
  attributesToSettle: [], // copying a style that an extension set would break the policy
  scrollIntoViewOnBoost: false,
});

watchKeys(words);
words.watch();
watchDialogs();
document.addEventListener("htmx:beforeSwap", (event) => event.detail.shouldSwap && keep());
document.addEventListener("htmx:afterSettle", () => {
  changed();
  settleFocus();
  words.settle();
});
settleFocus();
