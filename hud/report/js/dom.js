// Elements. Text becomes text and nothing else: what the target is called can never be markup.

const SVG = "http://www.w3.org/2000/svg";

function el(name, attributes, ...content) {
  return filled(document.createElement(name), attributes, content);
}

function svg(name, attributes, ...content) {
  return filled(document.createElementNS(SVG, name), attributes, content);
}

function filled(element, attributes, content) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...content.filter((one) => one !== null && one !== ""));
  return element;
}

function one(selector, inside = document) {
  return inside.querySelector(selector);
}

function button(text, does, attributes) {
  const made = el("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", does);
  return made;
}

// The policy forbids style attributes; properties are allowed.
function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

const DATA = JSON.parse(one("#data").textContent);
