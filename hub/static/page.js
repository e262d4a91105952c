// Makes the pages live and the filter immediate. Without this script both work by reloading.
"use strict";

const page = document.getElementById("page");
const live = document.getElementById("live");
const title = document.title.replace(/^\(\d+\) /, "");
let rows = new Map();

function say(text, state) {
  live.hidden = false;
  live.textContent = text;
  live.dataset.state = state;
}

function put(id, html) {
  const place = document.getElementById(id);
  if (place === null || html === undefined) return;
  // Whoever works in this part with the keyboard stays where they are.
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  const again = held && (held.value ? ["button", held.value] : ["a", held.getAttribute("href")]);
  place.innerHTML = html;
  if (!again) return;
  for (const found of place.querySelectorAll(again[0])) {
    if (found.value === again[1] || found.getAttribute("href") === again[1]) return found.focus();
  }
}

function index() {
  rows = new Map();
  for (const row of document.querySelectorAll("#groups li")) {
    const same = rows.get(row.dataset.name);
    if (same) same.push(row);
    else rows.set(row.dataset.name, [row]);
  }
}

function replaceRow(name, html) {
  const made = (rows.get(name) || []).map((row) => {
    const draft = document.createElement("template");
    draft.innerHTML = html;
    const next = draft.content.firstElementChild;
    const held = row.contains(document.activeElement);
    row.replaceWith(next);
    if (held) next.querySelector("a").focus();
    return next;
  });
  if (made.length) rows.set(name, made);
}

function update(change) {
  if (change.summary) {
    const summary = document.getElementById("summary");
    summary.textContent = change.summary.text;
    summary.className = `summary ${change.summary.mood}`;
    document.title = (change.summary.count ? `(${change.summary.count}) ` : "") + title;
  }
  for (const part of ["faults", "cards", "agents", "detail"]) put(part, change[part]);
  for (const [place, html] of change.heads || []) {
    const head = document.querySelectorAll("#groups summary")[place];
    if (head) head.innerHTML = html;
  }
  for (const [name, html] of change.rows || []) replaceRow(name, html);
  if (change.rows) filter();
}

// Shows the rows that have all words of the filter, and opens the groups they are in.
function filter() {
  const box = document.getElementById("q");
  if (!box) return;
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const group of document.querySelectorAll("#groups details")) {
    let found = 0;
    for (const row of group.querySelectorAll("li")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      if (!row.hidden) found += 1;
    }
    group.hidden = words.length > 0 && found === 0;
    if (words.length > 0) {
      if (group.dataset.was === undefined) group.dataset.was = group.open ? "open" : "";
      group.open = true;
    } else if (group.dataset.was !== undefined) {
      group.open = group.dataset.was === "open";
      delete group.dataset.was;
    }
    any = any || !group.hidden;
  }
  document.getElementById("none").hidden = any || words.length === 0;
}

// Gets the page once more and takes over what changes; scroll and filter stay.
async function renew() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
  if (answer.redirected || !answer.ok) return location.reload();
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const place = next.getElementById("page");
  if (!place) return location.reload();
  const open = [...document.querySelectorAll("#groups details")].filter((group) => group.open);
  const names = new Set(open.map((group) => group.querySelector(".title").textContent));
  for (const part of ["faults", "cards", "agents", "groups", "detail"]) {
    const made = next.getElementById(part);
    if (made) put(part, made.innerHTML);
  }
  const made = next.getElementById("summary");
  const summary = document.getElementById("summary");
  if (made && summary) {
    if (summary.textContent !== made.textContent) summary.textContent = made.textContent;
    summary.className = made.className;
  }
  document.title = next.title;
  page.dataset.stamp = place.dataset.stamp;
  for (const group of document.querySelectorAll("#groups details")) {
    if (names.has(group.querySelector(".title").textContent)) group.open = true;
  }
  index();
  filter();
}

// Soon at first, for the session may just have ended; then less and less often.
let pause = 1000;

function later() {
  setTimeout(() => renew().then(() => listen(page.dataset.stamp), later), pause);
  pause = Math.min(2 * pause, 30000);
}

function listen(since) {
  const query = new URLSearchParams({ since });
  if (page.dataset.check !== undefined) query.set("check", page.dataset.check);
  const source = new EventSource(`${page.dataset.events}?${query}`);
  source.onopen = () => {
    pause = 1000;
    say("live", "on");
  };
  source.addEventListener("update", (event) => update(JSON.parse(event.data)));
  source.addEventListener("reload", () => renew().catch(() => say("not live", "off")));
  source.addEventListener("bye", () => {
    source.close();
    location.assign("/login");
  });
  source.onerror = () => {
    say("not live, trying again", "off");
    // A refused stream is not tried again by the browser itself. The page is: without a login it leads to one.
    if (source.readyState === EventSource.CLOSED) later();
  };
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

if (page) {
  index();
  const box = document.getElementById("q");
  if (box) {
    box.addEventListener("input", filter);
    box.form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }
  listen(page.dataset.stamp);
  // A page that comes out of the browser's memory missed what happened.
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
}
