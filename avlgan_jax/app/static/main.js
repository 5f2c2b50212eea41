// The page: puts the plane, the face and the dyad together, and asks the server for what they show.

import { Channel, download, pixels } from "./channel.js";
import { Dyad } from "./dyad.js";
import { Plane, signed } from "./plane.js";
import { Portrait } from "./portrait.js";

const $ = (selector) => document.querySelector(selector);
const about = await (await fetch("about")).json();
const channel = new Channel(() => complain("The connection to the program was lost. Start it again and load this page anew."));
const plane = new Plane(about.expressions);
const portrait = new Portrait(about);
const dyad = new Dyad(channel, complain);

function complain(text) {
  $("#message").hidden = !text;
  $("#message").textContent = text;
}

// Faces follow the point: one request at a time, and always for where the point is now.
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
      const answer = await channel.ask(request);
      portrait.show(pixels(answer.payload, answer.side), answer.landmarks);
      $("#face").dataset.updates = ++updates;
      $("#face").setAttribute("aria-label", `The face at valence ${signed(plane.valence)}, arousal ${signed(plane.arousal)}`);
    } catch (error) {
      complain(error.message);
    }
  }
  asking = false;
  $("#face").setAttribute("aria-busy", false);
}

// A new face starts where the judge sees it.
async function meet(asked, who) {
  document.body.ariaBusy = "true";
  try {
    const face = await asked;
    complain("");
    portrait.reset();
    $("#reset-landmarks").hidden = true;
    $("#told").textContent = `${who}${face.faces > 1 ? `, the largest of ${face.faces} faces` : ""}, in whom the judge reads valence ${signed(face.valence)} and arousal ${signed(face.arousal)} before any change`;
    plane.place(face.valence, face.arousal);
    await follow();
    await paintPlane();
  } catch (error) {
    complain(error.message);
  }
  document.body.ariaBusy = "false";
}

async function paintPlane() {
  $("#faces").style.opacity = $("#show-faces").checked ? "" : 0;
  if ($("#show-faces").checked) plane.showFaces(await channel.ask({ do: "matrix" }), pixels);
}

function meetSomebodyNew(infant) {
  const seed = Math.floor(Math.random() * 1e6);
  return meet(channel.ask({ do: "draw", seed, infant }), `${infant ? "infant" : "adult"} ${seed}`);
}

async function upload(blob, name) {
  if (blob.size > about.largest_upload) {
    return complain(`${name} has ${(blob.size / 2 ** 20).toFixed(1)} MB; at most ${about.largest_upload / 2 ** 20} MB can be opened here.`);
  }
  if (blob.size === 0) return complain(`${name} is empty.`);
  await meet(channel.upload(blob), name);
}

plane.addEventListener("move", follow);
portrait.addEventListener("drag", () => { $("#reset-landmarks").hidden = false; follow(); });
$("#reset-landmarks").addEventListener("click", () => { portrait.reset(); $("#reset-landmarks").hidden = true; follow(); });
$("#plain").addEventListener("change", follow);
$("#show-faces").addEventListener("change", paintPlane);
$("#show-landmarks").addEventListener("change", (event) => { $("#landmarks").toggleAttribute("hidden", !event.target.checked); });
$("#new-adult").addEventListener("click", () => meetSomebodyNew(false));
$("#new-infant").addEventListener("click", () => meetSomebodyNew(true));
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

// What can be kept.
$("#save-picture").addEventListener("click", () => $("#face").toBlob((blob) => download(blob, "image/png", "face.png")));
$("#save-matrix").addEventListener("click", async () => {
  try {
    const { payload, type } = await channel.ask({ do: "matrix_file" });
    download(payload, type, "matrix.png");
  } catch (error) {
    complain(error.message);
  }
});

let walk = null;
$("#record").addEventListener("click", async () => {
  const recording = !walk;
  $("#record").setAttribute("aria-pressed", recording);
  $("#record span").textContent = recording ? "Stop and save" : "Record a walk";
  if (recording) {
    const points = [];
    const timer = setInterval(() => {
      points.push([plane.valence, plane.arousal]);
      plane.trail(points);
      if (points.length === about.film.longest) $("#record").click();
    }, 1000 / about.film.fps);
    walk = { points, timer };
    return;
  }
  const { points, timer } = walk;
  walk = null;
  clearInterval(timer);
  plane.trail([]);
  $("#record").disabled = true;
  try {
    const format = $("#format").value;
    const offsets = portrait.dragged ? [...portrait.offsets] : null;
    const { payload, type } = await channel.ask({ do: "film", points, format, offsets });
    download(payload, type, `walk.${format}`);
  } catch (error) {
    complain(error.message);
  }
  $("#record").disabled = false;
});

// The camera: one picture, taken when asked, and the camera is off again.
const booth = $("#booth");
$("#camera").addEventListener("click", async () => {
  try {
    booth.querySelector("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280 } });
    booth.showModal();
  } catch (error) {
    complain(`The camera cannot be used (${error.message ?? "this page is not on a secure address"}).`);
  }
});
booth.addEventListener("close", () => {
  const film = booth.querySelector("video");
  film.srcObject?.getTracks().forEach((track) => track.stop());
  film.srcObject = null;
});
$("#cancel").addEventListener("click", () => booth.close());
$("#snap").addEventListener("click", () => {
  const film = booth.querySelector("video");
  const shot = document.createElement("canvas");
  [shot.width, shot.height] = [film.videoWidth, film.videoHeight];
  const context = shot.getContext("2d");
  context.scale(-1, 1); // as in the mirror that the person saw
  context.drawImage(film, -shot.width, 0);
  booth.close();
  shot.toBlob((blob) => upload(blob, "the camera's picture"), "image/jpeg", 0.95);
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
  ? " These are drawn faces: a photograph cannot look right with them. Train on photographs (docs/tutorial.md) and start with --weights RUN."
  : "") + " Pictures stay in this machine's memory and go with this page.";
await channel.ready;
await meet(channel.ask({ do: "draw", seed: 1, infant: false }), "adult 1");
document.documentElement.dataset.ready = "yes";
