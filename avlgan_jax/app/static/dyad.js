// The second tab: a drawn mother and infant, the transfer of their emotions to two other faces, and the valence curves.

import { pixels } from "./channel.js";
import { element, signed } from "./plane.js";

const PERSONS = ["parent", "infant"];
const HEIGHT = 150, LEFT = 52, RIGHT = 10, TOP = 12, FOOT = 30; // pixels

export class Dyad {
  constructor(channel, showMessage) {
    this.channel = channel;
    this.showMessage = showMessage;
    this.seed = 1;
    this.films = [...document.querySelectorAll(".film")];
    this.svg = document.querySelector("#curves");
    this.time = document.querySelector("#time");
    this.button = document.querySelector("#play");
    this.status = document.querySelector("#dyad-status");
    this.time.addEventListener("input", () => { this.pause(); this.show(this.time.valueAsNumber); });
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    document.querySelector("#new-dyad").addEventListener("click", () => this.load(this.seed + 1));
    document.querySelector("#smoothing").addEventListener("change", () => this.load(this.seed));
    new ResizeObserver(() => {
      if (!this.data || !this.svg.clientWidth) return;
      this.#draw();
      this.show(this.frame);
    }).observe(document.querySelector(".curves"));
    document.addEventListener("visibilitychange", () => document.hidden && this.pause());
  }

  open() {
    if (!this.data && !this.loading) this.load(this.seed);
  }

  async load(seed) {
    this.pause();
    this.loading = true;
    const buttons = document.querySelectorAll("#dyad-panel button");
    for (const button of buttons) button.disabled = true;
    this.status.textContent = "Drawing a mother and an infant…";
    try {
      const smoothing = document.querySelector("#smoothing").valueAsNumber;
      this.data = await this.channel.ask({ do: "dyad", seed, smoothing });
      this.seed = seed;
      this.status.textContent = "";
      this.time.max = this.data.frames - 1;
      this.#draw();
      this.show(0);
    } catch (error) {
      this.status.textContent = "";
      this.showMessage(error.message);
    }
    this.loading = false;
    for (const button of buttons) button.disabled = false;
  }

  play() {
    if (!this.data) return;
    this.button.textContent = "Pause";
    this.playing = setInterval(() => this.show((this.frame + 1) % this.data.frames), 1000 / this.data.fps);
  }

  pause() {
    clearInterval(this.playing);
    this.playing = null;
    this.button.textContent = "Play";
  }

  show(frame) {
    const { side, frames, emotions, phases, fps, payload } = this.data;
    this.frame = frame;
    this.time.value = frame;
    const size = side * side * 3;
    this.films.forEach((canvas, k) => canvas.getContext("2d").putImageData(pixels(payload, side, (k * frames + frame) * size), 0, 0));
    const x = this.#x(frame);
    for (const end of ["x1", "x2"]) this.now.setAttribute(end, x);
    const valences = emotions.map((track) => track[frame][0]);
    this.dots.forEach((dot, k) => {
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", this.#y(valences[k]));
    });
    const seconds = (frame / fps).toFixed(1);
    this.time.setAttribute(
      "aria-valuetext",
      `${seconds} seconds, ${phases[frame].replace("_", " ")}: mother ${signed(valences[0])}, infant ${signed(valences[1])}`,
    );
    if (!this.playing) this.status.textContent = `${seconds} s · ${phases[frame].replace("_", " ")}`;
    else this.status.textContent = "";
  }

  #x = (frame) => LEFT + (this.width * frame) / (this.data.frames - 1);
  #y = (valence) => TOP + (HEIGHT * (1 - valence)) / 2;

  #draw() {
    const { emotions, phases } = this.data;
    const svgWidth = this.svg.clientWidth;
    this.width = svgWidth - LEFT - RIGHT;
    this.svg.setAttribute("viewBox", `0 0 ${svgWidth} ${TOP + HEIGHT + FOOT}`);
    this.svg.replaceChildren();
    for (const valence of [1, 0, -1]) {
      element("line", { x1: LEFT, x2: LEFT + this.width, y1: this.#y(valence), y2: this.#y(valence), class: "grid" }, this.svg);
      element("text", { x: LEFT - 10, y: this.#y(valence) + 4, "text-anchor": "end" }, this.svg, valence ? signed(valence).slice(0, 2) : "0");
    }
    element("text", { x: 12, y: this.#y(0), transform: `rotate(-90 12 ${this.#y(0)})`, "text-anchor": "middle" }, this.svg, "valence");
    let first = 0;
    phases.forEach((phase, k) => {
      if (phases[k + 1] === phase) return;
      element("text", { x: this.#x((first + k) / 2), y: TOP + HEIGHT + 22, "text-anchor": "middle" }, this.svg, phase.replace("_", " "));
      if (first) element("line", { x1: this.#x(first), x2: this.#x(first), y1: TOP, y2: TOP + HEIGHT, class: "grid" }, this.svg);
      first = k + 1;
    });
    PERSONS.forEach((person, k) => {
      const points = emotions[k].map(([valence], frame) => `${this.#x(frame)},${this.#y(valence)}`);
      element("polyline", { class: person, points: points.join(" ") }, this.svg);
    });
    this.now = element("line", { y1: TOP, y2: TOP + HEIGHT, class: "now" }, this.svg);
    this.dots = PERSONS.map((person) => element("circle", { class: person, r: 5.5 }, this.svg));
  }
}
