// Chat: a face that listens, thinks and answers.
import { events, get, networkError, path, post, remove } from "./api.js";
import { avatarFile, listAvatars, listVoices, voiceOptions } from "./avatars.js";
import { $, el, fillSelect, templateCopy } from "./dom.js";
import { History } from "./history.js";
import { IdleLoop } from "./idle.js";
import { LiveTalk } from "./live.js";
import { watchServices } from "./notice.js";
import { ReplyPlayer } from "./player.js";
import { Recorder, microphoneProblem } from "./recorder.js";
import { known, t } from "./words.js";

const stage = $(".stage");
const idle = $("[data-idle]");
const video = $("[data-reply]");
const messages = $("[data-messages]");
const form = $("[data-form]");
const text = $("#text");
const talkButton = $("[data-talk]");
const handsFreeButton = $("[data-hands-free]");
const stopButton = $("[data-stop]");
const sendButton = $("[data-send]");
const errorLine = $("[data-form-error]");
const choose = { avatar: $("[data-avatar]"), voice: $("[data-voices]"), persona: $("[data-persona]"), language: $("[data-language]"), timing: $("[data-timing]") };
const TAP_MS = 350;

let avatars = [];
let voices = [];
let chatId = null;
let turn = null; // the answer that is on its way or being played
let live = null; // the hands-free talk, while there is one

const say = (state) => { $("[data-state]").textContent = t(`chat.${state}`); };

function showError(error) {
  const isToldAbove = error?.code === "UNAVAILABLE"; // by the notice about services
  errorLine.textContent = error?.message ?? "";
  errorLine.hidden = !error || isToldAbove;
}

function addMessage(role, words) {
  if (role === "user") past.add();
  const message = el("li", { class: `message ${role}` }, el("span", { textContent: words }));
  messages.append(message);
  messages.scrollTop = messages.scrollHeight;
  return message;
}

function setBusy(isBusy) {
  stopButton.hidden = !isBusy;
  sendButton.hidden = isBusy;
}

/** One question and its answer. */
class Turn {
  constructor(body, question) {
    this.began = performance.now();
    this.sentences = [];
    this.abort = new AbortController();
    this.question = question;
    this.answer = null;
    this.isSilent = true;
    this.player = new ReplyPlayer(video, { onShown: () => this.#shown(), onEnded: () => this.#ended(), onBlocked: offerPlay });
    video.ontimeupdate = () => this.#caption();
    this.run(body).catch((error) => error.name !== "AbortError" && this.#fail(error));
  }

  async run(body) {
    setBusy(true);
    showError(null);
    say(this.question ? "thinking" : "understanding");
    const response = await post(path("chats", chatId, "messages"), body, { signal: this.abort.signal });
    for await (const [name, data] of events(response)) this.#hear(name, data);
    if (turn === this && !this.timeline) this.#fail(networkError()); // neither done nor an error: it was cut off
  }

  #hear(name, data) {
    if (name === "transcript") {
      this.question = addMessage("user", data.text);
      this.transcriptS = this.#seconds();
      say("thinking");
    }
    if (name === "delta") {
      this.answer ??= addMessage("avatar", "");
      this.answer.firstChild.textContent += data.text;
      messages.scrollTop = messages.scrollHeight;
    }
    if (name === "sentence") this.sentences.push(data);
    if (name === "media") {
      this.isSilent = false;
      this.player.append(data.url, data.media_type);
    }
    if (name === "apology") showError(data.error);
    if (name === "done") this.#done(data);
    if (name === "error") this.#fail(data);
  }

  #seconds = () => (performance.now() - this.began) / 1000;

  #shown() {
    this.shownS = this.#seconds();
    stage.classList.add("speaking");
    say("speaking");
    if (this.timeline) this.#showTiming();
  }

  #caption() {
    const now = this.sentences.findLast((sentence) => sentence.start_s <= video.currentTime + 0.05);
    $("[data-caption]").textContent = now && stage.classList.contains("speaking") ? now.text : "";
  }

  #done(data) {
    this.timeline = data.timeline;
    this.player.complete(data.video_url);
    if (!this.answer) this.answer = addMessage("avatar", data.text);
    this.answer.firstChild.textContent = data.text;
    this.foot = el("footer", {}, el("a", { href: `${data.video_url}?download`, textContent: t("chat.download") }));
    this.answer.append(this.foot);
    this.#showTiming();
    messages.scrollTop = messages.scrollHeight;
  }

  #showTiming() {
    $(".timing", this.answer)?.remove();
    if (!choose.timing.checked || !this.foot) return;
    const rows = Object.entries({ ...this.timeline }).map(([name, seconds]) => [known(`timing.${name}`, name), seconds + (this.transcriptS ?? 0)]);
    if (this.transcriptS) rows.unshift([t("timing.transcript"), this.transcriptS]);
    if (this.shownS) rows.push([t("timing.shown"), this.shownS]);
    const cells = rows.flatMap(([name, seconds]) => [el("dt", { textContent: name }), el("dd", { textContent: `${seconds.toFixed(2)} s` })]);
    this.foot.after(el("dl", { class: "timing" }, ...cells));
  }

  #ended() {
    this.#rest();
  }

  #fail(error) {
    showError(error);
    this.player.finish();
    this.#rest();
  }

  #rest() {
    stage.classList.remove("speaking");
    $("[data-caption]").textContent = "";
    $("[data-play]").hidden = true;
    say("ready");
    if (turn === this) {
      turn = null;
      setBusy(false);
    }
  }

  /** The user has had enough: stop everything, and tell how much was heard. */
  async stop() {
    const heard = this.player.stop();
    this.#rest();
    this.abort.abort();
    if (this.answer && !this.foot) this.answer.classList.add("stopped");
    if (this.answer) this.answer.append(el("footer", { textContent: t("chat.stopped") }));
    await post(path("chats", chatId, "interrupt"), { heard_s: heard }).catch(() => {});
  }
}

function offerPlay(play) {
  const button = $("[data-play]");
  button.hidden = false;
  button.onclick = () => { button.hidden = true; play(); };
}

async function ask(body, question) {
  if (!chatId) return;
  if (turn) await turn.stop();
  turn = new Turn(body, question);
}

async function sendText() {
  const words = text.value.trim();
  if (!words || !chatId) return;
  text.value = "";
  if (live) return live.say(words);
  await ask({ text: words }, addMessage("user", words));
}

// Hands-free: the microphone stays open, and whoever speaks is listened to.
function handsFree() {
  let answer = null; // the message being written
  let sentences = [];
  const caption = () => {
    const now = sentences.findLast((sentence) => sentence.start_s <= video.currentTime + 0.05);
    $("[data-caption]").textContent = now && stage.classList.contains("speaking") ? now.text : "";
  };
  video.addEventListener("timeupdate", caption);
  return {
    ready: () => { showError(null); say("listening"); },
    connecting: () => say("connecting"),
    hearing: () => say("listening"),
    transcript: ({ text: words }) => {
      addMessage("user", words);
      answer = null;
      sentences = [];
      say("thinking");
      setBusy(true);
    },
    delta: ({ text: words }) => {
      answer ??= addMessage("avatar", "");
      answer.firstChild.textContent += words;
      messages.scrollTop = messages.scrollHeight;
    },
    sentence: (sentence) => sentences.push(sentence),
    shown: () => { stage.classList.add("speaking"); say("speaking"); },
    resumed: () => say("speaking"),
    interrupted: () => {
      answer?.classList.add("stopped");
      answer?.append(el("footer", { textContent: t("chat.stopped") }));
      setBusy(false);
    },
    rested: () => {
      stage.classList.remove("speaking");
      $("[data-caption]").textContent = "";
      $("[data-play]").hidden = true;
      say("listening");
      setBusy(false);
    },
    blocked: offerPlay,
    apology: ({ error }) => showError(error),
    error: ({ error }) => { showError(error); setBusy(false); },
    closed: () => {
      video.removeEventListener("timeupdate", caption);
      live = null;
      handsFreeButton.setAttribute("aria-pressed", "false");
      handsFreeButton.classList.remove("recording");
      talkButton.disabled = Boolean(microphoneProblem());
      say("ready");
    },
  };
}

async function startHandsFree() {
  if (turn) await turn.stop();
  showError(null);
  handsFreeButton.setAttribute("aria-pressed", "true");
  handsFreeButton.classList.add("recording");
  talkButton.disabled = true;
  live = new LiveTalk(chatId, video, new IdleLoop(idle), handsFree());
  try {
    await live.start();
  } catch (error) {
    live?.close();
    showError(error);
  }
}

handsFreeButton.addEventListener("click", () => (live ? live.close() : startHandsFree()));

// Push to talk: hold, or tap to start and tap again to stop.
let recording = null;
let pressedAt = 0;

async function startTalking() {
  if (recording || !chatId) return;
  pressedAt = performance.now();
  showError(null);
  if (turn) turn.stop();
  recording = Recorder.start();
  try {
    await recording;
    talkButton.classList.add("recording");
    say("listening");
  } catch (error) {
    recording = null;
    showError(error);
  }
}

async function stopTalking() {
  if (!recording) return;
  const recorder = await recording.catch(() => null);
  recording = null;
  talkButton.classList.remove("recording");
  say("ready");
  const file = await recorder?.stop();
  if (!file) return;
  if (recorder.seconds < 0.4) {
    showError({ message: t("chat.you_said_nothing") });
    return;
  }
  const body = new FormData();
  body.set("audio", file, file.name);
  await ask(body, null);
}

function releaseTalking() {
  if (performance.now() - pressedAt > TAP_MS) stopTalking();
}

talkButton.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  talkButton.focus();
  if (recording) stopTalking();
  else startTalking();
});
talkButton.addEventListener("pointerup", releaseTalking);
talkButton.addEventListener("keydown", (event) => {
  if (event.repeat || ![" ", "Enter"].includes(event.key)) return;
  event.preventDefault();
  if (recording) stopTalking();
  else startTalking();
});
talkButton.addEventListener("keyup", (event) => [" ", "Enter"].includes(event.key) && releaseTalking());

form.addEventListener("submit", (event) => { event.preventDefault(); sendText(); });
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendText();
  }
});
stopButton.addEventListener("click", () => (live ? live.stop() : turn?.stop()));

function showAvatar(avatar) {
  $("[data-avatar-name]").textContent = avatar.name;
  idle.poster = avatarFile(avatar.name, "thumbnail");
  idle.src = avatar.files.includes("idle") ? avatarFile(avatar.name, "idle") : "";
  idle.play().catch(() => {});
  fillSelect(choose.voice, voiceOptions(voices, avatar.voice), avatar.voice ?? "");
}

const setEnabled = (isOn) => {
  text.disabled = sendButton.disabled = !isOn;
  talkButton.disabled = !isOn || Boolean(microphoneProblem());
  handsFreeButton.disabled = talkButton.disabled || !LiveTalk.isPossible();
};

/** Leave this chat for one that `fetched` brings: a new one, or an old one to go on with. */
async function enter(fetched) {
  live?.close();
  if (turn) await turn.stop();
  await leaveChat();
  setEnabled(false);
  say("connecting");
  try {
    const chat = await fetched();
    showChosen(chat);
    chatId = chat.id;
    past.begin(chat);
    messages.replaceChildren();
    showError(null);
    if (chat.greeting) addMessage("avatar", chat.greeting);
    for (const message of chat.messages) addMessage(message.role === "user" ? "user" : "avatar", message.text);
    setEnabled(true);
    say("ready");
  } catch (error) {
    showError(error);
  }
}

async function startChat() {
  const wanted = { avatar: choose.avatar.value, voice: choose.voice.value, persona: choose.persona.value, language: choose.language.value };
  await enter(async () => (await post(path("chats"), wanted)).json());
}

const reopen = (id) => enter(() => get(path("chats", id)));

function showChosen(chat) {
  choose.avatar.value = chat.avatar;
  showAvatar(avatars.find((avatar) => avatar.name === chat.avatar) ?? { name: chat.avatar, files: [] });
  for (const name of ["voice", "persona", "language"]) {
    const value = chat[name] ?? "";
    if ([...choose[name].options].some((option) => option.value === value)) choose[name].value = value;
  }
}

/** What was said stays with the gateway; a chat in which nothing was said, or that it does not keep, goes. */
async function leaveChat() {
  live?.close();
  const id = chatId;
  chatId = null;
  if (id && !past.isWorthKeeping()) await remove(path("chats", id), { keepalive: true }).catch(() => {});
}

const past = new History($("[data-history]"), { onOpen: reopen, onDeleted: (id) => { if (id === chatId) { chatId = null; startChat(); } } });

async function load() {
  avatars = await listAvatars();
  if (!avatars.length) {
    $("main").replaceChildren(templateCopy("no-avatars"));
    return;
  }
  voices = await listVoices().catch(() => []);
  const personas = (await get(path("engines"))).llm?.personas ?? [];
  fillSelect(choose.avatar, avatars.map((avatar) => [avatar.name, avatar.name]), new URLSearchParams(location.search).get("avatar") ?? avatars[0].name);
  fillSelect(choose.persona, personas.map((persona) => [persona.name, persona.title]));
  showAvatar(avatars.find((avatar) => avatar.name === choose.avatar.value));
  await resumeOrStart();
}

/** A page that is loaded anew, or come back to, goes on where it was, unless another avatar is asked for. */
async function resumeOrStart() {
  const asked = new URLSearchParams(location.search).get("avatar");
  const before = History.current();
  const chat = before && (await get(path("chats", before)).catch(() => null));
  if (chat?.messages.length && (!asked || asked === chat.avatar)) await enter(async () => chat);
  else await startChat();
}

choose.avatar.addEventListener("change", () => { showAvatar(avatars.find((avatar) => avatar.name === choose.avatar.value)); startChat(); });
for (const name of ["voice", "persona", "language"]) choose[name].addEventListener("change", startChat);
$("[data-restart]").addEventListener("click", startChat);
$("[data-microphone-help]").textContent = microphoneProblem();
addEventListener("pagehide", leaveChat);
addEventListener("pageshow", (event) => event.persisted && resumeOrStart());

const reload = () => load().catch(showError);
reload();
watchServices(() => { if (!chatId) reload(); });
