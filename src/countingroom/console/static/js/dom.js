// Helpers for the DOM. Text of devices, users and logs is set as text, never as HTML, and a node is written only when
// it changes.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// A path, address or formula that may go on in the next line after each of its parts.
export const breakable = (text) => text.split(/(?<=[._/(,])/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));

export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

export function setClass(node, name) {
  if (node && node.className !== name) node.className = name;
}

export function svg(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export const data = JSON.parse($("#data").textContent);
