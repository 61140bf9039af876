// Law: what cannot be done says why, to the mouse, to the keyboard and to screen readers.
import { $ } from "./dom.js";

export function tips() {
  const tip = $("#tip");
  const show = (event) => {
    const target = event.target.closest?.("[data-why]");
    tip.hidden = !target?.dataset.why;
    if (tip.hidden) return;
    tip.textContent = target.dataset.why;
    target.setAttribute("aria-describedby", "tip");
    const box = target.getBoundingClientRect(),
      own = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${box.bottom + 6 + own.height > innerHeight ? box.top - own.height - 6 : box.bottom + 6}px`;
  };
  const hide = () => {
    tip.hidden = true;
  };
  for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, show);
  for (const kind of ["mouseout", "focusout", "scroll"]) document.addEventListener(kind, hide, true);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
