// Small helps; every page works without them.
"use strict";

// A second press of a button must not send a form twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  const question = event.submitter && event.submitter.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  const button = event.submitter;
  // Later, so that the button's own value is sent.
  if (button) setTimeout(() => { button.disabled = true; button.dataset.pressed = "1"; });
});

// Pages kept by the browser for "back" may be sent anew.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  document.querySelectorAll("[data-pressed]").forEach((button) => {
    button.disabled = false;
    delete button.dataset.pressed;
  });
});

// While something is under way, the parts of the page that tell of it are fetched anew every two seconds.
document.addEventListener("input", (event) => {
  const part = event.target.closest("[data-part]");
  if (part) part.dataset.touched = "1";
});

function follow(rounds) {
  const source = document.querySelector("[data-refresh]");
  if (!source || !rounds) return;
  setTimeout(async () => {
    try {
      const answer = await fetch(source.dataset.refresh);
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelectorAll("[data-part]").forEach((part) => {
        const next = fresh.getElementById(part.id);
        // What somebody is filling in, or just sent, stays as it is.
        if (!next || part.dataset.touched || part.querySelector("form[data-sent], :focus")) return;
        part.replaceWith(document.adoptNode(next));
      });
    } catch {
      // The network may come back.
    }
    follow(rounds - 1);
  }, 2000);
}

follow(30);
