// The reason why a button is disabled, shown for mouse, keyboard and screen readers, and kept current.
import { $ } from "./dom.js";

export function tips() {
  const tip = $("#tip");
  let shown = null;
  const tell = () => {
    tip.hidden = !shown?.dataset.why;
    if (tip.hidden) return;
    tip.textContent = shown.dataset.why;
    shown.setAttribute("aria-describedby", "tip");
    const box = shown.getBoundingClientRect(),
      own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${box.bottom + 6 + own.height > innerHeight ? box.top - own.height - 6 : box.bottom + 6}px`;
  };
  const changes = new MutationObserver(tell);
  const show = (event) => {
    shown = event.target.closest?.("[data-why]") ?? null;
    changes.disconnect();
    if (shown) changes.observe(shown, { attributeFilter: ["data-why"] });
    tell();
  };
  const hide = () => {
    shown = null;
    changes.disconnect();
    tell();
  };
  for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, show);
  for (const kind of ["mouseout", "focusout", "scroll"]) document.addEventListener(kind, hide, true);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
