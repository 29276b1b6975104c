// Everything shown goes through here, as text: some of it was chosen by attackers.

const $ = (id) => document.getElementById(id);

/** Makes an element; children are elements or text. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

/** Makes an element of a drawing. */
function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Sets a text, and leaves what is the same alone: selections and screen readers stay where they are. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function hide(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/**
 * Makes a list's children those of the items, by key. While somebody points at or tabs through it, the order stays.
 * `make` makes an element, `update` fills it in.
 */
function keep(list, items, key, make, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const busy = list.contains(document.activeElement) || list.matches(":hover");
  let before = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let element = old.get(name);
    const known = element !== undefined;
    if (!known) {
      element = make(item);
      element.dataset.key = name;
    }
    old.delete(name);
    update(element, item);
    if (element === before) before = before.nextElementSibling;
    else if (!known || !busy) list.insertBefore(element, before);
  }
  for (const gone of old.values()) gone.remove();
}

/** A link to the story of an address or network. */
function toStory(network) {
  const shown = named(network);
  const address = network.split("/")[0];
  return h("a", { href: `#/address/${address}`, class: "address" }, shown);
}

/** A command to type, with a button that copies it. */
function command(text, what) {
  const done = h("span", { class: "copied", role: "status" });
  const button = h("button", { type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  const code = h("code", {}, text);
  button.addEventListener("click", async () => {
    say(done, (await copy(text, code)) ? "Copied" : "Press Ctrl+C");
    setTimeout(() => say(done, ""), 3000);
  });
  return h(
    "li",
    { "data-key": text },
    h("span", { class: "what" }, what),
    h("span", { class: "typed" }, code, button, done),
  );
}

/** Copies a text, or at least selects it: without TLS, browsers give the clipboard to pages of this machine alone. */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(shown);
    return false;
  }
}
