// The buttons of a job: stop, go on, delete after a question, copy.
import {ask} from "./session.js";
import {put} from "./rows.js";

const by = id => document.getElementById(id);

export function buttons(id, done) {
  async function act(action) {
    try {
      await (action === "delete" ? ask("DELETE", `jobs/${id}`) : ask("POST", `jobs/${id}/${action}`));
      if (action === "delete") return location.assign("/");
    } catch (refused) {
      put(by("message"), refused.message);
    }
    await done(action);
    // The button that was pressed may be gone: the focus stays with its neighbours.
    if (document.activeElement === document.body) document.querySelector("#actions button:not([hidden])")?.focus();
  }
  for (const button of document.querySelectorAll("[data-action]")) {
    const action = button.dataset.action;
    button.addEventListener("click", () => action === "delete" ? by("sure").showModal() : act(action));
  }
  by("no").addEventListener("click", () => by("sure").close());
  by("yes").addEventListener("click", () => { by("sure").close(); act("delete"); });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(by(button.dataset.copy), button.textContent.replace("Copy as ", "")));
  }
}

async function copy(source, what) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    put(by("message"), `Copied as ${what}.`);
  } catch {  // no secure context, or not allowed: it is marked instead, for Ctrl-C
    source.closest("details").open = true;
    getSelection().selectAllChildren(source);
    source.focus();
    put(by("message"), "It is marked; copy it with Ctrl-C.");
  }
}
