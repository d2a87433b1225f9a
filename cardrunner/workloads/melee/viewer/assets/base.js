// Small helpers. Text reaches the page only as text nodes and attributes, never as markup.

const FRAMES_PER_SECOND = 60;
const SLOTS = ["p0", "p1"];

const byId = (id) => document.getElementById(id);

/** An HTML element; children are nodes or strings. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A bar whose filled part is set from 0 to 1; numbers say the same beside it. */
class Bar {
  constructor() {
    this.fill = element("span", { class: "fill" });
    this.node = element("span", { class: "track", "aria-hidden": "true" }, this.fill);
  }

  update(share) {
    this.fill.style.setProperty("inline-size", `${(100 * clamp(share || 0, 0, 1)).toFixed(1)}%`);
  }
}

/** Change a node's text where it differs. */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Change an attribute where it differs. */
function set(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function show(node, visible) {
  node.toggleAttribute("hidden", !visible);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Minutes, seconds and hundredths of a frame number. */
function clock(frame) {
  const seconds = Math.max(0, frame) / FRAMES_PER_SECOND;
  const whole = Math.floor(seconds);
  const hundredths = Math.floor((seconds - whole) * 100 + 1e-6);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${String(hundredths).padStart(2, "0")}`;
}

/** Do something at the first call, and answer the same ever after. */
function once(make) {
  let made;
  return () => (made ??= make());
}

function thousands(number) {
  return number.toLocaleString("en-US");
}

function plural(number, noun) {
  return `${thousands(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** One line of text that a file brought along, at most so long. */
function label(value, longest = 80) {
  const text = String(value).replace(/\s+/g, " ").trim();
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

/** ATTACK_AIR_F → Attack air f: for names that the page has no words for. */
function plainWords(name) {
  return capital(label(name).replaceAll("_", " ").toLowerCase());
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
