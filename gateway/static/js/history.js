// The conversations of this browser: it remembers their ids, and the gateway keeps what was said.
import { get, path, remove } from "./api.js";
import { $, confirmed, el, icon } from "./dom.js";
import { t } from "./words.js";

const KEY = "visavis.conversations";
const CURRENT = "visavis.conversation";
const MOST = 100;
const FORMATS = ["md", "txt", "json"];

/** Ids, the newest first. A browser that keeps nothing for this site has none. */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function store(ids) {
  try {
    localStorage.setItem(KEY, JSON.stringify(ids.slice(0, MOST)));
  } catch {
    // Then the conversation can be reopened only from this page.
  }
}

const when = (at) => new Date(at * 1000).toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });

/** A list in a dialog. `onOpen` gets the id to go on with; `onDeleted` every id that is gone. */
export class History {
  constructor(root, { onOpen, onDeleted }) {
    Object.assign(this, { root, onOpen, onDeleted, list: $("[data-history-list]", root), help: $("[data-history-help]", root) });
    this.deleteAll = $("[data-history-delete-all]", root);
    this.deleteAll.addEventListener("click", () => this.#deleteAll());
  }

  open() {
    this.root.showModal();
    return this.#show();
  }

  /** The conversation of this tab before it was loaded anew, if there is one. */
  static current = () => sessionStorage.getItem(CURRENT);

  /** A chat has begun or goes on. It is listed once something has been said in it. */
  begin(chat) {
    this.chat = chat;
    sessionStorage.setItem(CURRENT, chat.id);
    this.root.close();
    if (chat.messages.length) this.add();
  }

  /** Something has been said. */
  add() {
    if (this.chat.isSpoken) return;
    this.chat.isSpoken = true;
    if (this.chat.kept_days) store([this.chat.id, ...stored().filter((id) => id !== this.chat.id)]);
  }

  /** Whether the chat is to stay when the page leaves it. */
  isWorthKeeping = () => Boolean(this.chat?.isSpoken && this.chat.kept_days);

  async #show() {
    this.list.setAttribute("aria-busy", "true");
    const told = await Promise.all(stored().map((id) => this.#told(id)));
    const rows = told.filter(Boolean).sort((one, other) => lastWord(other) - lastWord(one)).map((chat) => this.#row(chat));
    this.list.replaceChildren(...(rows.length ? rows : [el("li", { class: "help", textContent: t("history.empty") })]));
    this.list.setAttribute("aria-busy", "false");
    this.deleteAll.hidden = !rows.length;
    const days = this.chat?.kept_days ?? 0;
    this.help.textContent = days ? t("history.help", { days }) : t("history.not_kept");
  }

  /** A conversation; null, and forgotten, if the gateway no longer has it. */
  async #told(id) {
    try {
      return await get(path("chats", id));
    } catch (error) {
      if (error.status === 404) store(stored().filter((one) => one !== id));
      return null;
    }
  }

  #row(chat) {
    const first = chat.messages.find((message) => message.role === "user")?.text ?? chat.greeting;
    const isCurrent = chat.id === this.chat?.id;
    const about = `${names(chat)} · ${when(lastWord(chat))}${isCurrent ? ` · ${t("history.current")}` : ""}`;
    const open = el("button", { type: "button", class: "history-open", title: t("history.open"), "aria-current": isCurrent ? "true" : null, onclick: () => this.onOpen(chat.id) },
      el("span", { class: "history-words", textContent: first }), el("span", { class: "help", textContent: about }));
    const exports = FORMATS.map((format) => {
      const href = `${path("chats", chat.id, "export")}?format=${format}&time_zone=${encodeURIComponent(new Intl.DateTimeFormat().resolvedOptions().timeZone ?? "")}`;
      return el("a", { href, download: "", textContent: format, title: t(`history.${format}`), "aria-label": t(`history.${format}`) });
    });
    const words = { "aria-label": t("history.delete"), title: t("history.delete") };
    const forget = el("button", { class: "button danger small", type: "button", ...words, onclick: () => this.#delete(chat) }, icon("delete"));
    return el("li", {}, open, el("span", { class: "history-exports" }, ...exports), forget);
  }

  async #delete(chat) {
    if (!(await confirmed(t("history.confirm_delete", { name: names(chat) })))) return;
    await this.#forget(chat.id);
    await this.#show();
  }

  async #deleteAll() {
    const ids = stored();
    if (!(await confirmed(t("history.confirm_delete_all", { count: ids.length })))) return;
    await Promise.all(ids.map((id) => this.#forget(id)));
    await this.#show();
  }

  /** Forgotten here only once the gateway has: else nobody could delete it any more. */
  async #forget(id) {
    try {
      await remove(path("chats", id));
    } catch (error) {
      if (error.status !== 404) return;
    }
    store(stored().filter((one) => one !== id));
    this.onDeleted(id);
  }
}

/** Who gave its answers; who would give one, if nobody did. */
const names = ({ avatar, messages }) => [...new Set(messages.map((message) => message.avatar).filter(Boolean))].join(", ") || avatar;
const lastWord = (chat) => chat.messages.at(-1)?.at ?? chat.created_at;
