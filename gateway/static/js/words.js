// The page's words, in the language it was served in.
const catalogue = JSON.parse(document.getElementById("words").textContent);

/** The words for a key, with {name} filled in. */
export function t(key, values = {}) {
  return (catalogue[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The words for a key if there are any, else the given ones. */
export const known = (key, otherwise) => catalogue[key] ?? otherwise;
