// The run book page. The server filters the runs, the exported files have the same filter, and the rows are kept
// current.
import { mark } from "./acts.js";
import { anew } from "./anew.js";
import { $, $$ } from "./dom.js";

export function page(live) {
  live.watch = { devices: [], points: [], states: false, events: true, partitions: ["*"] };
  anew(live, ["#rows"], () => $("#rows [data-open]"));
  const form = $("#filter");
  const asked = () => {
    const given = new URLSearchParams([...new FormData(form)].filter(([name, value]) => (["quality", "flag"].includes(name) ? value !== "*" : value)));
    return given;
  };
  const links = () => {
    for (const a of $$("[data-export]")) a.href = `/api/v1/runs/export?format=${a.dataset.export}&${asked()}`;
    const older = $("#older");
    if (older) {
      const before = new URL(older.href).searchParams.get("before");
      older.href = `/runs?before=${before}&${asked()}`;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`/runs?${asked()}`);
  });
  const two = () => {
    const chosen = $$("#rows input:checked").length;
    mark($("#compare-two"), chosen === 2 ? "" : chosen > 2 ? "Tick no more than two runs." : "Tick two runs first.");
  };
  document.addEventListener("change", two);
  $("#compare").addEventListener("submit", (event) => {
    if ($("#compare-two").dataset.why) event.preventDefault();
  });
  two();
  form.addEventListener("change", () => form.requestSubmit());
  links();
}
