// Trees of DOM, and how the page becomes like a new tree without losing focus, selection or open details.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "title"]);

/** An element. `props`: attributes; `on*` are listeners, `key` tells siblings apart. Texts are never read as HTML. */
export function h(tag, props, ...children) {
  const node = DRAWN.has(tag) && tag !== "title" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node[name] = value;
    else if (name === "key") node.dataset.key = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Make `old` like `fresh`, keeping every node that can stay. */
export function become(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of ["onclick", "onsubmit", "oninput"]) old[name] = fresh[name];
  children(old, [...fresh.childNodes]);
}

/** Make the children of `parent` like these. */
export function children(parent, fresh) {
  const keyed = new Map();
  for (const node of parent.children) if (node.dataset?.key) keyed.set(node.dataset.key, node);
  let place = parent.firstChild;
  for (const wanted of fresh) {
    const key = wanted.dataset?.key;
    const twin = key ? keyed.get(key) : place;
    if (twin && alike(twin, wanted)) {
      if (twin === place) place = place.nextSibling;
      else parent.insertBefore(twin, place);
      if (twin.nodeType === Node.TEXT_NODE) {
        if (twin.data !== wanted.data) twin.data = wanted.data;
      } else become(twin, wanted);
    } else parent.insertBefore(wanted, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function alike(one, other) {
  return one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
}
