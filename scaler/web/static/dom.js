// Elements are made here and nowhere else, and text goes in as text: what a tenant calls itself is never markup.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== ""));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const signatures = new WeakMap();

// Replaces the children only when what they are made from has changed, so that nothing flickers or loses its focus.
export function renderInto(container, source, make) {
  const signature = JSON.stringify(source);
  if (signatures.get(container) === signature) return;
  signatures.set(container, signature);
  const made = make();
  container.replaceChildren(...(Array.isArray(made) ? made : [made]).filter((child) => child != null));
}
