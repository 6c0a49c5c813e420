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

// What somebody is filling in stays as it is when its part of the page is fetched anew.
document.addEventListener("input", (event) => {
  const part = event.target.closest("[data-part]");
  if (part) part.dataset.touched = "1";
});

async function refresh(address) {
  const answer = await fetch(address);
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelectorAll("[data-part]").forEach((part) => {
    const next = fresh.getElementById(part.id);
    if (!next || next.isEqualNode(part)) return;
    if (part.dataset.touched || part.querySelector("form[data-sent], :focus")) return;
    part.replaceWith(document.adoptNode(next));
  });
}

// Parts of the page are fetched anew: every two seconds for a minute while something is under way (data-refresh), every
// five seconds as long as somebody looks at what others change (data-watch).
function follow(rounds) {
  const hurried = rounds && document.querySelector("[data-refresh]");
  const watched = document.querySelector("[data-watch]");
  if (!hurried && !watched) return;
  setTimeout(async () => {
    try {
      if (hurried) await refresh(hurried.dataset.refresh);
      else if (!document.hidden) await refresh(watched.dataset.watch);
    } catch {
      // The network may come back.
    }
    follow(hurried ? rounds - 1 : rounds);
  }, hurried ? 2000 : 5000);
}

follow(30);
