// Messages of the scripts to the person, in the words of the page, read out by screen readers.
//
// The rule: the region is outside #desk, so that it stays when the page changes; a region that is
// put into a page together with its text is not read out. It shows errors and hints of the scripts;
// what the server reports in #desk is only read out.

/** A text from the words of the page, with `{name}` replaced. */
export function words(name, values = {}) {
  const texts = document.getElementById("desk-words")?.dataset ?? {};
  return Object.entries(values).reduce(
    (text, [key, value]) => text.replaceAll(`{${key}}`, String(value)),
    texts[name] ?? name,
  );
}

/** Show a message until the next change of the page. */
export function say(text, { error = false } = {}) {
  const box = document.getElementById("desk-message");
  if (box) {
    box.textContent = text;
    box.classList.toggle("error", error);
    box.hidden = text === "";
  }
}

/** Read a text out without showing it. */
export function readOut(text) {
  const region = document.getElementById("desk-live");
  if (region && text) {
    region.textContent = region.textContent === text ? `${text}\u00a0` : text;
  }
}

/** Remove the message, and read out what the server reports in the new page. */
export function changed() {
  say("");
  offerReload(false);
  const reported = document.querySelector("#desk [data-announce], #desk [role=status]");
  readOut(reported?.textContent.trim() ?? "");
}

/** Offer to load the page again, where it no longer fits the file. */
export function offerReload(offered) {
  const button = document.getElementById("desk-reload");
  if (button) {
    button.hidden = !offered;
  }
}

/** The sentence in a reply that is an error: HTML, JSON or plain text. */
export function sentenceOf(xhr) {
  const type = xhr.getResponseHeader("Content-Type") ?? "";
  if (type.startsWith("text/html")) {
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    const found = page.querySelector("[data-error], .error, [role=alert], main, body");
    return found?.textContent.trim().replace(/\s+/g, " ") ?? "";
  }
  if (type.includes("json")) {
    try {
      const body = JSON.parse(xhr.responseText);
      const text = body.error?.message ?? body.message ?? body.detail ?? "";
      return typeof text === "string" ? text : "";
    } catch {
      return "";
    }
  }
  return type.startsWith("text/plain") ? xhr.responseText.trim() : "";
}
