import {ask, mayWrite} from "./session.js";
import {duration, element, number, put, rows, tellState, words} from "./rows.js";
import {bars, lines, missing} from "./charts.js";
import {buttons} from "./actions.js";

const EVERY = 3000, SOON = 300, CURVES = 8;
const OVER = ["paused", "cancelled", "completed", "failed"];
const by = id => document.getElementById(id);
const id = by("job").dataset.id;
const curves = new Map();
let weighed = -1, pages = 1, waiting = 0, polling = 0, looking = false, heard = 0, status = "";

function summary(job) {
  const {done, total, running, failed, pruned} = job.progress;
  const parts = [`${done} of ${total ?? "?"} trials`];
  for (const [count, word] of [[running, "running"], [failed, "failed"], [pruned, "pruned"]]) {
    if (count) parts.push(`${count} ${word}`);
  }
  return parts.join(", ");
}

function showBest(job) {
  const found = job.studies.filter(study => study.best);
  if (!found.length) return;
  by("best").replaceChildren(...found.map(study => {
    const list = element("dl", {}, element("dt", {}, study.metric), element("dd", {}, number(study.best.score)),
      element("dt", {}, "trial"), element("dd", {}, `${study.best.slot} of ${study.study}`));
    for (const [name, value] of Object.entries(study.best.params)) {
      list.append(element("dt", {}, name), element("dd", {}, Array.isArray(value) ? JSON.stringify(value) : number(value)));
    }
    return list;
  }));
}

const keyOf = trial => `${trial.study} ${trial.slot}`;
const partsOf = (told, slot) => JSON.stringify([told.dataset, told.model, told.phase, slot]);

// The answer has the last trials alone; those before come page by page, as they are asked for.
async function withEarlier(job) {
  let before = job.trials_before;
  for (let page = 1; page < pages && before; page++) {
    const answer = await ask("GET", `jobs/${id}/trials?limit=100&before=${before}`);
    job.trials.unshift(...answer.trials);
    before = answer.previous;
  }
  by("earlier").hidden = !before;
  return job;
}

function showTrials(job) {
  const several = job.studies.length > 1;
  const make = () => element("tr", {}, ...["", "", "number", "number", "number", "words"].map(kind => element("td", {class: kind})));
  rows(by("trials"), job.trials, keyOf, make, (row, trial) => {
    const [name, state, score, epochs, seconds, params] = row.children;
    put(name, several ? `${trial.study} ${trial.slot}` : String(trial.slot));
    tellState(state, trial.state);
    put(score, number(trial.score));
    put(epochs, number(trial.epochs));
    put(seconds, trial.seconds === null ? "" : trial.seconds.toFixed(1));
    put(params, words(trial.params) + (trial.reason ? ` (${trial.reason})` : ""));
  });
}

function showHistory(job, scores) {
  if (!scores.length) return missing(by("history"), "No trial has come to a score yet.");
  const found = job.studies.find(study => study.best)?.best.score;  // the lowest, where less is better
  const less = scores.some(score => score > found) && scores.every(score => score >= found);
  const better = less ? Math.min : Math.max;
  const points = scores.map((score, place) => [place, score]);
  let best = scores[0];
  const sofar = points.map(([place, score]) => [place, best = better(best, score)]);
  lines(by("history"), [{points: sofar, kind: "best"}, {points, dots: true}],
    `${points.length} trials; the best so far is ${number(best)}`, "trial");
}

function showCurves(job) {
  const studies = new Map(job.studies.map(study => [study.study, study]));
  const curveOf = trial => curves.get(partsOf(studies.get(trial.study), trial.slot));
  const known = job.trials.filter(curveOf);
  const best = new Set(job.studies.filter(study => study.best).map(study => `${study.study} ${study.best.slot}`));
  const first = known.filter(trial => best.has(keyOf(trial)) || trial.state === "running");
  const shown = [...first, ...known.filter(trial => !first.includes(trial)).reverse()].slice(0, CURVES);
  const series = shown.map(trial => ({
    points: [...curveOf(trial)].filter(point => point[1] !== null).sort((a, b) => a[0] - b[0]),
    kind: trial.state === "running" ? "now" : best.has(keyOf(trial)) ? "best" : "",
  })).filter(one => one.points.length);
  if (!series.length) return missing(by("curves"), "No epoch was validated yet.");
  lines(by("curves"), series.reverse(), `Learning curves of ${series.length} trials`, "epoch");
}

async function showResults(job) {
  const done = job.progress.done;
  if (done === weighed) return;
  weighed = done;
  const {scores} = await ask("GET", `/jobs/${id}/scores`);
  showHistory(job, scores);
  const {studies} = await ask("GET", `/jobs/${id}/importance`);
  if (!studies.length) return missing(by("importance"), "It can be said once two trials are complete.");
  const parts = studies.map(study => {
    const part = element("div", {}, ...(studies.length > 1 ? [element("p", {}, study.study)] : []));
    const place = element("div");
    if (study.why) missing(place, study.why);
    else bars(place, study.shares, `Importance in ${study.study}: ` + study.shares.map(([name, share]) => `${name} ${(share * 100).toFixed(0)} %`).join(", "));
    part.append(place);
    return part;
  });
  by("importance").replaceChildren(...parts);
}

function show(job) {
  status = job.status;
  put(by("state"), job.status);
  by("state").dataset.state = job.status;
  put(by("about"), `${job.engine}, ${job.algo}, by ${job.metric_name}; ${job.models.join(", ")} on ${job.datasets.join(", ")}`);
  put(by("error"), job.error || "");
  by("progress").value = job.progress.share ?? 0;
  put(by("said"), summary(job));
  put(by("eta"), job.eta_seconds ? `About ${duration(job.eta_seconds)} left.` : "");
  for (const button of document.querySelectorAll("[data-action]")) {
    button.hidden = !mayWrite || !job.allowed.includes(button.dataset.action);
  }
  showBest(job);
  showTrials(job);
  showCurves(job);
}

async function look() {
  if (looking) return soon();
  looking = true;
  try {
    const job = await withEarlier(await ask("GET", `jobs/${id}`));
    show(job);
    await showResults(job);
    put(by("live"), polling ? "Looked at every few seconds." : OVER.includes(status) ? "" : "Live.");
  } catch (refused) {
    put(by("live"), refused.message);
    if (refused.status === 404) location.assign("/");
  } finally {
    looking = false;
  }
}

function soon() {
  waiting ||= setTimeout(() => { waiting = 0; look(); }, SOON);
}

// Where the stream of events breaks for good, the job is looked at every few seconds until it comes again.
function listen() {
  const stream = new EventSource(`/api/tuning/jobs/${id}/events?after=${heard}`);
  stream.onopen = () => { clearInterval(polling); polling = 0; soon(); };
  const hear = event => { heard = Number(event.lastEventId) || heard; soon(); };
  for (const kind of ["job", "trial.started", "trial.ended", "trial.back"]) stream.addEventListener(kind, hear);
  stream.addEventListener("trial.started", event => {  // its slot begins anew
    const told = JSON.parse(event.data);
    curves.delete(partsOf(told, told.slot));
  });
  stream.addEventListener("trial.epoch", event => {
    const told = JSON.parse(event.data);
    const key = partsOf(told, told.slot);
    if (!curves.has(key)) curves.set(key, new Map());
    curves.get(key).set(told.epoch, told.score);
    hear(event);
  });
  stream.addEventListener("end", () => { stream.close(); soon(); });
  stream.onerror = () => {
    if (!polling) polling = setInterval(look, EVERY);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => { if (!OVER.includes(status)) listen(); }, EVERY * 2);
  };
  return stream;
}

buttons(id, async action => {
  await look();
  if (action !== "delete" && !OVER.includes(status)) { stream.close(); stream = listen(); }
});
by("earlier").addEventListener("click", () => { pages += 1; look(); });
let stream = listen();
look();
