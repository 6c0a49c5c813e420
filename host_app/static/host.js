// Small helps; every page works without them.
"use strict";

// A scanner types faster than pages load: codes are sent one after the other while the next ones are being read.
const codes = [];
const last = { code: "", at: -Infinity };
const BOUNCE = 250; // Milliseconds in which nobody scans two pieces.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!("scan" in form.dataset)) return;
  event.preventDefault();
  const field = form.elements.code;
  const code = field.value.trim();
  field.value = "";
  if (code) read(form, code, event.timeStamp);
});

function read(form, code, at) {
  const twice = code === last.code && at - last.at < BOUNCE;
  Object.assign(last, { code, at });
  if (twice) return say("warning", `${form.dataset.twice} ${code}`);
  codes.push(code);
  if (codes.length === 1) count(form);
}

async function count(form) {
  while (codes.length) {
    try {
      const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value, code: codes[0] });
      const answer = await fetch(form.action, { method: "POST", body });
      if (isLoggedOut(answer)) {
        codes.length = 0;
        return;
      }
      if (!answer.ok) return go(document.querySelector("[data-home]").dataset.home);
      take(await answer.text());
    } catch {
      say("danger", form.dataset.lost);
      codes.length = 1;
    }
    codes.shift();
  }
}

// Put in what came of a scan: the message, what changed, and the place where work goes on.
function take(text) {
  const fresh = parsed(text);
  const message = fresh.getElementById("said");
  const scan = document.querySelector("[data-scan] input[name=code]");
  if (!message || renewed(fresh)) return;
  // What is being sent stays as it is: in its place a form would stand that can be sent once more.
  const sent = document.querySelector("[data-part] form[data-sent]");
  document.getElementById("said").replaceChildren(...message.childNodes);
  const wrong = document.querySelector("#said .alert-danger");
  scan.classList.toggle("is-invalid", Boolean(wrong));
  if (wrong) alarm();
  document.querySelectorAll("[data-part]").forEach((part) => {
    const next = fresh.getElementById(part.id);
    if (sent && part.contains(sent)) return;
    // Nor does it fold up the options of a label.
    if (wrong && "keep" in part.dataset) return;
    // A wrong scan changes nothing in what is being filled in: parcels that were added stay, too.
    if (wrong && part.dataset.touched && next && seenIn(next) === seenIn(part)) return;
    if (next && !next.isEqualNode(part)) keepTyped(part, next);
  });
  if (document.activeElement === scan || document.activeElement === document.body) {
    const next = wrong ? scan : document.querySelector("[data-part] [autofocus]") || scan;
    if (!scan.value) next.focus();
  }
  // The label of the only parcel, and nothing is missing: scanning it is all that closing takes.
  const closes = document.querySelector("[data-closes]");
  if (!wrong && !sent && closes && !closes.closest("[data-part]").dataset.touched) closes.form.requestSubmit(closes);
}

function seenIn(part) {
  const seen = part.querySelector("input[name=seen]");
  return seen && seen.value;
}

function keepTyped(part, next) {
  part.querySelectorAll("input:not([type=hidden]), select").forEach((old) => {
    const field = old.name && next.querySelector(`[name="${CSS.escape(old.name)}"]`);
    if (field && part.dataset.touched) field.value = old.value;
  });
  if (part.dataset.touched) next.dataset.touched = "1";
  const held = part.contains(document.activeElement) && document.activeElement.id;
  part.replaceWith(document.adoptNode(next));
  tellLast();
  if (held && document.getElementById(held)) document.getElementById(held).focus({ preventScroll: true });
}

function say(level, text) {
  const alert = document.createElement("div");
  alert.className = `alert alert-${level}`;
  alert.textContent = text;
  document.getElementById("said").replaceChildren(alert);
  if (level === "danger") alarm();
}

// Where work goes on further down, the message comes into sight.
function alarm() {
  document.getElementById("said").scrollIntoView({ block: "nearest" });
  buzz();
}

// Who looks at the shelf must hear that something is wrong: the scanner itself always sounds content.
function buzz() {
  if (!navigator.userActivation || !navigator.userActivation.hasBeenActive) return;
  if (navigator.vibrate) navigator.vibrate(300);
  if (!window.AudioContext) return;
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  tone.type = "square";
  tone.frequency.value = 150;
  tone.connect(audio.destination);
  tone.onended = () => audio.close();
  tone.start();
  tone.stop(audio.currentTime + 0.35);
}

// Carrier has the focus once all is picked. What is scanned there would choose a carrier by its first letters and open the
// list. So characters wait for a moment: quick ones that end with Enter are a code, and others choose, as in any list.
const QUICK = 60; // Milliseconds from key to key, on average: scanners need fewer, people more.
const PAUSE = 150; // After so many a code does not go on.
const SEARCH = 1000; // As long as that, one more letter narrows down what is searched.
const burst = { list: "", code: "", since: 0, at: -Infinity, before: "", ended: -Infinity };
const search = { waiting: "", text: "", at: -Infinity, timer: 0 };

document.addEventListener("keydown", (event) => {
  const list = event.target.closest("select[data-carrier]");
  if (!list || ["Shift", "CapsLock", "NumLock", "AltGraph"].includes(event.key)) return;
  const at = event.timeStamp;
  const goesOn = list.id === burst.list && at - burst.at <= PAUSE;
  if (event.key === "Enter" && goesOn && burst.code.length > 1 && (at - burst.since) / burst.code.length < QUICK) {
    event.preventDefault();
    clearTimeout(search.timer);
    Object.assign(search, { waiting: "", text: "" });
    list.value = burst.before;
    const form = document.querySelector("[data-scan]");
    if (form) read(form, burst.code.trim(), at);
    else buzz();
    Object.assign(burst, { list: "", ended: at });
  } else if (event.key === "Enter" && at - burst.ended < PAUSE) {
    event.preventDefault(); // Some scanners end with two.
  } else if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) {
    finish(list);
  } else if (event.key !== " " || at - Math.max(search.at, burst.at) < SEARCH) {
    event.preventDefault();
    if (!goesOn) Object.assign(burst, { list: list.id, code: "", since: at, before: list.value });
    burst.code += event.key;
    burst.at = at;
    search.waiting += event.key;
    clearTimeout(search.timer);
    search.timer = setTimeout(() => choose(document.getElementById(list.id)), PAUSE);
  }
});

// So it is where a button is the next step: a code ends in Enter, which would press it. Nobody types on a button, so that it may be slow.
const CODE = 4; // So many characters in a row are one.
document.addEventListener("keydown", (event) => {
  if (!event.target.matches("[data-next-step]") || ["Shift", "CapsLock", "NumLock", "AltGraph"].includes(event.key)) return;
  const at = event.timeStamp;
  const goesOn = burst.list === "" && at - burst.at <= SEARCH;
  if (event.key === "Enter" && goesOn && burst.code.length >= CODE) {
    event.preventDefault();
    read(document.querySelector("[data-scan]"), burst.code.trim(), at);
    Object.assign(burst, { code: "", at: -Infinity, ended: at });
  } else if (event.key === "Enter" && at - burst.ended < PAUSE) {
    event.preventDefault(); // Some scanners end with two.
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && (event.key !== " " || goesOn)) {
    event.preventDefault();
    if (!goesOn) Object.assign(burst, { code: "", since: at });
    Object.assign(burst, { list: "", code: burst.code + event.key, at });
  }
});

document.addEventListener("focusout", (event) => {
  const list = event.target;
  if (!list.matches("select[data-carrier]")) return;
  // Not where its part of the page was fetched anew: then the one that took its place has the focus.
  setTimeout(() => { if (document.activeElement.id !== list.id) finish(list); });
});

function finish(list) {
  choose(list);
  burst.list = "";
  search.text = "";
}

// Choose by first letters what people typed; one letter again and again goes through all that begin with it.
function choose(list) {
  clearTimeout(search.timer);
  if (!list || !search.waiting) return;
  const now = performance.now();
  const text = ((now - search.at < SEARCH ? search.text : "") + search.waiting).toLowerCase();
  Object.assign(search, { waiting: "", text, at: now });
  const same = [...text].every((letter) => letter === text[0]);
  const wanted = same ? text[0] : text;
  const options = [...list.options];
  const start = list.selectedIndex + (same ? 1 : 0);
  const found = [...options.slice(start), ...options.slice(0, start)]
    .find((option) => option.text.trim().toLowerCase().startsWith(wanted));
  if (!found || found.selected) return;
  found.selected = true;
  for (const kind of ["input", "change"]) list.dispatchEvent(new Event(kind, { bubbles: true }));
}

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
  left = -Infinity;
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

// A carrier that was chosen by hand is no longer that of the last parcel.
function tellLast() {
  document.querySelectorAll("[data-as-last]").forEach((hint) => {
    hint.hidden = hint.parentElement.querySelector("select").value !== hint.dataset.asLast;
  });
}
document.addEventListener("change", (event) => { if (event.target.matches("select[data-carrier]")) tellLast(); });

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// Answers of a session that is over lead to the login.
function isLoggedOut(answer) {
  if (!answer.redirected || new URL(answer.url).pathname !== "/login") return false;
  if (!document.querySelector(".host-logged-out")) {
    const bar = document.createElement("div");
    const link = document.createElement("a");
    bar.className = "alert alert-danger host-mark host-logged-out";
    bar.setAttribute("role", "alert");
    link.href = location.pathname + location.search;
    link.textContent = document.body.dataset.logIn;
    bar.append(document.body.dataset.loggedOut, " ", link);
    document.querySelector("main").prepend(bar);
  }
  return true;
}

// Who is on the way to another page is not called back. What is downloaded leaves the page where it is.
const ON_THE_WAY = 20000; // Milliseconds.
let left = -Infinity;
window.addEventListener("beforeunload", () => { left = performance.now(); });

function go(address) {
  if (performance.now() - left > ON_THE_WAY) location.replace(address);
}

// Somebody else closed, cancelled or stopped what is shown: then the whole page is another one.
function renewed(fresh) {
  const part = document.querySelector("[data-state]");
  const next = part && fresh.getElementById(part.id);
  if (!next || next.dataset.state === part.dataset.state) return false;
  go(part.dataset.home);
  return true;
}

// Where somebody is about to press, nothing may move.
let pointed = -Infinity;
document.addEventListener("pointermove", (event) => { pointed = event.timeStamp; }, { passive: true });

function isInHand(part) {
  if (part.dataset.touched || part.querySelector("form[data-sent], details[open], :focus:not(a)")) return true;
  return part.matches(":hover") && performance.now() - pointed < 1500;
}

async function refresh(address) {
  const answer = await fetch(address);
  if (isLoggedOut(answer) || !answer.ok || answer.redirected) return;
  const fresh = parsed(await answer.text());
  if (renewed(fresh)) return;
  document.querySelectorAll("[data-part]").forEach((part) => {
    const next = fresh.getElementById(part.id);
    if (!next || next.isEqualNode(part) || isInHand(part)) return;
    const held = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.replaceWith(document.adoptNode(next));
    // Who walks over the links of a list by keyboard stays where they are.
    const link = held && [...next.querySelectorAll("a[href]")].find((one) => one.getAttribute("href") === held);
    if (link) link.focus({ preventScroll: true });
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

// What others changed meanwhile is there at once when somebody comes back to the page.
function comeBack() {
  const watched = document.querySelector("[data-watch]");
  if (watched && !document.hidden) refresh(watched.dataset.watch).catch(() => {});
}
document.addEventListener("visibilitychange", comeBack);
window.addEventListener("pageshow", (event) => { if (event.persisted) comeBack(); });

// A link into the page takes the focus that the page asked for.
window.addEventListener("load", () => setTimeout(() => {
  const wanted = location.hash && document.querySelector("[autofocus]");
  if (wanted && document.activeElement === document.body) wanted.focus({ preventScroll: true });
}));

// A code that is asked about is replaced by what is scanned next.
window.addEventListener("load", () => {
  const field = document.querySelector("[data-replace]");
  if (!field) return;
  field.focus({ preventScroll: true });
  field.select();
});

// Keys: "/" leads to where codes are scanned or searched, Escape folds up what is open.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const field = document.querySelector("[data-key]");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "Escape") {
    const open = event.target.closest("details[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (document.querySelector("#menu.show")) {
      document.querySelector(".navbar-toggler").click();
    }
  }
});

document.addEventListener("click", (event) => {
  if ("print" in event.target.dataset) window.print();
});
