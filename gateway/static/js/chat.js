// Chat: a face that listens, thinks and answers.
import { events, get, networkError, patch, path, post, remove } from "./api.js";
import { Answer, addMessage, addStored } from "./answer.js";
import { STANDARD_VOICE, listAvatars, listVoices, voiceOptions } from "./avatars.js";
import { $, $$, fillSelect, templateCopy } from "./dom.js";
import { EngineField, isAble, isMissing, lackOf, listEngines } from "./engines.js";
import { History } from "./history.js";
import { LiveTalk } from "./live.js";
import { watchServices } from "./notice.js";
import { ReplyPlayer } from "./player.js";
import { Recorder, microphoneProblem } from "./recorder.js";
import { tell } from "./slider.js";
import { Stage } from "./stage.js";
import { t } from "./words.js";

const stage = new Stage($(".stage"));
const messages = $("[data-messages]");
const form = $("[data-form]");
const text = $("#text");
const talkButton = $("[data-talk]");
const handsFreeButton = $("[data-hands-free]");
const stopButton = $("[data-stop]");
const sendButton = $("[data-send]");
const errorLine = $("[data-form-error]");
const timing = $("[data-timing]");
const level = $("[data-level]");
const engines = Object.fromEntries(["asr", "llm", "tts"].map((service) => [`${service}_engine`, new EngineField($(`[data-engine=${service}]`))]));
const choose = {
  avatar: $("[data-avatar]"), voice: $("[data-voices]"), persona: $("[data-persona]"), language: $("[data-language]"),
  ...Object.fromEntries(Object.entries(engines).map(([name, field]) => [name, field.select])),
};
const prosody = { rate: $("[data-rate]"), pitch_semitones: $("[data-pitch]") };
const TAP_MS = 350;

let avatars = [];
let voices = [];
let heads = []; // the engines that show avatars
let chatId = null;
let cast = null; // avatar, voice, persona, language, engines, rate and pitch that the gateway knows of
let turn = null; // the answer that is on its way or being played
let live = null; // the hands-free talk, while there is one

function showError(error) {
  const isToldAbove = error?.code === "UNAVAILABLE" && !$("#notice").hidden; // by the notice about services
  errorLine.textContent = error?.message ?? "";
  errorLine.hidden = !error || isToldAbove;
}

function addQuestion(words) {
  past.add();
  return addMessage(messages, "user", words);
}

function setBusy(isBusy) {
  stopButton.hidden = !isBusy;
  sendButton.hidden = isBusy;
  if (!isBusy && cast) showFace(cast.avatar); // of whom the next answer is
}

const isBusy = () => !stopButton.hidden;

/** What the events of a reply do, whether it was asked for in writing or live; `answer()` is the one that they are of. */
const ofReply = (answer) => ({
  delta: ({ text: words }) => answer().write(words),
  sentence: (sentence) => stage.caption.sentence(sentence),
  words: (words) => stage.caption.words(words),
  progress: (told) => stage.render(told),
  apology: ({ error }) => showError(error),
  done: (told) => { answer().done(told); stage.goOnAt(told.next_frame_index); },
});

/** One question and its answer. */
class Turn {
  constructor(body, question) {
    this.began = performance.now();
    this.abort = new AbortController();
    this.question = question;
    this.answer = new Answer(messages, cast.avatar);
    this.ofReply = ofReply(() => this.answer);
    stage.caption.reset();
    this.player = new ReplyPlayer(stage.video, {
      onShown: () => this.#shown(),
      onEnded: () => this.#ended(),
      onBlocked: (play) => stage.offerPlay(play),
      onUnderrun: () => this.answer.stoodStill(),
      onBroken: () => this.#cut({ message: t("chat.cannot_play") }),
    });
    this.run(body).catch((error) => error.name !== "AbortError" && this.#fail(error));
  }

  async run(body) {
    setBusy(true);
    showError(null);
    stage.say(this.question ? "thinking" : "understanding");
    const response = await post(path("chats", chatId, "messages"), body, { signal: this.abort.signal });
    for await (const [name, data] of events(response)) this.#hear(name, data);
    if (turn === this && !this.answer.isOver) this.#fail(networkError()); // neither done nor an error: it was cut off
  }

  #hear(name, data) {
    if (name === "transcript") {
      this.question = addQuestion(data.text);
      stage.say("thinking");
    }
    if (name === "media") this.player.append(data.url, data.media_type);
    this.ofReply[name]?.(data);
    if (name === "done") this.player.complete(data.video_url);
    if (name === "error") this.#fail(data);
  }

  #shown() {
    stage.speak();
    this.answer.shown((performance.now() - this.began) / 1000, this.player.heldS);
  }

  #ended() {
    this.#rest();
  }

  /** Nothing more will come; what has come is played. */
  #fail(error) {
    showError(error);
    this.answer.stop(t("chat.broken_off"));
    if (this.player.feeding) this.player.complete();
    else this.#cut(error);
  }

  #cut(error) {
    showError(error);
    this.player.finish();
    this.#rest();
  }

  #rest() {
    if (turn !== this) return;
    stage.rest();
    stage.say("ready");
    turn = null;
    setBusy(false);
  }

  /** The user has had enough: stop everything, and tell how much was heard. */
  async stop() {
    const heard = this.player.stop();
    this.#rest();
    this.abort.abort();
    this.answer.stop();
    const response = await post(path("chats", chatId, "interrupt"), { heard_s: heard }).catch(() => null);
    const last = (await response?.json())?.messages.at(-1);
    if (last?.role === "assistant") this.answer.part(last);
  }
}

async function ask(body, question) {
  if (!chatId) return;
  if (turn) await turn.stop();
  turn = new Turn(body, question);
}

async function sendText() {
  const words = text.value.trim();
  if (!words || !chatId) return;
  if (words.length > Number(text.dataset.most)) { // what would be refused stays, to be shortened
    showError({ message: t("error.text_too_long", { count: words.length, max: text.dataset.most }) });
    return;
  }
  text.value = "";
  if (live) return live.say(words);
  await ask({ text: words }, addQuestion(words));
}

// Hands-free: the microphone stays open, and whoever speaks is listened to.
function handsFree() {
  let question = null;
  let answer = new Answer(messages);
  let interim = null; // what is being said, as far as it is understood
  const understand = (words) => {
    if (words) interim ??= addMessage(messages, "user interim", "");
    else interim = interim?.remove();
    if (interim) interim.firstChild.textContent = words;
    messages.scrollTop = messages.scrollHeight;
  };
  return {
    ready: () => { showError(null); stage.say("listening"); },
    connecting: () => {
      understand("");
      answer.stop(t("chat.broken_off"));
      setBusy(false);
      stage.say("connecting");
      showError({ message: t("chat.lost") });
    },
    hearing: () => { stage.listen(); stage.say("listening"); },
    level: (value) => { level.value = value; },
    interim: ({ text: words }) => understand(words),
    transcript: ({ text: words, goes_on: goesOn }) => {
      understand("");
      if (goesOn) answer.remove();
      if (goesOn) question?.remove();
      question = addQuestion(words);
      showError(null);
      answer = new Answer(messages, cast.avatar);
      stage.caption.reset();
      stage.say("thinking");
      setBusy(true);
    },
    ...ofReply(() => answer),
    shown: (seconds, heldS) => { stage.speak(); answer.shown(seconds, heldS); },
    underrun: () => answer.stoodStill(),
    resumed: () => {
      understand("");
      if (live?.isShown) stage.speak();
      else stage.say("thinking");
    },
    interrupted: (told) => { answer.stop(); answer.part(told); setBusy(false); },
    heard: () => answer.heard(),
    rested: () => { stage.rest(); stage.say("listening"); setBusy(false); },
    blocked: (play) => stage.offerPlay(play),
    using: (now) => showCast(now),
    error: ({ reply, error }) => {
      showError(error);
      if (!reply && (error.field in choose || error.field in prosody)) return showCast(cast); // what was chosen is not to be had
      if (reply) answer.stop(t("chat.broken_off"));
      setBusy(false);
    },
    closed: () => {
      live = null;
      understand("");
      level.hidden = true;
      answer.stop();
      stage.rest();
      setBusy(false);
      handsFreeButton.setAttribute("aria-pressed", "false");
      handsFreeButton.classList.remove("recording");
      setEnabled(Boolean(chatId));
      stage.say("ready");
    },
  };
}

async function startHandsFree() {
  if (turn) await turn.stop();
  const problem = LiveTalk.problem();
  showError(problem ? { message: problem } : null);
  if (problem) return;
  handsFreeButton.setAttribute("aria-pressed", "true");
  handsFreeButton.classList.add("recording");
  talkButton.disabled = true;
  level.value = 0;
  level.hidden = false;
  live = new LiveTalk(chatId, stage.video, stage.loop, handsFree());
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
    stage.say("listening");
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
  stage.say("ready");
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

/** Who talks from the next answer on, as the gateway says. An answer that is on its way keeps its face and name. */
function showCast(now) {
  cast = Object.fromEntries(Object.keys(choose).map((name) => [name, now[name] ?? (name === "voice" ? STANDARD_VOICE : "")]));
  showVoices(cast.avatar);
  for (const [name, field] of Object.entries(engines)) field.choose(cast[name]);
  showLanguages(cast.language);
  for (const [name, value] of Object.entries(cast)) {
    if ([...choose[name].options].some((option) => option.value === value)) choose[name].value = value;
  }
  for (const [name, slider] of Object.entries(prosody)) {
    cast[name] = slider.value = now[name];
    slider.dispatchEvent(new Event("input"));
  }
  if (chatId) setEnabled(true);
  if (isBusy()) $("[data-from-next]").textContent = cast.avatar === stage.avatar ? "" : t("chat.from_next", { name: cast.avatar });
  else showFace(cast.avatar);
}

const known = (name) => avatars.find((one) => one.name === name) ?? { name, files: [] };

function showVoices(name) {
  const { voice } = known(name);
  fillSelect(choose.voice, voiceOptions(voices, voice), voice ?? STANDARD_VOICE);
}

/** Whose engine makes a clip of each answer, and cannot be live. */
function showPace({ name, engine }) {
  const told = heads.find((one) => one.name === engine);
  $("[data-turn-by-turn]").textContent = told && !isAble("streaming")(told) ? t("chat.turn_by_turn", { name, engine }) : "";
}

function showFace(name) {
  $("[data-avatar-name]").textContent = name;
  showPace(known(name));
  $("[data-from-next]").textContent = "";
  stage.show(known(name));
}

/** Go on with another avatar, voice, persona, language or engine, faster or higher; what was said stays. */
async function change(name) {
  const chosen = { [name]: name in prosody ? Number(prosody[name].value) : choose[name].value };
  const { language } = choose;
  if (name in engines && language.value && !talkable(language.value).includes(language.value)) chosen.language = language.value = "";
  if (!chatId) return startChat();
  if (live?.isReady) return live.use(chosen);
  try {
    showError(null);
    showCast(await patch(path("chats", chatId), chosen));
  } catch (error) {
    showError(error);
    showCast(cast);
  }
}

const ears = () => engines.asr_engine.engine;
const languageName = (tag) => new Intl.DisplayNames(document.documentElement.lang, { type: "language" }).of(tag);
const primary = (tag) => tag.split("-")[0];

/** Whether the recogniser knows a language; one that tells of none may know all. */
const knows = (engine, tag) => !engine.languages.length || engine.languages.some((one) => primary(one) === primary(tag));
const isHeard = (tag) => !ears() || knows(ears(), tag);

/** Why who speaks would not be understood, in words; empty if nothing is known against it. */
function hearingProblem() {
  const language = choose.language.value;
  if (ears() && isMissing(ears())) return `${ears().name}: ${lackOf(ears())}`;
  if (!language || isHeard(language)) return microphoneProblem();
  return microphoneProblem() || [t("chat.not_heard", { engine: ears().name, known: heardLanguages(), language: languageName(language) }), heardBy(language)].join(" ");
}

/** Which other engines would understand a language. */
function heardBy(language) {
  const names = engines.asr_engine.ready.filter((one) => knows(one, language)).map((one) => one.name);
  return names.length ? t("chat.heard_by", { engines: names.join(", ") }) : "";
}

const heardLanguages = () => ears().languages.map(languageName).join(", ");

/** Languages that the chosen engines both write and speak; one that names none knows any. `also` is the one chosen. */
function talkable(also = "") {
  const known = [engines.llm_engine, engines.tts_engine].map(({ engine }) => engine?.languages.map(primary) ?? []).filter((tags) => tags.length);
  const [tags = ["en", "zh"], ...others] = known;
  const both = new Set(tags.filter((tag) => others.every((more) => more.includes(tag))));
  return both.has(primary(also)) ? [...both.add(also)] : [...both];
}

function showLanguages(chosen) {
  const own = (tag) => new Intl.DisplayNames([tag, document.documentElement.lang], { type: "language" }).of(tag);
  const options = talkable(chosen).map((tag) => [tag, own(tag)]).sort(([, one], [, other]) => one.localeCompare(other, "en"));
  fillSelect(choose.language, [["", t("generate.language_auto")], ...options], chosen);
}

/** What else is good to know before speaking: who reads this page in a language may well speak it. */
const hearingHint = () => (choose.language.value || isHeard(document.documentElement.lang) ? "" : t("chat.hears_only", { known: heardLanguages() }));

function setEnabled(isOn) {
  const problem = hearingProblem();
  text.disabled = sendButton.disabled = !isOn;
  talkButton.disabled = !isOn || Boolean(problem || live);
  handsFreeButton.disabled = !isOn || Boolean(problem && !live); // a talk that goes on can be ended
  $("[data-microphone-help]").textContent = problem || hearingHint();
}

/** Leave this chat for one that `fetched` brings: a new one, or an old one to go on with. */
async function enter(fetched) {
  live?.close();
  if (turn) await turn.stop();
  await leaveChat();
  setEnabled(false);
  stage.say("connecting");
  try {
    const chat = await fetched();
    showCast(chat);
    chatId = chat.id;
    past.begin(chat);
    messages.replaceChildren();
    showError(null);
    if (chat.greeting) addMessage(messages, "avatar", chat.greeting, chat.greeted_by);
    for (const message of chat.messages) addStored(messages, message);
    setEnabled(true);
    stage.say("ready");
  } catch (error) {
    showError(error);
  }
}

async function startChat() {
  const controls = Object.entries({ ...choose, ...prosody });
  const wanted = Object.fromEntries(controls.map(([name, control]) => [name, control.value]));
  await enter(async () => (await post(path("chats"), wanted)).json());
}

const reopen = (id) => enter(() => get(path("chats", id)));

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
  await showEngines();
  $("[data-engines]").open = Object.values(engines).some((field) => field.ready.length > 1);
  const { personas } = await get(path("personas"));
  fillSelect(choose.avatar, avatars.map((avatar) => [avatar.name, avatar.name]), new URLSearchParams(location.search).get("avatar") ?? avatars[0].name);
  fillSelect(choose.persona, personas.map((persona) => [persona.name, persona.title]));
  showVoices(choose.avatar.value);
  showFace(choose.avatar.value);
  await resumeOrStart();
}

async function showEngines() {
  const told = await listEngines();
  heads = told.render ?? [];
  if (stage.avatar) showPace(known(stage.avatar));
  for (const [name, field] of Object.entries(engines)) {
    if (field.show(told[name.split("_")[0]]) && cast) field.choose(cast[name]);
  }
  showLanguages(cast?.language ?? choose.language.value);
}

/** A page that is loaded anew, or come back to, goes on where it was, unless another avatar is asked for. */
async function resumeOrStart() {
  const asked = new URLSearchParams(location.search).get("avatar");
  const before = History.current();
  const chat = before && (await get(path("chats", before)).catch(() => null));
  if (chat?.messages.length && (!asked || asked === chat.avatar)) await enter(async () => chat);
  else await startChat();
}

for (const [name, control] of Object.entries({ ...choose, ...prosody })) control.addEventListener("change", () => change(name));
for (const slider of Object.values(prosody)) tell(slider, $(`output[for=${slider.id}]`));
for (const drawer of $$(".drawer")) drawer.addEventListener("click", ({ target }) => target === drawer && drawer.close()); // beside it
timing.addEventListener("change", () => {
  messages.classList.toggle("with-timing", timing.checked);
  messages.scrollTop = messages.scrollHeight;
});
$("[data-restart]").addEventListener("click", startChat);
$("[data-open-history]").addEventListener("click", () => past.open());
$("[data-open-settings]").addEventListener("click", () => {
  $("[data-settings]").showModal();
  showEngines().catch(() => {}); // what was missing may be there by now
});
addEventListener("pagehide", leaveChat);
addEventListener("pageshow", (event) => event.persisted && resumeOrStart());

const reload = () => load().catch(showError);
reload();
watchServices(() => { if (!chatId) reload(); });
