// A hands-free talk over one WebSocket: docs/live-protocol.md in the browser.
import { networkError } from "./api.js";
import { PiecePlayer } from "./player.js";
import { openMicrophone } from "./recorder.js";
import { t } from "./words.js";

const RATE = 16000;
const HEADER_UP = 4;
const HEADER_DOWN = 12;
const TAKEN_OVER = 1000; // closed on purpose: the chat was ended, or goes on elsewhere
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const FADE_MS = 200; // as in the style sheet
const REST_EVERY_MS = 1000;

/** The microphone as pieces of PCM at 16 kHz, until it is closed. */
class LiveMicrophone {
  static async open(onPiece) {
    const stream = await openMicrophone();
    const context = new AudioContext({ sampleRate: RATE });
    try {
      await context.audioWorklet.addModule("/static/js/microphone-worklet.js");
      const source = context.createMediaStreamSource(stream); // Firefox refuses another rate than the device's
      const node = new AudioWorkletNode(context, "microphone");
      node.port.onmessage = ({ data }) => onPiece(data);
      source.connect(node).connect(context.destination); // silence; a node that leads nowhere may not be run
      await context.resume();
    } catch {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw new Error(t("microphone.unsupported"));
    }
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

/** `idle` is the loop shown between replies. `ui` hears of every event by its name, and of `shown`, `rested`, `blocked` and `closed`. */
export class LiveTalk {
  constructor(chatId, video, idle, ui) {
    Object.assign(this, { chatId, video, idle, ui });
    this.reply = 0;
    this.player = null;
    this.fading = null; // the player whose last picture still fades
    this.isHearing = false;
    this.failures = 0;
    this.isClosed = false;
  }

  static isPossible = () => Boolean(window.AudioWorkletNode && window.WebSocket && (window.ManagedMediaSource ?? window.MediaSource));

  async start() {
    this.microphone = await LiveMicrophone.open((pcm) => this.#hear(pcm));
    if (this.isClosed) return this.microphone.close(); // given up while the browser was asking
    this.video.ontimeupdate = () => this.#played();
    this.resting = setInterval(() => this.#rest(), REST_EVERY_MS);
    this.#connect();
  }

  say(text) {
    this.#send({ type: "text", text });
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
    this.#drop();
    const wait = RETRY_MS[this.failures];
    this.failures += 1;
    if (wait === undefined) {
      this.ui.error({ error: networkError() });
      this.close();
      return;
    }
    this.ui.connecting();
    setTimeout(() => this.isClosed || this.#connect(), wait);
  }

  #send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message instanceof ArrayBuffer ? message : JSON.stringify(message));
  }

  #hear(pcm) {
    if (!this.isReady || this.socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(HEADER_UP + pcm.byteLength);
    new DataView(message.buffer).setUint32(0, this.pieces, true);
    message.set(new Uint8Array(pcm), HEADER_UP);
    this.pieces += 1;
    this.#send(message.buffer);
  }

  #told(event) {
    if (event.type === "ready") {
      this.isReady = true;
      this.failures = 0;
    }
    if (event.type === "hearing") this.#pause();
    if (event.type === "resumed") this.#resume();
    if (event.type === "transcript") this.isHearing = false;
    if (event.type === "interrupted" && event.reply === this.reply) this.#breakOff(event);
    if (event.type === "media") this.#begin(event);
    if (event.type === "done" && event.reply === this.reply) this.#complete(event);
    this.ui[event.type]?.(event);
    if (event.type === "error" && event.is_final) this.close();
  }

  async #begin({ reply, media_type, start_frame_index }) {
    this.#drop();
    this.fading?.finish();
    this.reply = reply;
    const player = this.player = new PiecePlayer(this.video, {
      onShown: () => this.ui.shown(),
      onEnded: () => this.#ended(),
      onBlocked: (play) => this.ui.blocked(play),
    });
    player.begin(media_type);
    player.hold();
    await this.idle.reach(start_frame_index);
    if (this.player === player && !this.isHearing) player.resume();
  }

  #complete({ next_frame_index }) {
    this.player?.end();
    this.idle.standOn(next_frame_index);
  }

  #breakOff({ next_frame_index }) {
    this.idle.standOn(next_frame_index);
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
    this.#drop();
  }

  #drop() {
    if (!this.player) return;
    const player = this.fading = this.player;
    this.player = null;
    player.stopPlaying();
    setTimeout(() => player.finish(), FADE_MS);
    this.idle.play();
    this.#rest();
    this.ui.rested();
  }
}
