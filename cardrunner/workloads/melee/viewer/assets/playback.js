// The clock: which frame is shown, and how fast it goes on.

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];

class Playback {
  /** @param {(frame: number, resting: boolean) => void} changed called with every new frame, and when play stops */
  constructor(changed) {
    this.changed = changed;
    this.length = 1;
    this.frame = 0;
    this.speed = 1;
    this.playing = false;
    this.part = 0;
  }

  seek(frame) {
    this.frame = clamp(Math.round(frame), 0, this.length - 1);
    this.part = 0;
    this.changed(this.frame, !this.playing);
  }

  step(frames) {
    this.pause();
    this.seek(this.frame + frames);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.length < 2) return;
    if (this.frame >= this.length - 1) this.frame = 0;
    this.playing = true;
    this.before = undefined;
    requestAnimationFrame((now) => this.tick(now));
    this.changed(this.frame, false);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.changed(this.frame, true);
  }

  /** @param {number} now milliseconds; a page that slept goes on where it was */
  tick(now) {
    if (!this.playing) return;
    const passed = Math.min(now - (this.before ?? now), 250) / 1000;
    this.before = now;
    this.part += passed * FRAMES_PER_SECOND * this.speed;
    const whole = Math.floor(this.part);
    if (whole > 0) {
      this.part -= whole;
      this.frame = Math.min(this.frame + whole, this.length - 1);
      if (this.frame === this.length - 1) this.playing = false;
      this.changed(this.frame, !this.playing);
    }
    if (this.playing) requestAnimationFrame((later) => this.tick(later));
  }

  faster(steps) {
    const at = SPEEDS.indexOf(this.speed);
    this.speed = SPEEDS[clamp(at + steps, 0, SPEEDS.length - 1)];
    this.changed(this.frame, !this.playing);
  }
}
