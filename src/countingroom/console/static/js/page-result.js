// The page of a result: its arrays drawn, its documents as trees, its log, which grows while the program runs.
import { anew } from "./anew.js";
import { arrayView } from "./array-view.js";
import { $, $$, data, el, setText } from "./dom.js";
import { progress, watch } from "./result-programs.js";

const LOG_MOST = 200_000;

// A list that is written in one line: numbers and short words.
const isShort = (value) => Array.isArray(value) && value.length <= 8 && value.every((one) => one === null || typeof one !== "object") && JSON.stringify(value).length <= 60;

// A value of a document: objects and lists can be opened.
function node(name, value, depth) {
  if (value === null || typeof value !== "object") return el("div", { class: "leaf" }, el("span", { class: "jkey" }, name), el("span", {}, JSON.stringify(value)));
  if (isShort(value)) return el("div", { class: "leaf" }, el("span", { class: "jkey" }, name), el("span", {}, JSON.stringify(value).replaceAll(",", ", ")));
  const entries = Array.isArray(value) ? value.map((one, index) => [`${index}`, one]) : Object.entries(value),
    what = Array.isArray(value) ? `${entries.length} items` : `${entries.length} keys`,
    inner = el("div", { class: "inner" });
  const fill = () => {
    if (!inner.childElementCount) inner.append(...entries.slice(0, 500).map(([key, one]) => node(key, one, depth + 1)), ...(entries.length > 500 ? [el("p", { class: "mut" }, `and ${entries.length - 500} more`)] : []));
  };
  const details = el("details", {}, el("summary", {}, el("span", { class: "jkey" }, name), el("span", { class: "mut" }, what)), inner);
  details.addEventListener("toggle", () => details.open && fill());
  if (depth < 2 && entries.length <= 50) {
    fill();
    details.open = true;
  }
  return details;
}

export function page(live) {
  live.watch = { devices: [], points: [], states: true, events: true, partitions: [""] };
  const { result } = data,
    base = `/api/v1/results/${result.number}`;
  const parts = result.ended_ns === null ? ["#result-head", "#result-cause"] : [];
  arrayView(
    (name, query) => `${base}/arrays/${encodeURIComponent(name)}/view?${query}`,
    (name) => {
      for (const link of $$("[data-form]")) {
        link.hidden = !name;
        link.href = `${base}/arrays/${encodeURIComponent(name)}?format=${link.dataset.form}`;
      }
    },
  );
  documents(base);
  $("#configuration").replaceChildren(...Object.entries(result.configuration).map(([key, value]) => node(key, value, 1)));
  const log = new Log(base);
  log.read();
  if (result.ended_ns !== null) return;
  anew(live, parts, () => $("#result-head [data-open]"));
  const known = new Map(data.programs.map((one) => [one.program, one]));
  const draw = () => {
    const program = known.get(result.program);
    if (program?.result === result.number) $("#running").replaceChildren(...progress(program));
    log.read();
  };
  watch(live, known, draw, () => {
    if (known.get(result.program)?.result !== result.number) location.reload();
  });
  draw();
}

function documents(base) {
  const select = $("#which-document"),
    link = $("#document-file");
  const show = async () => {
    if (!select.value) return $("#tree").replaceChildren(el("p", { class: "mut empty" }, "No documents."));
    link.href = `${base}/documents/${encodeURIComponent(select.value)}`;
    link.download = `${select.value}.json`;
    link.hidden = false;
    const answer = await fetch(link.href).catch(() => null);
    const content = answer?.ok ? await answer.json().catch(() => undefined) : undefined;
    $("#tree").replaceChildren(content === undefined ? el("p", { class: "mut empty" }, "The document cannot be read.") : node(select.value, content, 0));
  };
  select.addEventListener("change", show);
  show();
}

class Log {
  constructor(base) {
    Object.assign(this, { base, start: 0, busy: false, again: false, decoder: new TextDecoder() });
  }

  // Read what is new, and keep the last of it in view.
  async read() {
    this.again = this.busy;
    if (this.busy) return;
    this.busy = true;
    const answer = await fetch(`${this.base}/log?start=${this.start}`).catch(() => null);
    if (answer?.ok) {
      const bytes = await answer.arrayBuffer();
      this.start += bytes.byteLength;
      const place = $("#log"),
        atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 8,
        text = (place.textContent + this.decoder.decode(bytes, { stream: true })).slice(-LOG_MOST);
      setText(place, text);
      if (atEnd) place.scrollTop = place.scrollHeight;
    }
    this.busy = false;
    if (this.again) this.read();
  }
}
