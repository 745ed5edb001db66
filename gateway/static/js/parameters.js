// What an engine can be told: fields that are made of what it says of its parameters.
import { $$, el } from "./dom.js";
import { known } from "./words.js";

/** A field, with its help and the place for its error. */
export function parameterField(parameter) {
  const id = `params.${parameter.name}`;
  const label = known(`parameter.${parameter.name}`, parameter.name.replaceAll("_", " "));
  const help = el("p", { class: "help", id: `${id}-help`, textContent: known(`parameter.${parameter.name}_help`, parameter.help) });
  const error = el("p", { class: "field-error", role: "alert", hidden: true, data: { errorFor: id } });
  if (parameter.type === "boolean") {
    const input = el("input", { type: "checkbox", id, name: id, value: "true", checked: parameter.default === true });
    return el("div", { class: "field check" }, input, el("label", { for: id }, label, help), error);
  }
  const input = control(parameter, id);
  input.setAttribute("aria-describedby", help.id);
  return el("div", { class: "field" }, el("label", { for: id, textContent: label }), input, help, error);
}

function control(parameter, id) {
  if (parameter.choices.length) {
    const options = parameter.choices.map((value) => el("option", { value, textContent: known(`choice.${value}`, value), selected: value === parameter.default }));
    return el("select", { id, name: id }, ...options);
  }
  if (parameter.type === "text") return el("input", { type: "text", id, name: id, value: parameter.default ?? "" });
  const step = parameter.type === "integer" ? 1 : "any";
  return el("input", { type: "number", id, name: id, value: parameter.default ?? "", min: parameter.minimum ?? "", max: parameter.maximum ?? "", step });
}

/** What was filled in of a form's parameters, as [field, value]. */
export const toldParameters = (form) => $$("[name^='params.']", form).map((input) => [input.name, input.type === "checkbox" ? String(input.checked) : input.value]);
