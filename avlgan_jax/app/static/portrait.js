// The face and its 68 landmarks, which can be shown and dragged.

import { element } from "./plane.js";

export class Portrait extends EventTarget {
  constructor({ resolution, groups, contours }) {
    super();
    this.resolution = resolution;
    this.groups = groups;
    this.contours = contours;
    this.canvas = document.querySelector("#face");
    this.svg = document.querySelector("#landmarks");
    this.comparing = false;
    this.svg.setAttribute("viewBox", `0 0 ${resolution} ${resolution}`);
    this.#draw();
    this.reset();
  }

  // Remove all offsets of dragged landmarks.
  reset() {
    this.offsets = new Float32Array(136);
    this.dragged = false;
  }

  // Take up offsets of landmarks that were dragged before.
  restore(offsets) {
    this.offsets = Float32Array.from(offsets);
    this.dragged = true;
  }

  // Show a picture (ImageData) and its landmarks [x0, y0, x1, ...] in pixels of the networks' images.
  show(image, landmarks) {
    this.edited = image;
    if (!this.comparing) this.#paint(image);
    this.landmarks = landmarks;
    const at = (k) => `${landmarks[2 * k]} ${landmarks[2 * k + 1]}`;
    this.contours.forEach(([first, last, closed], k) => {
      const points = Array.from({ length: last - first + 1 }, (_, i) => at(first + i));
      this.lines[k].setAttribute("d", `M${points.join("L")}${closed ? "Z" : ""}`);
    });
    for (const dot of this.svg.querySelectorAll("circle")) {
      dot.setAttribute("cx", landmarks[2 * dot.dataset.k]);
      dot.setAttribute("cy", landmarks[2 * dot.dataset.k + 1]);
    }
  }

  // Show the untouched face (ImageData `original`) while `on`, without its landmarks.
  compare(on) {
    if (!this.original || on === this.comparing) return;
    this.comparing = on;
    this.svg.style.visibility = on ? "hidden" : "";
    if (on || this.edited) this.#paint(on ? this.original : this.edited);
  }

  #paint(image) {
    if (this.canvas.width !== image.width) this.canvas.width = this.canvas.height = image.width;
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }

  // Move landmark `k` by (dx, dy). The other landmarks of its group move by a share that falls with their distance, or
  // by the same amount if `stiff`.
  #pull(k, dx, dy, group, stiff) {
    const [first, last] = this.groups[group];
    const scale = this.resolution * 0.06;
    for (let j = first; j < last; j++) {
      const far = Math.hypot(this.landmarks[2 * j] - this.landmarks[2 * k], this.landmarks[2 * j + 1] - this.landmarks[2 * k + 1]);
      const share = stiff ? 1 : Math.exp(-0.5 * (far / scale) ** 2);
      this.offsets[2 * j] += share * dx;
      this.offsets[2 * j + 1] += share * dy;
    }
    this.dragged = true;
    this.dispatchEvent(new Event("drag"));
  }

  #draw() {
    this.lines = this.contours.map(() => element("path", {}, this.svg));
    for (const [group, [first, last]] of Object.entries(this.groups)) {
      const name = group.replace("_", " ");
      const g = element("g", { tabindex: 0, role: "button", "aria-label": `${name}: arrow keys move it` }, this.svg);
      for (let k = first; k < last; k++) {
        element("circle", { r: this.resolution * 0.008, "data-k": k }, g);
        element("circle", { r: this.resolution * 0.028, "data-k": k, class: "reach" }, g); // large enough for a finger
      }
      g.addEventListener("keydown", (event) => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (!way) return;
        const step = this.resolution * (event.shiftKey ? 0.03 : 0.01);
        this.#pull(first, step * way[0], step * way[1], group, true);
        event.preventDefault();
      });
      g.addEventListener("pointerdown", (event) => {
        const k = event.target.dataset.k;
        let [x, y] = [event.clientX, event.clientY];
        g.setPointerCapture(event.pointerId);
        g.onpointermove = (moved) => {
          const scale = this.resolution / this.svg.getBoundingClientRect().width;
          this.#pull(k, (moved.clientX - x) * scale, (moved.clientY - y) * scale, group, false);
          [x, y] = [moved.clientX, moved.clientY];
        };
        g.onpointerup = g.onpointercancel = () => { g.onpointermove = null; };
      });
    }
  }
}
