// Elements made of texts (nothing is ever read as HTML), and rows that keep the focus while they change.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function state(word) {
  return element("span", {class: "state", "data-state": word}, word);
}

// Rows by key, in the order of `items`; a row is made once and then only told what is new.
export function rows(body, items, key, make, tell) {
  const known = new Map([...body.children].map(row => [row.dataset.key, row]));
  items.forEach((item, place) => {
    const name = key(item);
    let row = known.get(name);
    if (!row) {
      row = make(item);
      row.dataset.key = name;
    }
    known.delete(name);
    tell(row, item);
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
  });
  for (const row of known.values()) row.remove();
}

export function tellState(cell, word) {
  const badge = cell.querySelector(".state");
  if (badge?.dataset.state !== word) cell.replaceChildren(state(word));
}

export function number(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
}

export function words(params) {
  return Object.entries(params).map(([name, value]) => `${name} ${Array.isArray(value) ? JSON.stringify(value) : number(value)}`).join(", ");
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}
