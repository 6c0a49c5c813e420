// While something runs, fetches the page again every few seconds and replaces the parts that show it.
"use strict";

(() => {
  const EVERY_MS = 3000;
  const MOST_FAILURES = 5;
  let failures = 0;

  async function refresh() {
    try {
      const answer = await fetch(window.location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelectorAll("[data-bol-part]").forEach((part) => {
        const other = fresh.getElementById(part.id);
        if (other && other.innerHTML !== part.innerHTML) part.replaceWith(document.importNode(other, true));
        else if (other && !("bolRunning" in other.dataset)) delete part.dataset.bolRunning;
      });
      failures = 0;
    } catch {
      failures += 1;
    }
    later();
  }

  function later() {
    if (failures < MOST_FAILURES && document.querySelector("[data-bol-running]")) {
      window.setTimeout(() => (document.hidden ? later() : refresh()), EVERY_MS);
    }
  }

  later();
})();
