// Small pictures in SVG. Their colours are the style's, so that they turn dark with the page.
const SPACE = "http://www.w3.org/2000/svg";
const WIDE = 440, HIGH = 220, LEFT = 56, RIGHT = 12, TOP = 10, FOOT = 30;

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function short(value) {
  return String(Number(value.toPrecision(3)));
}

function picture(place, label, high, shapes) {
  place.replaceChildren(shape("svg", {viewBox: `0 0 ${WIDE} ${high}`, role: "img", "aria-label": label}, ...shapes));
}

export function missing(place, why) {
  if (place.textContent === why && !place.querySelector("svg")) return;
  const told = document.createElement("p");
  told.textContent = why;
  place.replaceChildren(told);
}

// Lines and dots over whole numbers: series of {points: [[x, y]], kind, dots}.
export function lines(place, series, label, foot) {
  const points = series.flatMap(one => one.points);
  if (!points.length) return missing(place, "Nothing to draw yet.");
  const [xs, ys] = [points.map(point => point[0]), points.map(point => point[1])];
  const [x0, x1] = [Math.min(...xs), Math.max(...xs, Math.min(...xs) + 1)];
  let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
  if (y0 === y1) [y0, y1] = [y0 - Math.abs(y0 || 1) * 0.1, y1 + Math.abs(y1 || 1) * 0.1];
  const x = value => LEFT + (value - x0) / (x1 - x0) * (WIDE - LEFT - RIGHT);
  const y = value => HIGH - FOOT - (value - y0) / (y1 - y0) * (HIGH - TOP - FOOT);
  const shapes = [];
  for (const value of [y0, (y0 + y1) / 2, y1]) {
    shapes.push(shape("line", {class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value)}));
    shapes.push(shape("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, short(value)));
  }
  for (const [value, anchor] of [[x0, "start"], [x1, "end"]]) {
    shapes.push(shape("text", {x: x(value), y: HIGH - 8, "text-anchor": anchor}, String(value)));
  }
  shapes.push(shape("text", {x: (LEFT + WIDE) / 2, y: HIGH - 8, "text-anchor": "middle"}, foot));
  for (const one of series) {
    if (one.dots || one.points.length === 1) {
      for (const point of one.points) shapes.push(shape("circle", {class: "dot", r: 3, cx: x(point[0]), cy: y(point[1])}));
    } else {
      const path = one.points.map(point => `${x(point[0])},${y(point[1])}`).join(" ");
      shapes.push(shape("polyline", {class: `line ${one.kind || ""}`, points: path}));
    }
  }
  picture(place, label, HIGH, shapes);
}

// A bar for each [name, share].
export function bars(place, shares, label) {
  const shapes = [], longest = Math.max(...shares.map(row => row[1]), 1e-9);
  shares.forEach(([name, share], place) => {
    const top = 6 + place * 36;
    shapes.push(shape("text", {class: "name", x: 0, y: top + 10}, `${name}: ${(share * 100).toFixed(0)} %`));
    shapes.push(shape("rect", {class: "bar-of", x: 0, y: top + 15, height: 10, width: Math.max(1, share / longest * WIDE)}));
  });
  picture(place, label, 12 + shares.length * 36, shapes);
}
