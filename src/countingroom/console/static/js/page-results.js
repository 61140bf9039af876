// The page of results: programs, and the results that the server has filtered, kept current.
import { mark } from "./acts.js";
import { anew } from "./anew.js";
import { $, $$ } from "./dom.js";
import { programs } from "./result-programs.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: true, events: true, partitions: [""] };
  const soon = anew(live, ["#rows"], () => $("#rows [data-open]"));
  programs(live, soon);
  const form = $("#filter");
  const asked = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const older = $("#older");
  if (older) older.href = `/results?before=${new URL(older.href).searchParams.get("before")}&${asked()}`;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`/results?${asked()}`);
  });
  form.addEventListener("change", () => form.requestSubmit());
  const two = () => {
    const chosen = $$("#rows input:checked").length;
    mark($("#compare-two"), chosen === 2 ? "" : chosen > 2 ? "Tick no more than two results." : "Tick two results first.");
  };
  document.addEventListener("change", two);
  $("#compare").addEventListener("submit", (event) => {
    if ($("#compare-two").dataset.why) event.preventDefault();
  });
  two();
}
