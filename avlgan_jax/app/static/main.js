// The main script of the page: connects the plane, the face and the dyad to the server.

import { Channel, download, pixels } from "./channel.js";
import { hold } from "./compare.js";
import { Dyad } from "./dyad.js";
import { FilmTab } from "./film.js";
import { Plane, signed } from "./plane.js";
import { Portrait } from "./portrait.js";

const $ = (selector) => document.querySelector(selector);
const about = await (await fetch("about")).json();
// The name of this page's film on the server. Nobody else can guess it.
const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const channel = new Channel(`films=${key}`, () => showMessage("The connection to the server was lost. Start the program again and reload this page."));
const plane = new Plane(about.expressions);
const portrait = new Portrait(about);
const dyad = new Dyad(channel, showMessage);
const film = new FilmTab(key, plane, about, showMessage);
const shown = (panel) => !$(panel).hidden;

// Show a message above the panels, and scroll to it; an empty text hides it.
function showMessage(text) {
  $("#message").hidden = !text;
  $("#message").textContent = text;
  if (text) $("#message").scrollIntoView({ block: "nearest" });
}

// Update the face to the current point; one that was not touched yet stays as it is. Only one request is sent at a time; points in between are skipped.
let stale = false, asking = false;
let updates = 0;
async function follow() {
  stale = true;
  if (asking) return;
  asking = true;
  $("#face").setAttribute("aria-busy", true);
  while (stale) {
    stale = false;
    try {
      const plain = $("#plain").checked, edits = touched() || plain;
      const reply = await channel.ask(edits ? { do: "edit", plain, ...current() } : { do: "original" });
      portrait.show(pixels(reply.payload, reply.side), reply.landmarks);
      $("#face").dataset.updates = ++updates;
      $("#face").setAttribute("aria-label", edits ? `The face at valence ${signed(plane.valence)}, arousal ${signed(plane.arousal)}` : "The untouched face");
    } catch (error) {
      showMessage(error.message);
    }
  }
  asking = false;
  $("#face").setAttribute("aria-busy", false);
}

// `edits` has the edit of each face that was touched: its emotion and its offsets of landmarks. `placed` tells whether the
// person has moved the point for the face that is shown.
let picture = { name: "", face: 0, edits: new Map(), placed: false };
// Whether the person has edited the face that is shown. Until then it is shown and saved as it was given: the point is
// at the predicted emotion, but the networks' face of that emotion is another one.
const touched = () => picture.placed || portrait.dragged;

// Show a new picture. `reply` is the promise of its face.
async function showNewPicture(reply, name) {
  document.body.ariaBusy = "true";
  try {
    const face = await reply;
    showMessage("");
    picture = { name, face: face.face, edits: new Map(), placed: false };
    offerFaces(face);
    await showFace(face);
  } catch (error) {
    $("#face").setAttribute("aria-busy", false);
    showMessage(error.message);
  }
  document.body.ariaBusy = "false";
}

// Show a face: at the edit that it had, else as it is, with the point at the emotion that is read from it.
async function showFace(face) {
  $("#face").setAttribute("aria-busy", true); // until `follow` has drawn it
  const before = picture.edits.get(face.face);
  const many = face.faces > 1 ? ` (face ${face.face + 1} of ${face.faces} from the left)` : "";
  picture.face = face.face;
  picture.placed = before?.placed ?? false;
  portrait.compare(false);
  portrait.reset();
  if (before?.offsets) portrait.restore(before.offsets);
  $("#reset-landmarks").hidden = !before?.offsets;
  $("#infant").checked = face.infant;
  $("#face-status").textContent = `${picture.name}${many}: read as valence ${signed(face.valence)}, arousal ${signed(face.arousal)} before editing`;
  for (const chip of $("#which-face").children) chip.setAttribute("aria-pressed", Number(chip.dataset.face) === face.face);
  const original = await channel.ask({ do: "original" });
  portrait.original = pixels(original.payload, original.side);
  plane.place(before?.valence ?? face.valence, before?.arousal ?? face.arousal);
  await follow();
  await paintPlane();
}

// Offer a choice where a picture has several faces.
function offerFaces({ faces, side, payload }) {
  const chips = Array.from({ length: faces }, (_, k) => {
    const chip = document.createElement("button"), canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.getContext("2d").putImageData(pixels(payload, side, k * side * side * 3), 0, 0);
    chip.append(canvas);
    chip.dataset.face = k;
    chip.setAttribute("aria-label", `Face ${k + 1} of ${faces} from the left`);
    chip.addEventListener("click", () => chooseFace(k));
    return chip;
  });
  $("#which-face").replaceChildren(...chips);
  $("#which-face").hidden = faces < 2;
}

// Show another face of the picture. The edit of this one stays in the picture that is saved, if the person made one.
async function chooseFace(number) {
  document.body.ariaBusy = "true";
  try {
    if (touched()) picture.edits.set(picture.face, { ...current(), placed: picture.placed });
    else picture.edits.delete(picture.face);
    await showFace(await channel.ask({ do: "choose", face: number, keep: touched() }));
  } catch (error) {
    $("#face").setAttribute("aria-busy", false);
    showMessage(error.message);
  }
  document.body.ariaBusy = "false";
}

// The emotion and the offsets of landmarks of the shown face, as fields of a request.
function current() {
  return { valence: plane.valence, arousal: plane.arousal, offsets: portrait.dragged ? [...portrait.offsets] : null };
}

// Show or hide the faces in the background of the plane.
async function paintPlane() {
  $("#faces").style.opacity = $("#show-faces").checked ? "" : 0;
  if ($("#show-faces").checked) plane.showFaces(await channel.ask({ do: "matrix" }), pixels);
}

function drawNewFace(infant) {
  const seed = Math.floor(Math.random() * 1e6);
  return showNewPicture(channel.ask({ do: "draw", seed, infant }), `${infant ? "infant" : "adult"} ${seed}`);
}

async function upload(blob, name) {
  if (blob.size > about.largest_upload) {
    return showMessage(`${name} has ${(blob.size / 2 ** 20).toFixed(1)} MB; at most ${about.largest_upload / 2 ** 20} MB can be uploaded. Choose a smaller picture.`);
  }
  if (blob.size === 0) return showMessage(`${name} is empty. Choose another picture.`);
  await showNewPicture(channel.upload(blob), name);
}

plane.addEventListener("move", () => {
  if (!shown("#face-panel")) return; // the point of a film
  picture.placed = true;
  follow();
});
portrait.addEventListener("drag", () => { $("#reset-landmarks").hidden = false; follow(); });
hold($("#compare"), () => shown("#face-panel") && !$("#booth").open, (on) => {
  portrait.compare(on);
  $("#spoken").textContent = on ? "The untouched face is shown" : "The edited face is shown";
});
hold($("#film-compare"), () => shown("#film-panel"), (on) => film.compare(on));
$("#reset-landmarks").addEventListener("click", () => { portrait.reset(); $("#reset-landmarks").hidden = true; follow(); });
$("#plain").addEventListener("change", follow);
$("#infant").addEventListener("change", async (event) => {
  await channel.ask({ do: "age", infant: event.target.checked });
  await follow();
});
$("#show-faces").addEventListener("change", paintPlane);
$("#show-landmarks").addEventListener("change", (event) => { $("#landmarks").toggleAttribute("hidden", !event.target.checked); });
$("#new-adult").addEventListener("click", () => drawNewFace(false));
$("#new-infant").addEventListener("click", () => drawNewFace(true));
$("#file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file) await upload(file, file.name);
  event.target.value = "";
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const isFilm = file.type.startsWith("video/") || (shown("#film-panel") && !file.type.startsWith("image/"));
  choose($(isFilm ? "#tab-film" : "#tab-face"));
  if (isFilm) film.take(file);
  else upload(file, file.name);
});

// Saving of the picture at its full size, of the matrix and of a recorded film.
async function save(request, name) {
  try {
    const { payload, type } = await channel.ask(request);
    download(payload, type, name);
  } catch (error) {
    showMessage(error.message);
  }
}
$("#save-picture").addEventListener("click", () => {
  if ($("#plain").checked) return $("#face").toBlob((blob) => download(blob, "image/png", "face.png"));
  const others = [...picture.edits.keys()].some((face) => face !== picture.face);
  const name = picture.name.replace(/\.[^.]*$/, "").replaceAll(" ", "-");
  save({ do: "picture_file", untouched: !touched(), ...current() }, `${name}${touched() || others ? "_edited" : ""}.png`);
});
$("#save-matrix").addEventListener("click", () => save({ do: "matrix_file" }, "matrix.png"));

let recorded = null;
$("#record").addEventListener("click", async () => {
  const recording = !recorded;
  $("#record").setAttribute("aria-pressed", recording);
  $("#record span").textContent = recording ? "Stop and save" : "Record a film";
  if (recording) {
    const points = [];
    const timer = setInterval(() => {
      points.push([plane.valence, plane.arousal]);
      plane.trail(points);
      if (points.length === about.film.longest) $("#record").click();
    }, 1000 / about.film.fps);
    recorded = { points, timer };
    return;
  }
  const { points, timer } = recorded;
  recorded = null;
  clearInterval(timer);
  plane.trail([]);
  $("#record").disabled = true;
  const format = $("#format").value;
  await save({ do: "film", points, format, offsets: current().offsets }, `walk.${format}`);
  $("#record").disabled = false;
});

// The camera takes one picture and is switched off again.
const cameraDialog = $("#booth");
$("#camera").addEventListener("click", async () => {
  try {
    cameraDialog.querySelector("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 } });
    cameraDialog.showModal();
  } catch (error) {
    showMessage(`The camera cannot be used (${error.message ?? "the address of this page is not secure"}).`);
  }
});
cameraDialog.addEventListener("close", () => {
  const film = cameraDialog.querySelector("video");
  film.srcObject?.getTracks().forEach((track) => track.stop());
  film.srcObject = null;
});
$("#cancel").addEventListener("click", () => cameraDialog.close());
$("#snap").addEventListener("click", () => {
  const film = cameraDialog.querySelector("video");
  const shot = document.createElement("canvas");
  [shot.width, shot.height] = [film.videoWidth, film.videoHeight];
  const context = shot.getContext("2d");
  context.scale(-1, 1); // mirrored, as in the preview
  context.drawImage(film, -shot.width, 0);
  cameraDialog.close();
  shot.toBlob((blob) => upload(blob, "camera picture"), "image/jpeg", 0.95);
});

// The tabs. The plane is in the tab of a face and in that of a film, where its point keeps its own place.
const tabs = [$("#tab-face"), $("#tab-film"), $("#tab-dyad")];
const places = { "tab-face": null, "tab-film": { valence: 0, arousal: 0 } };
function choose(chosen) {
  const before = tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
  if (chosen === before) return;
  for (const tab of tabs) {
    const on = tab === chosen;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !on;
  }
  if (before.id in places) places[before.id] = { valence: plane.valence, arousal: plane.arousal };
  if (chosen.id in places) {
    $(`#${chosen.getAttribute("aria-controls")} > .portrait`).after($("#plane-card"));
    plane.place(places[chosen.id].valence, places[chosen.id].arousal);
  }
  if (chosen.id === "tab-dyad") dyad.open();
  else dyad.pause();
  if (chosen.id === "tab-film") film.open();
  else film.pause();
  showMessage("");
}
for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const step = event.key === "ArrowRight" ? 1 : tabs.length - 1;
    const other = tabs[(tabs.indexOf(tab) + step) % tabs.length];
    choose(other);
    other.focus();
  });
}

$("#weights").textContent = `Weights trained on ${about.trained_on}. Faces in photographs are found by ${about.finds_faces}.` + (about.drawn
  ? " These are drawn faces: what opens in a photograph, a mouth or eyes, is painted as in a drawing. To train on photographs see docs/tutorial.md, and restart the program with --weights RUN."
  : "") + " Uploaded pictures stay in the memory of the computer that runs the server, and films in its temporary folder. They are deleted when this page is closed.";
await channel.ready;
await showNewPicture(channel.ask({ do: "draw", seed: 1, infant: false }), "adult 1");
document.documentElement.dataset.ready = "yes";
