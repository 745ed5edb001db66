// Engines: which there are, and choosing one where there is a choice.
import { get, path } from "./api.js";
import { $, el, fillSelect } from "./dom.js";
import { t } from "./words.js";

/** By service its engines, the default one first; a service that is away is left out. */
export const listEngines = () => get(path("engines"));

export const isMissing = (engine) => engine.state === "missing";
export const isAble = (capability) => (engine) => engine.capabilities.includes(capability);

/** What an engine lacks and how to mend it, in the reader's language. */
export const lackOf = ({ reason, remedy }) => [reason, remedy].filter(Boolean).join(reason.endsWith("。") ? "" : " ");

/** What is sent for an engine: nothing for the default one, whichever that is when it is used. */
const valueOf = (engine) => (engine.is_default ? "" : engine.name);

function label(engine) {
  const name = engine.is_default ? t("engine.default", { name: engine.name }) : engine.name;
  return isMissing(engine) ? t("engine.missing", { name }) : name;
}

/** The choice of a service's engine. One that is alone is told as a fact; beneath, what is missing says why. */
export class EngineField {
  #engines = [];

  constructor(root) {
    this.root = root;
    this.select = $("select", root);
    this.select.addEventListener("change", () => this.#tellWhetherAway());
  }

  /** Offer these; what was chosen stays. Returns whether they are others than before. */
  show(engines = []) {
    if (JSON.stringify(engines) === JSON.stringify(this.#engines)) return false;
    const before = this.select.value;
    this.#engines = engines;
    fillSelect(this.select, engines.map((engine) => [valueOf(engine), label(engine)]), before);
    for (const [index, option] of [...this.select.options].entries()) option.disabled = isMissing(engines[index]);
    const isChoice = engines.length > 1;
    $("[data-choice]", this.root).hidden = !isChoice;
    $("[data-fact]", this.root).hidden = isChoice;
    $("[data-fact] span", this.root).textContent = this.engine?.name ?? "";
    this.root.hidden = !engines.length || (!isChoice && "quiet" in this.root.dataset);
    const lacks = engines.filter(isMissing).map((engine) => el("li", {}, el("strong", { textContent: engine.name }), ` ${lackOf(engine)}`));
    $("[data-lacks]", this.root).replaceChildren(...lacks);
    this.#tellWhetherAway();
    return true;
  }

  /** Choose one by name, also one that is no longer there; empty for the default. */
  choose(name) {
    const engine = this.#engines.find((one) => one.name === name);
    const value = engine ? valueOf(engine) : name;
    if (value && !engine) this.select.append(el("option", { value, textContent: value, disabled: true }));
    this.select.value = value;
    this.#tellWhetherAway();
  }

  /** What an engine on another machine is given leaves this one: whoever chooses it should know. */
  #tellWhetherAway() {
    $("[data-away]", this.root).hidden = !this.engine || isAble("offline")(this.engine);
  }

  /** The chosen one, as the gateway describes it; null while none is known. */
  get engine() {
    return this.#engines.find((one) => valueOf(one) === this.select.value) ?? this.#engines[0] ?? null;
  }

  get value() {
    return this.select.value;
  }

  get ready() {
    return this.#engines.filter((one) => !isMissing(one));
  }
}
