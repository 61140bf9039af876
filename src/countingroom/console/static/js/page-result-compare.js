// Two results side by side. The server compares their documents; the arrays that both have are drawn together.
import { arrayView } from "./array-view.js";
import { $, data, el, setText } from "./dom.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: false };
  const [a, b] = data.results;
  $("#which-array").replaceChildren(...data.arrays.map((name) => el("option", {}, name)));
  if (!data.arrays.length) return setText($("#plot-told"), "They have no array in common.");
  arrayView((name, query) => `/api/v1/results/${a}/arrays/${encodeURIComponent(name)}/compare/${b}?${query}`);
}
