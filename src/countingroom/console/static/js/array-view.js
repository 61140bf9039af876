// The choice of an array, of how it is drawn and of its column, for the page of a result and for that of two results.
import { $, el, setText } from "./dom.js";
import { facts, ResultPlot } from "./result-plot.js";

const WORDS = { values: "values", distribution: "histogram", map: "map" };

// address(name, query): where the view of an array is; chosen(name): what else changes with it.
export function arrayView(address, chosen = () => {}) {
  const plot = new ResultPlot($("#plot")),
    [array, kind, column] = ["#which-array", "#which-kind", "#which-column"].map((one) => $(one));
  let turn = 0;
  const fill = (select, label, values, value, word = (one) => one) => {
    select.replaceChildren(...values.map((one) => el("option", { value: one }, word(one))));
    select.value = value;
    label.hidden = values.length < 2;
  };
  const draw = async (asked) => {
    if (!array.value) return;
    const mine = ++turn;
    const answer = await fetch(address(array.value, new URLSearchParams(asked))).catch(() => null);
    const view = await answer?.json().catch(() => null);
    if (mine !== turn) return;
    if (!answer?.ok || !view) {
      plot.show(null);
      setText($("#plot-told"), view?.cause?.message ?? "The console did not answer.");
      return;
    }
    fill(kind, $("#of-kind"), view.kinds, view.kind, (one) => WORDS[one]);
    fill(column, $("#of-column"), view.columns, view.column);
    const told = view.a ? `A: ${facts(view.a)}. B: ${facts(view.b)}.` : `${view.difference ? "B minus A: " : ""}${facts(view)}.`;
    if ($("#plot-legend")) $("#plot-legend").hidden = view.kind === "map";
    plot.show(view, `${array.value}, ${WORDS[view.kind]} of ${view.column}: ${told}`);
    setText($("#plot-told"), told);
  };
  const again = () => draw({ kind: kind.value, column: column.value });
  const other = () => {
    chosen(array.value);
    draw({});
  };
  array.addEventListener("change", other);
  kind.addEventListener("change", () => draw({ kind: kind.value }));
  column.addEventListener("change", again);
  other();
}
