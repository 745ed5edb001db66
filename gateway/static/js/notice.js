// Says which of the services that this page needs are not ready, and what to do about it.
import { get, path } from "./api.js";
import { $ } from "./dom.js";
import { t } from "./words.js";

const needed = document.body.dataset.needs.split(" ").filter(Boolean);
const notice = $("#notice");

function say(states) {
  const missing = needed.filter((name) => states[name]?.state !== "serving");
  const down = missing.filter((name) => states[name]?.state !== "loading");
  const names = (down.length ? down : missing).map((name) => t(`service.${name}`)).join(", ");
  const text = missing.length ? t(down.length ? "notice.down" : "notice.loading", { services: names }) : "";
  if (notice.textContent !== text) notice.textContent = text;
  notice.hidden = !text;
  return !missing.length;
}

/** Watch the services; `onReady` is called when those needed come back after having been away. */
export async function watchServices(onReady = () => {}) {
  let wasReady = null;
  for (;;) {
    let ready = wasReady;
    if (!document.hidden) {
      try {
        ready = say((await get(path("system"))).services);
      } catch (error) {
        notice.textContent = error.message;
        notice.hidden = false;
        ready = false;
      }
      if (ready && wasReady === false) onReady();
      wasReady = ready;
    }
    await new Promise((resolve) => setTimeout(resolve, ready ? 15000 : 3000));
  }
}
