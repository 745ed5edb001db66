// The microphone.
import { t } from "./words.js";

const KINDS = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** Why this page cannot use the microphone, in words; empty when it can. */
export function microphoneProblem() {
  if (!window.isSecureContext) return t("microphone.insecure");
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return t("microphone.unsupported");
  return "";
}

/** The sound of the microphone, without what the loudspeaker says. */
export async function openMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
  } catch (error) {
    const problems = { NotFoundError: "microphone.missing", NotReadableError: "microphone.busy" };
    throw new Error(t(problems[error.name] ?? "microphone.denied"));
  }
}

/** One recording. */
export class Recorder {
  static async start() {
    return new Recorder(await openMicrophone());
  }

  constructor(stream) {
    const mimeType = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    this.began = performance.now();
    this.blocks = [];
    this.recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.recorder.ondataavailable = (event) => this.blocks.push(event.data);
    this.ended = new Promise((resolve) => { this.recorder.onstop = resolve; });
    this.recorder.start();
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  /** End the recording; returns it as a file. */
  async stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
    await this.ended;
    for (const track of this.recorder.stream.getTracks()) track.stop();
    const type = this.recorder.mimeType.split(";")[0] || "audio/webm";
    const ending = { "audio/mp4": "m4a", "audio/ogg": "ogg" }[type] ?? "webm";
    return new File(this.blocks, `${t("microphone.name")}.${ending}`, { type });
  }
}
