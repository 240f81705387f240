"use strict";
const page = document.documentElement;

// --- light and dark: as the reader's system says, until they choose ------------------------------

const kept = {
  read() { try { return localStorage.getItem("freehold-theme"); } catch { return null; } },
  write(value) { try { localStorage.setItem("freehold-theme", value); } catch { /* a reader may forbid it */ } },
};
if (kept.read()) page.dataset.theme = kept.read();

function switchTheme() {
  const dark = page.dataset.theme
    ? page.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  page.dataset.theme = dark ? "light" : "dark";
  kept.write(page.dataset.theme);
}

// --- search: every word must be somewhere; the title counts most ---------------------------------

function score(entry, words) {
  const title = entry.title.toLowerCase();
  let total = 0;
  for (const word of words) {
    if (title === word) total += 8;
    else if (title.startsWith(word)) total += 4;
    else if (title.includes(word)) total += 3;
    else if (entry.words.includes(word) || entry.kind === word) total += 1;
    else return 0;
  }
  return total;
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  return window.searchIndex
    .map((entry, at) => ({ entry, at, score: score(entry, words) }))
    .filter((found) => found.score)
    .sort((one, other) => other.score - one.score || one.at - other.at)
    .slice(0, 20)
    .map((found) => found.entry);
}

function searching(input, list) {
  let chosen = -1;
  const options = () => [...list.querySelectorAll("[role=option]")];
  const choose = (index) => {
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    options()[index]?.scrollIntoView({ block: "nearest" });
    if (index >= 0) input.setAttribute("aria-activedescendant", `found-${index}`);
    else input.removeAttribute("aria-activedescendant");
    chosen = index;
  };
  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); choose(-1); };
  const show = () => {
    const found = find(input.value);
    list.replaceChildren(...found.map((entry, index) => {
      const link = document.createElement("a");
      link.href = page.dataset.root + entry.url;
      link.tabIndex = -1;
      link.append(entry.title, Object.assign(document.createElement("span"), { className: "kind", textContent: entry.kind }));
      const option = Object.assign(document.createElement("li"), { id: `found-${index}` });
      option.setAttribute("role", "option");
      option.append(link);
      return option;
    }));
    if (!found.length) {
      list.append(Object.assign(document.createElement("li"), { className: "none", textContent: "Nothing found" }));
    }
    list.hidden = !input.value.trim();
    input.setAttribute("aria-expanded", String(!list.hidden));
    choose(found.length ? 0 : -1);
  };
  input.addEventListener("input", show);
  input.addEventListener("focus", () => { if (input.value.trim()) show(); });
  input.addEventListener("keydown", (event) => {
    const count = options().length;
    if (event.key === "Escape") { input.value = ""; close(); input.blur(); }
    else if (event.key === "Enter" && chosen >= 0) options()[chosen].querySelector("a").click();
    else if (event.key === "ArrowDown" && count) choose((chosen + 1) % count);
    else if (event.key === "ArrowUp" && count) choose((chosen - 1 + count) % count);
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) close(); });
  list.addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea")) { event.preventDefault(); input.focus(); }
  });
}

// --- diagrams: what has nothing to do with the box under the pointer fades -----------------------

function fading(drawing) {
  const nodes = [...drawing.querySelectorAll(".fd-node")];
  const links = [...drawing.querySelectorAll("[data-from]")];
  for (const node of nodes) {
    node.addEventListener("mouseenter", () => {
      const name = node.dataset.name;
      const near = new Set([name]);
      for (const { dataset, classList } of links) {
        const mine = dataset.from === name || dataset.to === name;
        classList.toggle("faded", !mine);
        if (mine) near.add(dataset.from).add(dataset.to);
      }
      nodes.forEach((other) => other.classList.toggle("faded", !near.has(other.dataset.name)));
    });
    node.addEventListener("mouseleave", () =>
      [...nodes, ...links].forEach((each) => each.classList.remove("faded")));
  }
}

// A link to something inside a closed part opens that part.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
}

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme").addEventListener("click", switchTheme);
  searching(document.getElementById("search"), document.getElementById("found"));
  document.querySelectorAll(".drawing").forEach(fading);
  if (matchMedia("(max-width: 52rem)").matches) document.querySelector(".menu").open = false;
  addEventListener("hashchange", open);
  open();
});
