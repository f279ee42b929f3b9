import {ask} from "./session.js";
import {put} from "./rows.js";
import {readSpaces, showSpaces} from "./space.js";

const form = document.getElementById("new");
const trouble = document.getElementById("trouble");
const told = document.getElementById("told");
const spaces = document.getElementById("spaces");
const ONE = {datasets: "dataset", models: "model"};
let models = [];

// Choices that the chosen engine lacks are not offered.
function followEngine() {
  const engine = form.elements.engine;
  const chosen = engine.value || engine.dataset.leftOut;
  for (const option of form.querySelectorAll("option[data-engines]")) {
    option.hidden = option.disabled = !option.dataset.engines.split(" ").includes(chosen);
  }
  for (const select of form.querySelectorAll("select")) {
    if (!select.selectedOptions[0]?.disabled) continue;
    select.value = [...select.options].find(option => !option.disabled).value;
  }
}

function boxes(kind) {
  return [...form.querySelectorAll(`input[name=${kind}]`)];
}

function chosen(kind) {
  return boxes(kind).filter(box => box.checked).map(box => box.value);
}

function chosenModels() {
  return chosen("models").map(name => models.find(model => model.name === name)).filter(Boolean);
}

function asked() {
  const job = {};
  for (const input of form.querySelectorAll(".field[data-field] > [name]")) {
    const text = input.value.trim();
    if (text === "" && input.name !== "name") continue;
    const value = "number" in input.dataset && text !== "" && !isNaN(Number(text)) ? Number(text) : text;
    const [name, inner] = input.name.split(".");
    if (inner) (job[name] ??= {})[inner] = value;
    else job[name] = value;
  }
  for (const [kind, one] of Object.entries(ONE)) {
    const names = chosen(kind);
    if (names.length === 1) job[one] = names[0];
    else if (names.length) job[kind] = names;
  }
  const searched = readSpaces(chosenModels());
  if (job.model && searched[job.model]) job.search_space = searched[job.model];
  else if (Object.keys(searched).length) job.search_spaces = searched;
  return job;
}

// The field of this form that a field of the request is told at.
function fieldOf(name) {
  const [first, ...rest] = name.split(".");
  const [only] = chosen("models");
  if (first === "search_space" && only) return ["search_spaces", only, ...rest].join(".");
  const kind = Object.keys(ONE).find(one => ONE[one] === first);
  return kind ? [kind, ...rest].join(".") : name;
}

function clear() {
  put(trouble, "");
  put(told, "");
  for (const one of form.querySelectorAll(".trouble.own")) one.remove();
  for (const one of form.querySelectorAll("[aria-invalid]")) {
    one.removeAttribute("aria-invalid");
    one.setAttribute("aria-describedby", one.dataset.help || "");
  }
}

// The input of a field, or of the nearest one that it stands in.
function inputOf(field) {
  const parts = fieldOf(field).split(".");
  for (let length = parts.length; length; length--) {
    const name = CSS.escape(parts.slice(0, length).join("."));
    const place = form.querySelector(`[data-field="${name}"]`);
    const input = place?.matches("input, select") ? place : place?.querySelector("[data-part]") || place?.querySelector("input, select");
    if (input) return pick(input, place, parts.slice(length)[0]);
  }
  return null;
}

// Of several boxes that one that is to blame: `models.1` is the second of those that are chosen.
function pick(input, place, position) {
  if (place.matches("details")) place.open = true;
  input.closest("details")?.setAttribute("open", "");
  const one = position && input.type === "checkbox" ? chosen(input.name)[Number(position)] : undefined;
  return (one && boxes(input.name).find(box => box.value === one)) || input;
}

function complain(refused) {
  const elsewhere = [];
  let first = null;
  refused.mistakes.forEach((mistake, place) => {
    const input = inputOf(mistake.field), text = `${mistake.problem}; ${mistake.fix}`;
    if (!input) return elsewhere.push(`${mistake.field}: ${text}`);
    const said = document.createElement("p");
    said.id = `mistake-${place}`;
    said.className = "trouble own";
    said.textContent = text;
    input.closest(".field, fieldset").append(said);
    input.dataset.help ??= input.getAttribute("aria-describedby") || "";
    input.setAttribute("aria-describedby", `${input.dataset.help} ${said.id}`.trim());
    input.setAttribute("aria-invalid", "true");
    first ??= input;
  });
  const count = refused.mistakes.length;
  put(trouble, elsewhere.join(" ") || (count ? `${count === 1 ? "One field is" : `${count} fields are`} wrong.` : refused.message));
  (first || trouble).focus();
}

async function check() {
  clear();
  const plan = await ask("POST", "validate", asked());
  const studies = plan.studies.map(study => `${study.study}: ${study.trials} trials`).join("; ");
  put(told, [`It would run ${plan.trials} trials with ${plan.engine}, ${plan.algo} (${studies}).`, ...plan.remarks].join(" "));
}

async function make() {
  await check();
  const job = await ask("POST", "jobs", asked());
  if (document.getElementById("at-once").checked) await ask("POST", `jobs/${job.id}/start`);
  location.assign(`/jobs/${job.id}`);
}

let busy = false;
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (refused) {
    if (!refused.mistakes) throw refused;
    complain(refused);
  } finally {
    busy = false;
  }
}

form.addEventListener("submit", event => { event.preventDefault(); alone(make); });
document.getElementById("check").addEventListener("click", () => alone(check));
form.elements.engine.addEventListener("change", followEngine);
followEngine();
for (const box of boxes("models")) box.addEventListener("change", () => { clear(); showSpaces(spaces, chosenModels()); });
alone(async () => {
  ({models} = await ask("GET", "models"));
  const plain = models.find(model => !model.variants.length);
  for (const box of [boxes("datasets")[0], boxes("models").find(one => one.value === plain?.name)]) if (box) box.checked = true;
  showSpaces(spaces, chosenModels());
  form.setAttribute("data-ready", "yes");  // `form.dataset` is the field of that name
});
