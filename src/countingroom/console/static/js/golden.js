// On the page of a device: how many of its points differ from a golden snapshot.
import { $, el } from "./dom.js";
import { ask, pageOf } from "./snapshot-words.js";

const AGAIN_MS = 3000;
const PER = " of ";

export function golden(live, device) {
  const place = $("#golden");
  let last = -Infinity,
    waits = null;

  async function draw() {
    last = performance.now();
    const told = await ask(`/api/v1/golden?${new URLSearchParams({ device })}`, () => {});
    if (!told) return;
    const links = told.golden.map(({ mark, compared, differs, unknown }) =>
      el(
        "a",
        { class: differs ? "golden differs" : "golden", href: pageOf(mark.snapshot), title: `Golden for ${mark.scope}, marked by ${mark.marked_by}: ${mark.reason}` },
        differs ? `${differs}${PER}${compared} points differ from ${mark.snapshot}` : unknown ? `${unknown}${PER}${compared} points are not known` : `as ${mark.snapshot}`,
      ),
    );
    place.replaceChildren(el("i", {}, "golden"), el("b", {}, ...links));
    place.hidden = links.length === 0;
  }

  // A setpoint of this device has changed.
  function soon() {
    if (waits) return;
    waits = setTimeout(() => {
      waits = null;
      draw();
    }, Math.max(0, AGAIN_MS - (performance.now() - last)));
  }
  return { draw, soon };
}
