// The tab of films: choose a film, its emotion or emotions over time, wait, see the result, and save it.

import { signed } from "./plane.js";

const POLL = 300; // milliseconds between two looks at the progress
const $ = (selector) => document.querySelector(selector);

export class FilmTab {
  // `key` names the film of this page on the server; `plane` gives the emotion; `showMessage` shows an error.
  constructor(key, plane, { largest_film, longest_film }, showMessage) {
    this.address = `films/${key}`;
    this.plane = plane;
    this.largest = largest_film;
    this.showMessage = showMessage;
    this.source = $("#film-source");
    this.result = $("#film-result");
    this.points = [];
    this.ready = this.working = false;
    $("#film-limits").textContent =
      `At most ${largest_film / 2 ** 20} MB, ${longest_film / 60} minutes and 4K; the command synthesize.py film has no limits. The sound is kept.`;
    $("#film-file").addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (file) await this.take(file);
      event.target.value = "";
    });
    $("#film-start").addEventListener("click", () => this.#start());
    $("#film-cancel").addEventListener("click", () => this.#cancel());
    $("#film-add").addEventListener("click", () => this.#add());
    $("#film-clear").addEventListener("click", () => { this.points = []; this.#list(); });
    this.source.addEventListener("error", () => { if (this.source.src) this.#say("This browser cannot show the film, but it can be edited.", true); });
    this.source.addEventListener("timeupdate", () => this.#name());
    this.result.addEventListener("timeupdate", () => this.#name());
    this.result.addEventListener("error", () => { if (this.result.src) this.showMessage("This browser cannot play the edited film; save it and play it with another program."); });
    plane.addEventListener("move", () => this.#name());
  }

  // Send a film (File) to the server and show it.
  async take(file) {
    if (file.size > this.largest) {
      return this.showMessage(`${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MB; at most ${this.largest / 2 ** 20} MB can be edited here. Cut it, or use the command synthesize.py film.`);
    }
    if (this.working) return this.showMessage("A film is being edited. Wait for it, or cancel it first.");
    this.showMessage("");
    this.#enable(false);
    this.#say(`Reading ${file.name}…`);
    try {
      const film = await this.#ask("PUT", `?name=${encodeURIComponent(file.name)}`, file);
      this.name = file.name.replace(/\.[^.]*$/, "");
      this.points = [];
      this.#list();
      this.#showSource(file);
      this.#offerFaces(film.faces);
      const [width, height] = film.size;
      this.ready = true;
      this.#say(`${file.name}: ${film.seconds.toFixed(1)} s, ${film.frames} frames, ${width} × ${height}` + (film.faces ? "" : ". No face in its first frame"));
    } catch (error) {
      this.#say(this.ready ? "The film before is kept." : "");
      this.showMessage(error.message);
    }
    this.#enable(this.ready);
  }

  // Name the buttons after the point of the plane, because the tab is shown.
  open() {
    this.#name();
  }

  // Stop playing, because another tab is shown.
  pause() {
    this.source.pause();
    this.result.pause();
  }

  // Show the untouched film in place of the edited one while `on`.
  compare(on) {
    if (!this.result.src || this.source.error) return;
    const [from, to] = on ? [this.result, this.source] : [this.source, this.result];
    if (from.hidden) return;
    const playing = !from.paused;
    to.currentTime = from.currentTime;
    from.pause();
    from.hidden = true;
    to.hidden = false;
    if (playing) to.play().catch(() => {});
  }

  async #start() {
    this.showMessage("");
    const { valence, arousal } = this.plane;
    const points = this.points.length ? this.points.map((p) => [p.seconds, p.valence, p.arousal]) : [[0, valence, arousal]];
    const face = $("#film-face-row").hidden || $("#film-face").value === "" ? null : Number($("#film-face").value);
    this.#showResult(false);
    this.#work(true);
    try {
      await this.#follow(await this.#ask("POST", "", JSON.stringify({ points, face, infant: $("#film-infant").checked })));
    } catch (error) {
      this.#say("");
      this.showMessage(error.message);
    }
    this.#work(false);
  }

  // Show the progress until the work has ended, and then the result.
  async #follow(status) {
    while (status.state === "waiting" || status.state === "working") {
      const { state, done, total } = status;
      $("#film-progress").value = done / total;
      this.#say(state === "waiting" ? "Waiting for another film…" : `Editing: frame ${done} of ${total}`);
      await new Promise((resolve) => { setTimeout(resolve, POLL); });
      status = await this.#ask("GET");
    }
    if (status.state === "failed") throw new Error(status.error);
    if (status.state === "ready") return this.#say("Cancelled. Nothing was kept.");
    this.#showResult(true);
    this.#say("The edited film. Save it, or change the emotion and edit the film again.");
  }

  async #cancel() {
    $("#film-cancel").disabled = true;
    this.#say("Cancelling…");
    await this.#ask("DELETE").catch((error) => this.showMessage(error.message));
  }

  // Send a request about the film; resolves to the reply, rejects with the error message.
  async #ask(method, query = "", body = undefined) {
    let reply;
    try {
      reply = await fetch(this.address + query, { method, body });
    } catch {
      throw new Error("The connection to the server was lost. Start the program again and reload this page.");
    }
    const answer = await reply.json().catch(() => ({ error: `the server answered ${reply.status}` }));
    if (!reply.ok) throw new Error(answer.error);
    return answer;
  }

  #showSource(file) {
    this.#showResult(false);
    URL.revokeObjectURL(this.source.src);
    this.source.src = URL.createObjectURL(file);
    this.source.hidden = false;
    $("#no-film").hidden = true;
  }

  #showResult(on) {
    this.pause();
    this.source.hidden = on;
    this.result.hidden = !on;
    $("#film-result-row").hidden = !on;
    if (!on) return this.result.removeAttribute("src");
    const address = `${this.address}/result?${Date.now()}`; // another one for each result: it is not taken from a cache
    this.result.src = address;
    $("#film-save").href = address;
    $("#film-save").download = `${this.name}_edited.mp4`;
  }

  // Offer a choice where the first frame has several faces.
  #offerFaces(count) {
    const order = (k) => (k === 0 ? "1 (leftmost)" : k === count - 1 ? `${k + 1} (rightmost)` : `${k + 1}`);
    const names = ["largest", ...Array.from({ length: count }, (_, k) => order(k))];
    $("#film-face").replaceChildren(...names.map((name, k) => new Option(name, k ? k - 1 : "")));
    $("#film-face-row").hidden = count < 2;
  }

  #add() {
    const { valence, arousal } = this.plane;
    const seconds = Math.round(10 * this.#time()) / 10;
    this.points = this.points.filter((point) => point.seconds !== seconds);
    this.points.push({ seconds, valence, arousal, name: this.plane.nearest().name });
    this.points.sort((a, b) => a.seconds - b.seconds);
    this.#list();
  }

  #list() {
    const rows = this.points.map((point) => {
      const row = document.createElement("li"), text = document.createElement("span"), remove = document.createElement("button");
      text.textContent = `${point.seconds.toFixed(1)} s: valence ${signed(point.valence)}, arousal ${signed(point.arousal)}, nearest to ${point.name}`;
      remove.textContent = "Remove";
      remove.className = "link";
      remove.setAttribute("aria-label", `Remove the point at ${point.seconds.toFixed(1)} s`);
      remove.addEventListener("click", () => {
        this.points = this.points.filter((other) => other !== point);
        this.#list();
        $("#film-add").focus();
      });
      row.append(text, remove);
      return row;
    });
    $("#film-points").replaceChildren(...rows);
    $("#film-clear").hidden = !rows.length;
    this.#name();
  }

  #time = () => (this.result.hidden ? this.source : this.result).currentTime || 0;

  // Name the buttons after what they will do.
  #name() {
    $("#film-add").textContent = `Add a point at ${this.#time().toFixed(1)} s`;
    const one = this.points.length === 0 && this.plane.exactly();
    $("#film-start").textContent = this.points.length ? `Edit the film along ${this.points.length} point${this.points.length > 1 ? "s" : ""}` : `Edit the film${one ? `: ${one}` : ""}`;
  }

  #work(on) {
    this.working = on;
    this.#enable(!on && this.ready);
    $("#film-progress").hidden = $("#film-cancel").hidden = !on;
    $("#film-start").hidden = on;
    $("#film-cancel").disabled = false;
    $("#film-progress").value = 0;
    if (document.activeElement === document.body) $(on ? "#film-cancel" : "#film-start").focus({ preventScroll: true });
  }

  #enable(on) {
    for (const part of ["#film-start", "#film-add"]) $(part).disabled = !on;
  }

  #say(text, further = false) {
    $("#film-status").textContent = further ? `${$("#film-status").textContent} ${text}` : text;
  }
}
