// Short tones. A browser plays nothing before the page was used (a key, a click), also after it was loaded again: the
// tones then wait for that, and the page says so.
// [begin in s, frequency in Hz]
const TONES = [
  [0, 660],
  [0.25, 880],
];
const LENGTH_S = 0.18;
const USES = ["pointerdown", "keydown", "touchend"];

export class Sound {
  // told(waits): called when the tones begin and cease to wait.
  constructor(told = () => {}, tones = TONES) {
    this.told = told;
    this.tones = tones;
    this.context = null;
    this.waits = false;
    const used = () => {
      if (this.waits) this.play();
    };
    for (const use of USES) addEventListener(use, used, true);
  }

  async play() {
    try {
      this.context ??= new AudioContext();
      // The promise stays open for as long as the browser refuses.
      const started = this.context.resume().then(() => this.begin());
      if (this.context.state !== "running") this.wait(true);
      await started;
    } catch {
      this.wait(false); // there is no sound on this machine
    }
  }

  begin() {
    if (this.context?.state !== "running" || this.begun) return;
    this.begun = true;
    this.wait(false);
    for (const [index, [at, hertz]] of this.tones.entries()) {
      const tone = new OscillatorNode(this.context, { frequency: hertz }),
        volume = new GainNode(this.context, { gain: 0.12 });
      tone.connect(volume).connect(this.context.destination);
      tone.start(this.context.currentTime + at);
      tone.stop(this.context.currentTime + at + LENGTH_S);
      tone.onended = () => {
        if (index === this.tones.length - 1) this.close();
      };
    }
  }

  wait(waits) {
    this.waits = waits;
    this.told(waits);
  }

  // What was asked was answered before it could be heard.
  forget() {
    if (!this.waits) return;
    this.wait(false);
    this.close();
  }

  close() {
    this.context?.close();
    this.context = null;
    this.begun = false;
  }
}
