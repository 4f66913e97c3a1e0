// Keeps the status page live. The server sends what it would show on a reload; this puts it in
// place, says what has changed to screen readers, and tells when the page is not live any more.
"use strict";

(() => {
  const live = document.getElementById("live");
  const line = document.getElementById("line");
  const said = document.getElementById("said");
  const form = document.getElementById("sync-now");
  const button = form?.querySelector("button");
  const FIRST_PAUSE_MS = 1000;
  const LAST_PAUSE_MS = 30000;
  // The server speaks every five seconds, if only to say that nothing has changed.
  const SILENCE_MS = 15000;
  const OVER = new Set([4401, 4403]);
  let pauseMs = FIRST_PAUSE_MS;

  function tell(kind) {
    const text = line.dataset[kind];
    if (line.textContent !== text) line.textContent = text;
    line.classList.toggle("is-live", kind === "live");
    line.classList.toggle("is-lost", kind !== "live");
  }

  function show(html) {
    const open = new Set([...live.querySelectorAll("details[open]")].map((each) => each.id));
    const known = new Set([...live.querySelectorAll("details")].map((each) => each.id));
    const focused = live.contains(document.activeElement)
      ? document.activeElement.closest("details")?.id
      : undefined;
    live.innerHTML = html;
    for (const each of live.querySelectorAll("details")) {
      if (known.has(each.id)) each.open = open.has(each.id);
    }
    if (focused) document.getElementById(focused)?.querySelector("summary")?.focus();
  }

  function connect() {
    const address = new URL(live.dataset.socket, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address, "finwise.status.v1");
    let silence;
    socket.onmessage = (event) => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        tell("lost");
        socket.close();
      }, SILENCE_MS);
      const told = JSON.parse(event.data);
      pauseMs = FIRST_PAUSE_MS;
      if (told.html !== undefined) {
        show(told.html);
        if (said.textContent !== told.said) said.textContent = told.said;
      }
      tell("live");
    };
    socket.onclose = (event) => {
      clearTimeout(silence);
      if (OVER.has(event.code)) {
        tell("over");
        return;
      }
      tell("lost");
      // Many pages, one server that restarts: not all at once.
      setTimeout(connect, pauseMs * (0.5 + Math.random()));
      pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS);
    };
  }

  form?.addEventListener("submit", async (event) => {
    if (!line.classList.contains("is-live")) return; // the plain way shows the answers, too
    event.preventDefault();
    button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new FormData(form),
        headers: { Accept: "application/json" },
        redirect: "error",
      });
      if (!answer.ok) throw new Error(String(answer.status));
    } catch {
      said.textContent = line.dataset.failed;
      line.textContent = line.dataset.failed;
      line.classList.add("is-lost");
    } finally {
      button.disabled = false;
    }
  });

  connect();
})();
