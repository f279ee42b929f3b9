import {ask} from "./session.js";

const form = document.getElementById("login");
const input = form.elements.token;
const trouble = document.getElementById("token-trouble");
input.focus();
form.addEventListener("submit", async event => {
  event.preventDefault();
  trouble.textContent = "";
  try {
    await ask("POST", "/login", {token: input.value.trim()});
    location.assign("/");
  } catch (refused) {
    trouble.textContent = refused.status === 401 ? "That is no token of this service." : refused.message;
    input.setAttribute("aria-invalid", "true");
    input.select();
    input.focus();
  }
});
