// Holding a button, or the key C, shows the untouched picture.

const TYPED = "input:not([type=range]):not([type=checkbox]), select, textarea";

// Call `show(true)` while `button` is held (by pointer, Space or Enter) or the key C is, if `active()`, and then `show(false)`.
export function hold(button, active, show) {
  let held = false;
  const set = (on) => {
    if (on === held || (on && !active())) return;
    held = on;
    button.setAttribute("aria-pressed", on);
    show(on);
  };
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(end, () => set(false));
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
  const isButton = (event) => event.target === button && (event.key === " " || event.key === "Enter");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(TYPED)) return;
    if (isButton(event)) event.preventDefault();
    else if (event.key.toLowerCase() !== "c") return;
    set(true);
  });
  document.addEventListener("keyup", (event) => {
    if (isButton(event) || event.key.toLowerCase() === "c") set(false);
  });
  window.addEventListener("blur", () => set(false));
}
