// How soon a reply may be played: with its first fragment where fragments come faster than they play, later where they come late.

const LONGEST_HOLD_S = 0.5;
const ENOUGH_S = 0.5; // whoever has so much in hand plays
const REPLIES = 4; // that are reckoned with: this one and those before

/** When the media of the replies came; one for all of a page, for all come the same way. All times are seconds. */
export class Pace {
  #lateness = []; // of the latest reply first: by how much its latest piece of media missed its moment
  #firstAt = null;
  #end = 0;

  /** Another reply is expected. */
  begin() {
    this.#lateness = [0, ...this.#lateness].slice(0, REPLIES);
    this.#firstAt = null;
    this.#end = 0;
  }

  /** At `now` the reply's media is there up to `end`. */
  came(end, now) {
    if (end <= this.#end) return;
    this.#firstAt ??= now;
    this.#lateness[0] = Math.max(this.#lateness[0], now - this.#firstAt - this.#end);
    this.#end = end;
  }

  /** How long after its first media a reply is best begun: had the last ones waited so long, none would have stood still. */
  get holdS() {
    return Math.min(LONGEST_HOLD_S, Math.max(...this.#lateness));
  }

  /** Whether the reply may begin. */
  mayBegin(now) {
    if (this.#firstAt === null) return false;
    const waited = now - this.#firstAt;
    const keepsUp = this.#end >= waited; // what has come so far came as fast as it plays
    return waited >= LONGEST_HOLD_S || this.#end >= ENOUGH_S || (keepsUp && waited >= this.holdS);
  }

  /** Whether the reply, which stood still at `position` for want of media, may go on. */
  mayGoOn(position) {
    return this.#end - position >= ENOUGH_S;
  }
}
