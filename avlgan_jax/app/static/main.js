// The main script of the page: connects the plane, the face and the dyad to the server.

import { Channel, download, pixels } from "./channel.js";
import { Dyad } from "./dyad.js";
import { Plane, signed } from "./plane.js";
import { Portrait } from "./portrait.js";

const $ = (selector) => document.querySelector(selector);
const about = await (await fetch("about")).json();
const channel = new Channel(() => showMessage("The connection to the server was lost. Start the program again and reload this page."));
const plane = new Plane(about.expressions);
const portrait = new Portrait(about);
const dyad = new Dyad(channel, showMessage);

// Show a message above the panels; an empty text hides it.
function showMessage(text) {
  $("#message").hidden = !text;
  $("#message").textContent = text;
}

// Update the face to the current point. Only one request is sent at a time; points in between are skipped.
let stale = false, asking = false;
let updates = 0;
async function follow() {
  stale = true;
  if (asking) return;
  asking = true;
  $("#face").setAttribute("aria-busy", true);
  while (stale) {
    stale = false;
    const request = { do: "edit", valence: plane.valence, arousal: plane.arousal, plain: $("#plain").checked };
    if (portrait.dragged) request.offsets = [...portrait.offsets];
    try {
      const reply = await channel.ask(request);
      portrait.show(pixels(reply.payload, reply.side), reply.landmarks);
      $("#face").dataset.updates = ++updates;
      $("#face").setAttribute("aria-label", `The face at valence ${signed(plane.valence)}, arousal ${signed(plane.arousal)}`);
    } catch (error) {
      showMessage(error.message);
    }
  }
  asking = false;
  $("#face").setAttribute("aria-busy", false);
}

// Show a new face, starting at the emotion that the regressor predicts for it. `reply` is the promise of the face.
async function showNewFace(reply, name) {
  document.body.ariaBusy = "true";
  try {
    const face = await reply;
    showMessage("");
    portrait.reset();
    $("#reset-landmarks").hidden = true;
    $("#face-status").textContent = `${name}${face.faces > 1 ? ` (largest of ${face.faces} faces)` : ""}: predicted valence ${signed(face.valence)}, arousal ${signed(face.arousal)} before editing`;
    plane.place(face.valence, face.arousal);
    await follow();
    await paintPlane();
  } catch (error) {
    showMessage(error.message);
  }
  document.body.ariaBusy = "false";
}

// Show or hide the faces in the background of the plane.
async function paintPlane() {
  $("#faces").style.opacity = $("#show-faces").checked ? "" : 0;
  if ($("#show-faces").checked) plane.showFaces(await channel.ask({ do: "matrix" }), pixels);
}

function drawNewFace(infant) {
  const seed = Math.floor(Math.random() * 1e6);
  return showNewFace(channel.ask({ do: "draw", seed, infant }), `${infant ? "infant" : "adult"} ${seed}`);
}

async function upload(blob, name) {
  if (blob.size > about.largest_upload) {
    return showMessage(`${name} has ${(blob.size / 2 ** 20).toFixed(1)} MB; at most ${about.largest_upload / 2 ** 20} MB can be uploaded. Choose a smaller picture.`);
  }
  if (blob.size === 0) return showMessage(`${name} is empty. Choose another picture.`);
  await showNewFace(channel.upload(blob), name);
}

plane.addEventListener("move", follow);
portrait.addEventListener("drag", () => { $("#reset-landmarks").hidden = false; follow(); });
$("#reset-landmarks").addEventListener("click", () => { portrait.reset(); $("#reset-landmarks").hidden = true; follow(); });
$("#plain").addEventListener("change", follow);
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
  if (file) upload(file, file.name);
});

// Saving of the picture, of the matrix and of a recorded film.
$("#save-picture").addEventListener("click", () => $("#face").toBlob((blob) => download(blob, "image/png", "face.png")));
$("#save-matrix").addEventListener("click", async () => {
  try {
    const { payload, type } = await channel.ask({ do: "matrix_file" });
    download(payload, type, "matrix.png");
  } catch (error) {
    showMessage(error.message);
  }
});

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
  try {
    const format = $("#format").value;
    const offsets = portrait.dragged ? [...portrait.offsets] : null;
    const { payload, type } = await channel.ask({ do: "film", points, format, offsets });
    download(payload, type, `walk.${format}`);
  } catch (error) {
    showMessage(error.message);
  }
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

// The two tabs.
const tabs = [$("#tab-face"), $("#tab-dyad")];
function choose(chosen) {
  for (const tab of tabs) {
    const on = tab === chosen;
    tab.setAttribute("aria-selected", on);
    tab.tabIndex = on ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).hidden = !on;
  }
  if (chosen.id === "tab-dyad") dyad.open();
  else dyad.pause();
}
for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = tabs.find((each) => each !== tab);
    choose(other);
    other.focus();
  });
}

$("#weights").textContent = `Weights trained on ${about.trained_on}.` + (about.drawn
  ? " These are drawn faces: what opens in a photograph, a mouth or eyes, is painted as in a drawing. To train on photographs see docs/tutorial.md, and restart the program with --weights RUN."
  : "") + " Uploaded pictures stay in the memory of the computer that runs the server and are deleted when this page is closed.";
await channel.ready;
await showNewFace(channel.ask({ do: "draw", seed: 1, infant: false }), "adult 1");
document.documentElement.dataset.ready = "yes";
