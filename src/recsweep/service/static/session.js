// The API as these pages ask it, and the end of a session.
const API = "/api/tuning";

export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail || `the answer was ${status}`);
    this.problem = problem;
    this.status = status;
    this.mistakes = problem.errors || [];
  }
}

export async function ask(method, path, body) {
  const options = {method, headers: {Accept: "application/json"}};
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path.startsWith("/") ? path : `${API}/${path}`, options);
  } catch {
    throw new Refused({detail: "The service does not answer; the page tries again."}, 0);
  }
  if (answer.status === 401 && location.pathname !== "/login") location.assign("/login");
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(told, answer.status);
  return told;
}

export const mayWrite = document.body.dataset.role === "write";

document.getElementById("logout")?.addEventListener("click", async () => {
  await ask("POST", "/logout");
  location.assign("/login");
});

// Until now a click was heard by nobody, and a form sent as it stands would have put its fields into an address.
for (const control of document.querySelectorAll("[data-waits]")) control.disabled = false;
