// Sound at any rate to another one: a low-pass that keeps what the new rate can carry, read at the new rate's moments.

const ZERO_CROSSINGS = 24; // of the kernel, on each side
const PASSED = 0.92; // of the narrower band: the rest is where the filter falls, so that nothing above is folded back
const BETA = 8; // of the Kaiser window: what is to be kept out is 80 dB down

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

/** The modified Bessel function of order 0. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-9; k += 1) sum += term *= (x / 2 / k) ** 2;
  return sum;
}

function kernel(x, reach, cutoff) {
  if (Math.abs(x) >= reach) return 0;
  const angle = Math.PI * cutoff * x;
  return cutoff * (x ? Math.sin(angle) / angle : 1) * (bessel(BETA * Math.sqrt(1 - (x / reach) ** 2)) / bessel(BETA));
}

/** One kernel for each place where a new sample may lie between two old ones. */
function kernels(phases, reach, cutoff) {
  return Array.from({ length: phases }, (_, phase) => {
    const taps = Float32Array.from({ length: 2 * reach }, (_, tap) => kernel(tap - reach + 1 - phase / phases, reach, cutoff));
    const gain = taps.reduce((sum, each) => sum + each, 0);
    return taps.map((each) => each / gain);
  });
}

/** Converts a stream, block by block; rates are whole Hertz. */
export class Resampler {
  constructor(from, to) {
    const common = gcd(from, to);
    this.step = from / common; // between two new samples, in phases
    this.phases = to / common;
    this.isSame = from === to;
    const cutoff = PASSED * Math.min(1, to / from);
    const reach = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.kernels = this.isSame ? [] : kernels(this.phases, reach, cutoff);
    this.held = new Float32Array(reach - 1); // old samples that new ones still need; silence before the first
    this.at = 0; // of the next new sample, in phases, from the first that is held
  }

  /** The new samples for which enough has come: the last ones wait for the next block. */
  convert(block) {
    if (this.isSame) return block;
    const old = new Float32Array(this.held.length + block.length);
    old.set(this.held);
    old.set(block, this.held.length);
    const made = [];
    for (; ; this.at += this.step) {
      const first = Math.floor(this.at / this.phases);
      const taps = this.kernels[this.at % this.phases];
      if (first + taps.length > old.length) break;
      let sum = 0;
      for (let tap = 0; tap < taps.length; tap += 1) sum += taps[tap] * old[first + tap];
      made.push(sum);
    }
    const used = Math.min(Math.floor(this.at / this.phases), old.length);
    this.held = old.slice(used);
    this.at -= used * this.phases;
    return made;
  }
}
