// The valence-arousal plane: eight marked expressions, a point to drag, and two sliders that are coupled to the point.

const SVG = "http://www.w3.org/2000/svg";
const UNIT = 300; // canvas pixels
const REACH = 1.16; // the plane is drawn from -REACH to REACH on both axes

// Create an SVG element and append it to `parent`.
export function element(name, attributes, parent, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

// A number with its sign, a typographic minus and two decimals; "0" if it rounds to 0.
export const signed = (value) => (Math.abs(value) < 0.005 ? "0" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2));

export class Plane extends EventTarget {
  constructor(expressions) {
    super();
    this.expressions = expressions;
    this.valence = 0;
    this.arousal = 0;
    this.root = document.querySelector("#plane");
    this.#draw(document.querySelector("#disc"));
    this.#listen();
  }

  // Move the point, at most to the rim of the disc. A move by the user (`byHand`) fires `move`.
  place(valence, arousal, byHand = false) {
    const radius = Math.max(1, Math.hypot(valence, arousal));
    this.valence = valence / radius;
    this.arousal = arousal / radius;
    this.here.setAttribute("cx", this.valence);
    this.here.setAttribute("cy", -this.arousal);
    for (const name of ["valence", "arousal"]) {
      const slider = document.querySelector(`#${name}`);
      if (document.activeElement !== slider || !byHand) slider.value = this[name];
      slider.setAttribute("aria-valuetext", signed(this[name]));
      document.querySelector(`#${name}-value`).textContent = signed(this[name]);
    }
    const nearest = this.nearest();
    for (const chip of this.chips) chip.setAttribute("aria-pressed", this.#isAt(chip.expression));
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      document.querySelector("#spoken").textContent =
        `Valence ${signed(this.valence)}, arousal ${signed(this.arousal)}, nearest to ${nearest.name}`;
    }, 400);
    if (byHand) this.dispatchEvent(new Event("move"));
  }

  // The expression whose point is nearest.
  nearest() {
    const far = (e) => Math.hypot(e.valence - this.valence, e.arousal - this.arousal);
    return this.expressions.reduce((best, e) => (far(e) < far(best) ? e : best));
  }

  // The name of the expression at whose point the point is, or nothing.
  exactly() {
    return this.expressions.find(this.#isAt)?.name;
  }

  // Fill the disc with n x n faces of `side` pixels.
  showFaces({ n, side, payload }, pixels) {
    const canvas = document.querySelector("#faces");
    const context = canvas.getContext("2d");
    const pitch = (2 * UNIT) / n, edge = (REACH - 1) * UNIT;
    const tile = new OffscreenCanvas(side, side);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.save();
    context.beginPath();
    context.arc(canvas.width / 2, canvas.height / 2, UNIT, 0, 7);
    context.clip();
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) {
        tile.getContext("2d").putImageData(pixels(payload, side, (row * n + column) * side * side * 3), 0, 0);
        context.drawImage(tile, edge + column * pitch, edge + row * pitch, pitch, pitch);
      }
    }
    context.restore();
  }

  // Draw the recorded path; no points remove it.
  trail(points) {
    this.line.setAttribute("points", points.map(([v, a]) => `${v},${-a}`).join(" "));
  }

  #isAt = (e) => Math.hypot(e.valence - this.valence, e.arousal - this.arousal) < 0.02;

  #draw(svg) {
    element("circle", { r: 1, class: "rim" }, svg);
    element("line", { x1: -1, x2: 1, y1: 0, y2: 0, class: "axis" }, svg);
    element("line", { y1: -1, y2: 1, x1: 0, x2: 0, class: "axis" }, svg);
    element("text", { x: 0, y: -1.045, class: "end" }, svg, "excited");
    element("text", { x: 0, y: 1.1, class: "end" }, svg, "calm");
    for (const [x, text] of [[-1.07, "displeased"], [1.07, "pleased"]]) {
      element("text", { class: "end", transform: `translate(${x} 0) rotate(${x < 0 ? -90 : 90}) translate(0 .02)` }, svg, text);
    }
    // Disgust, contempt and anger are close together, so their labels are shifted to different sides.
    // All leave room for the point when it is on the pin.
    const shift = { contempt: [-0.11, -0.085], disgust: [0, 0.13], anger: [0.18, 0.02], neutral: [0.2, 0.11] };
    for (const { name, valence, arousal } of this.expressions) {
      const [dx, dy] = shift[name] ?? [0, -0.085];
      element("circle", { cx: valence, cy: -arousal, r: 0.026, class: "pin" }, svg);
      element("text", { x: valence + dx, y: -arousal + dy }, svg, name);
    }
    this.line = element("polyline", { class: "trail" }, svg);
    this.here = element("circle", { r: 0.062, class: "here" }, svg);

    this.chips = this.expressions.map((expression) => {
      const chip = document.createElement("button");
      chip.textContent = expression.name;
      chip.expression = expression;
      chip.addEventListener("click", () => this.place(expression.valence, expression.arousal, true));
      return chip;
    });
    document.querySelector("#expressions").append(...this.chips);
  }

  #listen() {
    const follow = (event) => {
      const box = this.root.getBoundingClientRect();
      const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
      this.place((2 * across - 1) * REACH, (1 - 2 * down) * REACH, true);
    };
    this.root.addEventListener("pointerdown", (event) => {
      this.root.setPointerCapture(event.pointerId);
      this.root.focus({ preventScroll: true });
      follow(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      if (this.root.hasPointerCapture(event.pointerId)) follow(event);
    });
    this.root.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.15 : 0.05;
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (way) this.place(this.valence + step * way[0], this.arousal + step * way[1], true);
      else if (event.key === "0" || event.key === "Home") this.place(0, 0, true);
      else if (this.expressions[event.key - 1]) {
        const { valence, arousal } = this.expressions[event.key - 1];
        this.place(valence, arousal, true);
      } else return;
      event.preventDefault();
    });
    for (const name of ["valence", "arousal"]) {
      document.querySelector(`#${name}`).addEventListener("input", (event) => {
        const point = { valence: this.valence, arousal: this.arousal, [name]: event.target.valueAsNumber };
        this.place(point.valence, point.arousal, true);
      });
    }
  }
}
