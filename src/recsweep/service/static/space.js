// The default space of a model as fields, and the space that they say.
import {element} from "./rows.js";

const BOUNDS = ["min", "max", "q"];
const WORDS = {min: "least", max: "most", q: "step"};

export function showSpace(place, model) {
  const names = model && !model.variants.length ? Object.keys(model.space) : [];
  document.getElementById("space-note").textContent = names.length ? "" :
    "This model's own space is searched as its file says.";
  place.replaceChildren(...names.map(name => fieldsOf(name, model.space[name], model.defaults[name])));
}

function fieldsOf(name, parameter, start) {
  const box = element("input", {type: "checkbox", checked: "", "data-searched": name});
  const field = `search_space.${name}`;
  const legend = element("legend", {}, element("label", {class: "check"}, box, name));
  const about = element("p", {class: "soft"}, `${parameter.type}; starts at ${JSON.stringify(start)}` +
    (parameter.when ? `; only when ${JSON.stringify(parameter.when)}` : ""));
  const set = element("fieldset", {"data-parameter": name, "data-field": field}, legend, about);
  if (parameter.values) {
    const shown = JSON.stringify(parameter.values).slice(1, -1);
    const input = element("input", {class: "wide-input", "data-field": `${field}.values`, "data-part": "values", value: shown});
    set.append(element("label", {}, "values", input));
  } else {
    const pair = element("div", {class: "pair"});
    for (const bound of BOUNDS.filter(one => parameter[one] !== undefined && parameter[one] !== null)) {
      const input = element("input", {"data-field": `${field}.${bound}`, "data-part": bound, value: String(parameter[bound])});
      pair.append(element("label", {}, WORDS[bound], input));
    }
    set.append(pair);
  }
  box.addEventListener("change", () => {
    for (const input of set.querySelectorAll("[data-part]")) input.disabled = !box.checked;
  });
  return set;
}

// Null: the model's own space, unchanged.
export function readSpace(place, model) {
  const searched = {};
  let changed = false;
  for (const set of place.querySelectorAll("[data-parameter]")) {
    const name = set.dataset.parameter, parameter = structuredClone(model.space[name]);
    if (!set.querySelector("[data-searched]").checked) {
      changed = true;
      continue;
    }
    for (const input of set.querySelectorAll("[data-part]")) {
      const part = input.dataset.part, value = valueOf(part, input.value.trim());
      changed ||= JSON.stringify(value) !== JSON.stringify(parameter[part]);
      parameter[part] = value;
    }
    searched[name] = parameter;
  }
  return changed ? searched : null;
}

function valueOf(part, text) {
  if (part !== "values") return text !== "" && !isNaN(Number(text)) ? Number(text) : text;
  try {
    return JSON.parse(`[${text}]`);
  } catch {
    return text.split(",").map(word => word.trim());
  }
}
