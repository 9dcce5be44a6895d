// Takes a photo with the visitor's camera. Nothing is sent before the button is pressed.
import { make } from "./dom.js";

/** Show the camera inside `zone`; calls onShot(File), onClose() or onRefuse(text). */
export async function openCamera(zone, { onShot, onClose, onRefuse }) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "user", width: { ideal: 1920 }, height: { ideal: 1080 } }, audio: false,
    });
  } catch {
    return onRefuse("The browser gave no camera picture. Allow the camera for this page, or choose a file instead.");
  }
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  const video = make("video", { autoplay: true, playsinline: true, muted: true });
  video.muted = true;
  video.srcObject = stream;
  const shoot = () => {
    const { videoWidth: width, videoHeight: height } = video;
    if (!width) return;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(video, 0, 0);
    stop();
    canvas.toBlob((blob) => onShot(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
  };
  zone.replaceChildren(make("div.photo-live", {}, video, make("div.photo-live-buttons", {},
    make("button.photo-shoot", { type: "button", onclick: shoot }, "Take the photo"),
    make("button.photo-stop", { type: "button", onclick: () => { stop(); onClose(); } }, "Back"))));
  zone.querySelector(".photo-shoot").focus();
}
