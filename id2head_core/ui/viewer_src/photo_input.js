// Where the visitor's photo comes from: drop, browse, paste, camera or an example. The file goes to
// the server as it is, whatever it is: the server decides what is a photo and says why if it is not.
import { openCamera } from "./camera.js";
import { icon, ICONS, make } from "./dom.js";

const TOUCH = matchMedia("(pointer: coarse)").matches; // nothing can be dropped or pasted

export function mountPhotoInput({ element, props, trigger, upload, watch }) {
  const root = element.querySelector(".photo");
  const zone = root.querySelector(".photo-zone"), alert = root.querySelector(".photo-error");
  const browse = make("input", { type: "file", id: "photo-file", accept: "image/*,.heic,.heif,.avif", class: "visually-hidden", tabindex: -1, "aria-label": "Photo file" });
  root.append(browse);

  const refuse = (text) => { alert.textContent = text; alert.hidden = !text; };
  const send = (value) => { props.value = value; trigger("upload"); };
  const clear = () => { props.value = { kind: "none" }; paint(); trigger("clear"); };

  const accept = async (file) => {
    if (!file) return;
    refuse("");
    if (file.size > props.max_bytes) {
      return refuse(`This file has ${megabytes(file.size)} MB; the limit is ${megabytes(props.max_bytes)} MB. Save the photo smaller and try again.`);
    }
    if (!file.size) return refuse("This file is empty. Choose another photo.");
    busy();
    try {
      // A neutral name: the visitor's file name is nobody's business.
      const { path } = await upload(new File([file], "photo", { type: "application/octet-stream" }));
      send({ kind: "upload", path });
    } catch (error) {
      console.error(error);
      props.value = { kind: "none" };
      paint();
      refuse("The photo did not arrive. Check the connection and try again.");
    }
  };
  browse.addEventListener("change", () => { accept(browse.files[0]); browse.value = ""; });
  for (const type of ["dragenter", "dragover"]) {
    zone.addEventListener(type, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  zone.addEventListener("dragleave", (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("over"); });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    accept(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    if (!element.isConnected || event.target.closest?.("input, textarea")) return;
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) { event.preventDefault(); accept(file); }
  });

  const examples = root.querySelector(".photo-examples");
  for (const { name, label, thumb } of props.examples) {
    examples.append(make("button.photo-example", { type: "button", "data-example": name, title: label, "aria-label": `Example: ${label}`,
      onclick: () => { refuse(""); busy(); send({ kind: "example", name }); } }, make("img", { src: thumb, alt: "" })));
  }
  root.querySelector(".photo-examples-row").hidden = !props.examples.length;

  const busy = () => zone.replaceChildren(make("div.photo-busy", { role: "status" }, make("span.spinner"), "Reading the photo…"));
  const paint = () => {
    const value = props.value ?? {};
    root.dataset.kind = value.kind ?? "none";
    refuse(value.error ?? "");
    if (value.kind === "ready") zone.replaceChildren(...picture(value));
    else if (value.kind !== "upload" && value.kind !== "example") zone.replaceChildren(...invitation());
  };
  const invitation = () => [
    make("button.photo-browse", { type: "button", onclick: () => browse.click() },
      icon(ICONS.face), make("strong", {}, TOUCH ? "Choose a selfie" : "Drop a selfie here"),
      make("span", {}, TOUCH ? "from your photos or files" : "or click to choose, or paste it")),
    make("button.photo-camera", { type: "button", onclick: () => openCamera(zone, { onShot: accept, onClose: paint, onRefuse: (text) => { paint(); refuse(text); } }) },
      icon(ICONS.camera), "Use the camera"),
  ];
  const picture = (value) => {
    const image = make("img", { src: value.preview, alt: "Your photo" });
    const frame = make("div.photo-frame", {}, image);
    (value.boxes ?? []).forEach(([left, top, right, bottom], i) => {
      const box = make("button.photo-face", { type: "button", "aria-label": `Face ${i + 1}`, "aria-pressed": value.face === i,
        style: `left:${100 * left}%;top:${100 * top}%;width:${100 * (right - left)}%;height:${100 * (bottom - top)}%`,
        onclick: () => { props.value = { ...value, face: i }; paint(); trigger("select"); } }, make("span", {}, String(i + 1)));
      frame.append(box);
    });
    const wait = value.face == null && !value.boxes?.length;
    const note = make("p.photo-note", { role: "status" }, ...(wait ? [make("span.spinner")] : []), value.note ?? "");
    const another = make("button.photo-another", { type: "button", hidden: !value.several,
      onclick: () => { props.value = { ...value, face: null }; trigger("select"); } }, "Choose another face");
    const remove = make("button.photo-remove", { type: "button", title: "Remove the photo", "aria-label": "Remove the photo", onclick: clear }, icon(ICONS.close));
    return [frame, note, another, remove];
  };
  watch("value", paint);
  paint();
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
