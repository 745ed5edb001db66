// A hands-free talk over one WebSocket: docs/live-protocol.md in the browser.
import { networkError } from "./api.js";
import { PiecePlayer, ReplyPlayer } from "./player.js";
import { openMicrophone } from "./recorder.js";
import { t } from "./words.js";

const RATE = 16000;
const HEADER_UP = 4;
const HEADER_DOWN = 12;
const TAKEN_OVER = 1000; // closed on purpose: the chat was ended, or goes on elsewhere
const RETRY_MS = [500, 1000, 2000, 4000, 8000]; // and 8000 again and again
const PATIENCE_MS = 180_000; // longer than a gateway takes to start again
const FADE_MS = 200; // as in the style sheet
const REST_EVERY_MS = 1000;
const SILENCE_DB = -60; // where the level of the microphone begins

/** The microphone as pieces of PCM at 16 kHz, until it is closed. */
class LiveMicrophone {
  /** `onPiece` gets the sound; `onLost` is called when the microphone is taken away. */
  static async open(onPiece, onLost) {
    const stream = await openMicrophone();
    const context = new AudioContext(); // at the device's rate: Firefox refuses the microphone in another
    try {
      await context.audioWorklet.addModule("/static/js/microphone-worklet.js");
      const source = context.createMediaStreamSource(stream);
      const node = new AudioWorkletNode(context, "microphone");
      node.port.onmessage = ({ data }) => onPiece(data);
      source.connect(node).connect(context.destination); // silence; a node that leads nowhere may not be run
      await context.resume();
    } catch {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw new Error(t("microphone.unsupported"));
    }
    stream.getAudioTracks()[0].addEventListener("ended", onLost);
    return new LiveMicrophone(stream, context);
  }

  constructor(stream, context) {
    Object.assign(this, { stream, context });
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

/** `idle` is the loop shown between replies, and while the user speaks into one. `ui` hears of every event by its name, and
    of `shown` (seconds since the user ended, and those of them that the reply was held back until enough of it had come), `underrun`
    (it stands still because the rest is late), `heard` (to its end), `level` (of the microphone, 0 to 1), `rested`, `blocked`, `connecting`
    and `closed`. */
export class LiveTalk {
  constructor(chatId, video, idle, ui) {
    Object.assign(this, { chatId, video, idle, ui });
    this.reply = 0;
    this.player = null;
    this.fading = null; // the player whose last picture still fades
    this.isHearing = false;
    this.failures = 0;
    this.lostAt = null;
    this.unsent = [];
    this.isClosed = false;
  }

  /** Why this browser cannot talk live, in words; empty when it can. */
  static problem() {
    if (!window.AudioWorkletNode || !window.WebSocket) return t("microphone.unsupported");
    return ReplyPlayer.isPossible() ? "" : t("chat.cannot_stream");
  }

  async start() {
    this.microphone = await LiveMicrophone.open((pcm) => this.#hear(pcm), () => this.#fail(t("microphone.missing")));
    if (this.isClosed) return this.microphone.close(); // given up while the browser was asking
    this.video.ontimeupdate = () => this.#played();
    this.resting = setInterval(() => this.#rest(), REST_EVERY_MS);
    this.#connect();
  }

  /** What is written while there is no connection is sent as soon as there is one. */
  say(text) {
    this.saidAt = performance.now();
    if (this.isReady) this.#send({ type: "text", text });
    else this.unsent.push(text);
  }

  /** Go on with another `avatar`, `voice`, `persona` or `language`, at another `rate` or `pitch_semitones`. */
  use(chosen) {
    this.#send({ type: "use", ...chosen });
  }

  stop() {
    this.#played();
    this.#send({ type: "stop" });
  }

  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    clearInterval(this.resting);
    this.#played();
    this.microphone?.close();
    this.socket?.close();
    this.#drop();
    this.ui.closed();
  }

  #fail(message) {
    this.ui.error({ error: { message } });
    this.close();
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/chats/${encodeURIComponent(this.chatId)}/live?version=1`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.pieces = 0;
    this.isReady = false;
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#told(JSON.parse(data)) : this.#piece(data));
    socket.onclose = ({ code }) => (code === TAKEN_OVER ? this.close() : this.#lost());
  }

  /** The connection is gone: what was said is kept by the gateway, so a new one goes on with the same chat. */
  #lost() {
    if (this.isClosed) return;
    this.isReady = false;
    this.#drop();
    this.lostAt ??= performance.now();
    if (performance.now() - this.lostAt > PATIENCE_MS) {
      this.#fail(networkError().message);
      return;
    }
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.ui.connecting();
    setTimeout(() => this.isClosed || this.#connect(), wait);
  }

  #send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
  }

  #hear(pcm) {
    this.ui.level(level(new Int16Array(pcm)));
    if (!this.isReady || this.socket.readyState !== WebSocket.OPEN) return;
    this.microphoneBegan = this.pieces ? this.microphoneBegan : performance.now() - (1000 * pcm.byteLength) / 2 / RATE;
    const message = new Uint8Array(HEADER_UP + pcm.byteLength);
    new DataView(message.buffer).setUint32(0, this.pieces, true);
    message.set(new Uint8Array(pcm), HEADER_UP);
    this.pieces += 1;
    this.#send(message.buffer);
  }

  #told(event) {
    if (event.type === "ready") this.#ready();
    if (event.type === "hearing") this.#pause();
    if (event.type === "resumed") this.#resume();
    if (event.type === "transcript") this.#understood(event);
    if (event.type === "interrupted" && event.reply === this.reply) this.#breakOff(event);
    if (event.type === "media") this.#begin(event);
    this.ui[event.type]?.(event);
    if (["done", "error"].includes(event.type) && event.reply === this.reply) this.player?.end(); // what has come is played
    if (event.type === "error" && event.is_final) this.close();
  }

  #ready() {
    this.isReady = true;
    this.failures = 0;
    this.lostAt = null;
    for (const text of this.unsent.splice(0)) this.#send({ type: "text", text });
  }

  #understood({ end_s }) {
    this.isHearing = false;
    this.askedAt = end_s === null ? this.saidAt : this.microphoneBegan + 1000 * end_s;
  }

  async #begin({ reply, media_type, start_frame_index }) {
    this.#drop();
    this.fading?.finish();
    if (!ReplyPlayer.isPossible(media_type)) return this.#fail(t("chat.cannot_stream"));
    this.reply = reply;
    this.isShown = false;
    const player = this.player = new PiecePlayer(this.video, {
      onShown: () => this.#shown(),
      onUnderrun: () => this.ui.underrun(),
      onEnded: () => this.#ended(),
      onBlocked: (play) => this.ui.blocked(play),
      onBroken: () => this.#fail(t("chat.cannot_stream")),
    });
    player.begin(media_type);
    player.hold();
    await this.idle.reach(start_frame_index);
    if (this.player === player && !this.isHearing) player.resume();
  }

  #shown() {
    this.isShown = true;
    this.ui.shown((performance.now() - this.askedAt) / 1000, this.player.heldS);
  }

  #breakOff({ next_frame_index }) {
    if (!this.isHearing) this.idle.standOn(next_frame_index); // else it is seen already, and would jump
    this.#drop();
  }

  /** Tell where the loop stands: the next reply begins there. */
  #rest() {
    if (!this.player && this.isReady) this.#send({ type: "resting", frame_index: this.idle.frame });
  }

  #piece(message) {
    const header = new DataView(message);
    const reply = header.getUint32(0, true);
    if (header.getUint32(4, true) === 1) this.#send({ type: "received", reply });
    if (reply === this.reply) this.player?.push(new Uint8Array(message, HEADER_DOWN));
  }

  #pause() {
    this.isHearing = true;
    this.player?.hold();
    this.#played();
  }

  #resume() {
    this.isHearing = false;
    this.player?.resume();
  }

  #played(isOver = false) {
    if (this.player) this.#send({ type: "played", reply: this.reply, seconds: this.video.currentTime, is_over: isOver });
  }

  #ended() {
    this.#played(true);
    if (this.isShown) this.ui.heard();
    this.#drop();
  }

  #drop() {
    if (!this.player) return;
    const player = this.fading = this.player;
    this.player = null;
    this.isShown = false;
    player.stopPlaying();
    setTimeout(() => player.finish(), FADE_MS);
    this.idle.play();
    this.#rest();
    this.ui.rested();
  }
}

/** How loud some sound is, from 0, which is hardly heard, to 1. */
function level(samples) {
  const power = samples.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / samples.length;
  return Math.max(0, 1 - (10 * Math.log10(power || 1e-12)) / SILENCE_DB);
}
