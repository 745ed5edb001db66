// Sliders, and what they stand at in words.
import { el } from "./dom.js";

/** Keep what a slider stands at written beside it: as a factor, or with its sign where `output` asks for it. */
export function tell(input, output) {
  const show = () => {
    const value = Number(input.value);
    output.textContent = "signed" in output.dataset ? `${value > 0 ? "+" : ""}${value}` : `${value}×`;
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", show);
  show();
}

/** A labelled slider of its own. */
export function slider(label, { isSigned = false, ...range }) {
  const output = el("output", { data: isSigned ? { signed: "" } : {} });
  const input = el("input", { type: "range", ...range });
  tell(input, output);
  return { input, element: el("label", { class: "field" }, el("span", { class: "label", textContent: label }), el("span", { class: "slider" }, input, output)) };
}
