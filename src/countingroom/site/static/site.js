// Live texts, times as ages, the theme and the time zone. Every page can be read without this script.
const root = document.documentElement;
root.classList.add("js");
const base = root.dataset.base ?? "";
const kept = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } } };
const zone = root.dataset.zone ?? "UTC";
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });

document.querySelector("#theme")?.addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  kept.set("theme", root.dataset.theme);
});
document.querySelector("#zone")?.addEventListener("change", ({ target }) => target.form.submit());

const span = (s) => s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
  : s < 86400 ? `${Math.floor(s / 3600)} h ${String(Math.floor(s % 3600 / 60)).padStart(2, "0")} min`
  : `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
let ahead = 0; // ms that the clock of the site is ahead of this one
const now = () => Date.now() + ahead;
const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const ages = () => {
  for (const one of document.querySelectorAll("time[data-ago]"))
    write(one, span(Math.max(0, Math.round((now() - Date.parse(one.dateTime)) / 1000))));
  for (const one of document.querySelectorAll("[data-clock]")) write(one, clock.format(now()));
};
// A page that gets no news any more must not go on to say that it is current.
const STALE_MS = 120000;
const judge = () => {
  const heard = document.querySelector('time[data-fresh="any"]'), shown = document.querySelector("#fresh");
  if (!heard || !shown || now() - Date.parse(heard.dateTime) < STALE_MS) return;
  shown.querySelector(".m").className = "m stale";
  write(shown.lastElementChild, "No news");
};
const tick = () => { ages(); judge(); };
tick();
setInterval(tick, 1000);

let last = Date.now(), waiting = 0, due = 0;
const again = (least = 5000) => {
  const at = Math.max(Date.now(), last + least);
  if (waiting && at >= due) return; // it is read soon enough
  clearTimeout(waiting);
  due = at;
  // Spread over some seconds, so that a thousand viewers do not ask at the same moment.
  waiting = setTimeout(async () => {
    last = Date.now();
    waiting = 0;
    try {
      const answer = await fetch(location.href, { cache: "no-cache", headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const here = document.querySelector("main"), there = page.querySelector("main");
      if (there && !here.contains(document.activeElement)) here.replaceChildren(...there.childNodes);
      ages();
    } catch { /* the site is asked again with the next news */ }
  }, at - Date.now() + Math.random() * 3000);
};
const page = document.body.dataset.live;
if (page && "EventSource" in window) {
  const news = new EventSource(`${base}/live`);
  const on = (name, act) => news.addEventListener(name, ({ data }) => act(JSON.parse(data)));
  on("cells", (cells) => {
    if (page !== "now" || location.search.includes("db=")) return;
    for (const [key, text] of Object.entries(cells))
      if (zone === "UTC" || !key.endsWith(".at"))
        for (const one of document.querySelectorAll(`[data-cell="${CSS.escape(key)}"]`)) write(one, text);
  });
  on("fresh", (fresh) => {
    for (const [kind, ms] of Object.entries(fresh))
      for (const one of document.querySelectorAll(`time[data-fresh="${CSS.escape(kind)}"]`))
        one.dateTime = new Date(ms).toISOString();
    ages();
  });
  on("page", () => { if (page === "now") again(); });
  on("changed", ({ runs }) => {
    if (page === "now") again(60000); // the small trend
    else if (runs.map(String).includes(page)) again();
  });
  addEventListener("pagehide", () => news.close());
}
