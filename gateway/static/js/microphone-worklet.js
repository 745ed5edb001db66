// Runs on the audio thread: the microphone in pieces of 40 ms, signed 16 bit, at 16 kHz. The context runs at the device's rate:
// Firefox connects no microphone to one of another rate.
import { Resampler } from "./resampler.js";

const RATE = 16000;
const SAMPLES = 640;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.samples = new Int16Array(SAMPLES);
    this.count = 0;
  }

  process([[channel]]) {
    for (const value of this.resampler.convert(channel ?? [])) {
      this.samples[this.count] = Math.max(-1, Math.min(1, value)) * 32767;
      this.count += 1;
      if (this.count < SAMPLES) continue;
      this.port.postMessage(this.samples.buffer.slice(0));
      this.count = 0;
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
