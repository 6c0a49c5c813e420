// While something runs, fetches the page again every few seconds and replaces the parts that show it. Where nothing
// changes it asks ever less often. What is watched is looked at every five seconds, whatever runs.
"use strict";

(() => {
  const FIRST_MS = 2000;
  const LONGEST_MS = 30000;
  const QUIET_MS = 5000;
  const MOST_FAILURES = 5;
  let wait = FIRST_MS;
  let failures = 0;

  async function refresh() {
    try {
      const answer = await fetch(window.location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      failures = 0;
    } catch {
      failures += 1;
    }
    later();
  }

  function show(fresh) {
    let changed = false;
    document.querySelectorAll("[data-bol-part]").forEach((part) => {
      const other = fresh.getElementById(part.id);
      if (!other || part.dataset.touched || part.querySelector(":focus, form[data-sent]")) return;
      // Each page has tokens of its own.
      other.querySelectorAll("[name=csrf_token]").forEach((token, place) => {
        const known = part.querySelectorAll("[name=csrf_token]")[place];
        if (known) token.setAttribute("value", known.getAttribute("value"));
      });
      // What somebody has unfolded stays so.
      other.querySelectorAll("details").forEach((fold, place) => {
        const known = part.querySelectorAll("details")[place];
        if (known) fold.open = known.open;
      });
      if (other.isEqualNode(part)) return;
      part.replaceWith(document.importNode(other, true));
      changed = true;
    });
    wait = changed ? FIRST_MS : Math.min(wait * 1.5, LONGEST_MS);
    press();
  }

  function later() {
    const running = document.querySelector("[data-bol-running]");
    if (failures < MOST_FAILURES && (running || document.querySelector("[data-bol-watched]"))) {
      window.setTimeout(() => (document.hidden ? later() : refresh()), running ? wait : QUIET_MS);
    }
  }

  // What a person would press every time is pressed for them: once, so that a refusal is read and not tried for ever.
  function press() {
    const wanted = document.querySelector("[data-bol-press]");
    const key = wanted && `${window.location.pathname} ${wanted.dataset.bolPress}`;
    if (!wanted || sessionStorage.getItem("bol-pressed") === key) return;
    sessionStorage.setItem("bol-pressed", key);
    wanted.querySelector("form").requestSubmit();
  }

  // A long number is chosen as a whole, by keyboard as by mouse: what is left is to copy it.
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".bol-long")) window.getSelection().selectAllChildren(event.target);
  });

  // What somebody is filling in stays as it is.
  document.addEventListener("input", (event) => {
    const part = event.target.closest("[data-bol-part]");
    if (part) part.dataset.touched = "1";
  });

  // Enter presses the first button of a form; in these fields another one is meant.
  document.addEventListener("keydown", (event) => {
    const box = event.key === "Enter" && event.target.matches("input") && event.target.closest("[data-bol-enter]");
    if (!box) return;
    event.preventDefault();
    document.getElementById(box.dataset.bolEnter).click();
  });

  // Where bol's login page can't be used, the fields for client id and secret are there instead.
  function chooseSignIn() {
    const login = document.querySelector("[data-bol-logins]");
    const chosen = login && document.querySelector("[name=environment]:checked");
    if (!chosen) return;
    login.hidden = !login.dataset.bolLogins.split(" ").includes(chosen.value);
    document.querySelector("[data-bol-enter]").open ||= login.hidden;
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[name=environment]")) chooseSignIn();
  });
  chooseSignIn();

  // What was changed in a form, and is not saved, is said beside its button.
  document.addEventListener("input", (event) => {
    const form = event.target.closest("[data-bol-form]");
    const told = form && form.querySelector("[data-bol-unsaved]");
    if (told) told.hidden = false;
  });

  // Who is led to something that is folded up sees it.
  function unfold() {
    const target = document.getElementById(window.location.hash.slice(1));
    const folds = [];
    for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
    if (!folds.some((fold) => !fold.open)) return;
    folds.forEach((fold) => (fold.open = true));
    target.scrollIntoView();
    target.focus();
  }
  window.addEventListener("hashchange", unfold);
  unfold();

  // Where the tabs of a store don't fit, the one that is open is in sight; also once a phone is turned.
  function showTab() {
    const tabs = document.querySelector(".bol-tabs");
    const open = tabs && tabs.querySelector(".active");
    if (open) tabs.scrollLeft = open.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
  }
  window.addEventListener("resize", showTab);
  showTab();

  // Later than the page is complete: then it stays behind the one that follows.
  window.addEventListener("load", () => window.setTimeout(press));
  later();
})();
