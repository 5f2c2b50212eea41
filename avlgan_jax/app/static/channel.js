// The websocket of the page: sends requests as JSON and uploads as bytes; replies have a JSON header and a payload.

export class Channel {
  // `query` is added to the address of the websocket; `onLost` is called when the connection ends.
  constructor(query, onLost) {
    this.onLost = onLost;
    this.next = 1;
    this.waiting = new Map();
    this.uploads = [];
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/session?${query}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#receive(data);
    this.socket.onclose = () => this.#lose();
    this.ready = new Promise((resolve) => { this.socket.onopen = resolve; });
  }

  // Send a request. Resolves to the header of the reply with its payload as `payload`; rejects with the error message.
  ask(request) {
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new Error("the connection to the server was lost"));
      const id = this.next++;
      this.waiting.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, ...request }));
    });
  }

  // Send a picture file; resolves and rejects as `ask` does.
  upload(blob) {
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new Error("the connection to the server was lost"));
      this.uploads.push({ resolve, reject });
      this.socket.send(blob);
    });
  }

  #receive(data) {
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const pending = header.id === null ? this.uploads.shift() : this.waiting.get(header.id);
    this.waiting.delete(header.id);
    if (!pending) return; // a reply to nothing that this page still waits for
    if (header.error) pending.reject(new Error(header.error));
    else pending.resolve({ ...header, payload: new Uint8Array(data, 4 + length) });
  }

  #lose() {
    for (const pending of [...this.waiting.values(), ...this.uploads]) pending.reject(new Error("the connection to the server was lost"));
    this.waiting.clear();
    this.uploads = [];
    this.onLost();
  }
}

// Convert the RGB bytes of a square picture, from index `first`, to ImageData.
export function pixels(rgb, side, first = 0) {
  const image = new ImageData(side, side);
  for (let i = 0, j = first; i < image.data.length; i += 4, j += 3) {
    image.data[i] = rgb[j];
    image.data[i + 1] = rgb[j + 1];
    image.data[i + 2] = rgb[j + 2];
    image.data[i + 3] = 255;
  }
  return image;
}

// Offer bytes to the user as a file to save.
export function download(bytes, type, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
