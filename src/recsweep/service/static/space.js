// The default space of each model as fields, and the spaces that they say.
import {element} from "./rows.js";

const BOUNDS = ["min", "max", "q"];
const WORDS = {min: "least", max: "most", q: "step"};
const made = new Map();

// One part for each model that is chosen, in their order; one that was edited is kept while it is not.
export function showSpaces(place, models) {
  for (const model of models) if (!made.has(model.name)) made.set(model.name, partOf(model));
  place.replaceChildren(...models.map(model => made.get(model.name)));
  if (models.length === 1) made.get(models[0].name).open = true;
}

function partOf(model) {
  const names = model.variants.length ? [] : Object.keys(model.space);
  const shown = names.length
    ? element("div", {class: "fields"}, ...names.map(name => fieldsOf(model, name)))
    : element("p", {class: "soft"}, "These are several models; their own spaces are searched, as their files say.");
  return element("details", {"data-model": model.name, "data-field": `search_spaces.${model.name}`},
    element("summary", {}, model.name), shown);
}

function fieldsOf(model, name) {
  const parameter = model.space[name], start = model.defaults[name];
  const box = element("input", {type: "checkbox", checked: "", "data-searched": name});
  const field = `search_spaces.${model.name}.${name}`;
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

// By model; one whose space is unchanged is left out, for it is the model's own.
export function readSpaces(models) {
  const changed = {};
  for (const model of models) {
    const space = spaceOf(made.get(model.name), model);
    if (space) changed[model.name] = space;
  }
  return changed;
}

function spaceOf(part, model) {
  const searched = {};
  let changed = false;
  for (const set of part.querySelectorAll("[data-parameter]")) {
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
