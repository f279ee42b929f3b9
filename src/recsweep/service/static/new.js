import {ask} from "./session.js";
import {put} from "./rows.js";
import {readSpace, showSpace} from "./space.js";

const form = document.getElementById("new");
const trouble = document.getElementById("trouble");
const told = document.getElementById("told");
const space = document.getElementById("space");
let models = [];

function known() {
  return models.find(model => model.name === form.elements.model.value);
}

function asked() {
  const job = {};
  for (const input of form.querySelectorAll(".field[data-field] > [name]")) {
    const text = input.value.trim();
    if (text === "" && input.name !== "name") continue;
    job[input.name] = "number" in input.dataset && text !== "" && !isNaN(Number(text)) ? Number(text) : text;
  }
  const searched = readSpace(space, known());
  if (searched) job.search_space = searched;
  return job;
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
  const parts = field.split(".");
  for (let length = parts.length; length; length--) {
    const name = CSS.escape(parts.slice(0, length).join("."));
    const place = form.querySelector(`[data-field="${name}"]`);
    const input = place?.matches("input, select") ? place : place?.querySelector("[data-part]") || place?.querySelector("input, select");
    if (input) return input;
  }
  return null;
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
form.elements.model.addEventListener("change", () => { clear(); showSpace(space, known()); });
alone(async () => {
  ({models} = await ask("GET", "models"));
  const plain = models.find(model => !model.variants.length);
  if (plain && known()?.variants.length) form.elements.model.value = plain.name;
  showSpace(space, known());
  form.setAttribute("data-ready", "yes");  // `form.dataset` is the field of that name
});
