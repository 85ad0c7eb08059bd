"use strict";
// What stands behind the # of the link is read here and sent nowhere but in the request below.
const given = new URLSearchParams(location.hash.slice(1));
const form = document.getElementById("reset");
const outcome = document.getElementById("outcome");
form.elements.email.value = given.get("email") ?? "";

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.elements.password.value !== form.elements.again.value) {
    outcome.textContent = "The two passwords differ.";
    return;
  }
  const body = {
    token: given.get("token") ?? "",
    email: form.elements.email.value,
    newPassword: form.elements.password.value,
  };
  try {
    const answer = await fetch("api/auth/reset-password", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    outcome.textContent = (await answer.json()).message;
    form.hidden = answer.ok;
  } catch {
    outcome.textContent = "The service could not be reached. Try again.";
  }
});
