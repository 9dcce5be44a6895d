// Without WebGL: a picture of the head that the server rendered, in place of the canvas.

const SHEET = "contact_sheet.jpg"; // lies beside the .glb

/** Address of the sheet that belongs to a .glb; null for an address without a file name. */
export function sheetUrl(glb) {
  return /[^/=]+\.glb(?=$|[?#])/.test(glb) ? glb.replace(/[^/=]+\.glb(?=$|[?#])/, SHEET) : null;
}

/** Show the sheet of `glb` in `image`; resolves to whether there is one. */
export function showSheet(image, glb) {
  return new Promise((resolve) => {
    const url = sheetUrl(glb);
    if (!url) return resolve(false);
    image.onload = () => { image.hidden = false; resolve(true); };
    image.onerror = () => { image.hidden = true; resolve(false); };
    image.src = url;
  });
}
