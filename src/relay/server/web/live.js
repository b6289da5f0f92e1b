// Takes what is new into the page: asks for it again when the server says so, and puts in the parts marked `data-live`
// that differ. A part in which somebody is typing is left alone.
"use strict";

const from = document.body.dataset.liveFrom;
let asked = false;
let again = false;

async function renew() {
  if (asked) {
    again = true;
    return;
  }
  asked = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected || !answer.ok) {
      location.reload();
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || part.contains(document.activeElement) || part.innerHTML === next.innerHTML) {
        continue;
      }
      const open = new Set([...part.querySelectorAll("details[open][id]")].map((details) => details.id));
      part.replaceChildren(...next.childNodes);
      for (const details of part.querySelectorAll("details[id]")) {
        details.open = details.open || open.has(details.id);
      }
    }
  } catch {
    // The server does not answer now; the event source comes back when it does.
  }
  // Not more than once a second, however much happens.
  setTimeout(() => {
    asked = false;
    if (again) {
      again = false;
      renew();
    }
  }, 1000);
}

if (from && "EventSource" in window) {
  const source = new EventSource(from);
  let opened = false;
  source.addEventListener("open", () => {
    // What happened while nobody listened.
    if (opened) {
      renew();
    }
    opened = true;
  });
  source.addEventListener("news", renew);
  source.addEventListener("end", () => {
    source.close();
    renew();
  });
}
