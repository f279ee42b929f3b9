import {ask} from "./session.js";
import {element, number, put, rows, tellState} from "./rows.js";

const EVERY = 2000;
const body = document.getElementById("jobs");
const select = document.getElementById("state");
const older = document.getElementById("older");
const trouble = document.getElementById("trouble");
let pages = 1;

function make(job) {
  const link = element("a", {href: `/jobs/${job.id}`});
  return element("tr", {}, element("td", {}, link), ...Array.from({length: 6}, () => element("td")));
}

function tell(row, job) {
  const [name, state, datasets, models, trials, best, made] = row.children;
  put(name.firstChild, job.name);
  tellState(state, job.status);
  put(datasets, job.datasets.join(", "));
  put(models, job.models.join(", "));
  trials.className = "number";
  put(trials, job.progress.total === null ? "" : `${job.progress.done} of ${job.progress.total}`);
  best.className = "number";
  put(best, number(job.best_score));
  put(made, new Date(job.created).toLocaleString());
}

async function look() {
  const found = [];
  let after = null;
  for (let page = 0; page < pages; page++) {
    const asked = new URLSearchParams({limit: "50"});
    if (select.value) asked.set("status", select.value);
    if (after) asked.set("after", after);
    const answer = await ask("GET", `jobs?${asked}`);
    found.push(...answer.jobs);
    after = answer.next;
    if (!after) break;
  }
  older.hidden = !after;
  rows(body, found, job => job.id, make, tell);
  const running = found.filter(job => job.status === "running").length;
  const more = after ? "the newest " : "";
  put(document.getElementById("count"), `${more}${found.length} ${found.length === 1 ? "job" : "jobs"}, ${running} running`);
}

let timer = 0;
async function again() {
  clearTimeout(timer);
  try {
    if (!document.hidden) await look();
    put(trouble, "");
  } catch (refused) {
    put(trouble, refused.message);
  }
  clearTimeout(timer);
  timer = setTimeout(again, EVERY);
}

select.addEventListener("change", () => { pages = 1; again(); });
older.addEventListener("click", () => { pages += 1; again(); });
document.addEventListener("visibilitychange", again);
again();
