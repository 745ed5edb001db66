// Which language is spoken in a recording, of those that a recogniser understands.
import { isAble } from "./engines.js";
import { fillSelect } from "./dom.js";
import { t } from "./words.js";

/** Chosen where none of them is spoken. */
export const OTHER = "other";

const names = new Intl.DisplayNames([document.documentElement.lang], { type: "language", fallback: "code" });
export const languageName = (tag) => { try { return names.of(tag); } catch { return tag; } };

/** Offer the languages that an engine understands: at first the page's own, if it does; where `isTold`, what the engine can tell. */
export function fillSpoken(select, engine, isTold = false) {
  const heard = engine?.languages ?? [];
  const open = !heard.length || isAble("language_detection")(engine);
  const rest = open ? ["", t("generate.spoken_open")] : [OTHER, t("generate.spoken_other")];
  const page = document.documentElement.lang.split("-")[0];
  const own = isTold && open ? rest[0] : heard.find((tag) => tag.split("-")[0] === page) ?? rest[0];
  fillSelect(select, [...heard.map((tag) => [tag, languageName(tag)]), rest], select.value || own);
}

/** What an engine understands, for the words that say why another language is not written down. */
export const understood = (engine) => ({ engine: engine.name, known: engine.languages.map(languageName).join(", ") });
