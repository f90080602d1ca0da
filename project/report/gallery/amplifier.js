// 128 + k (adversarial − clean) for k = 2^power, exact on eight bits and cut off at 0 and 255.
//
// The canvas computes it by compositing and never reads a pixel: pictures of a page that was opened
// as a file may be drawn but not be read.
function amplify(canvas, clean, adversarial, power) {
  const { naturalWidth: width, naturalHeight: height } = clean;
  const more = excess(adversarial, clean, width, height, power);
  const less = excess(clean, adversarial, width, height, power);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(128 128 128)";
  context.fillRect(0, 0, width, height);
  blend(context, "lighter", more);
  invert(context, width, height); // x − y = 255 − ((255 − x) + y)
  blend(context, "lighter", less);
  invert(context, width, height);
}

// 2^power max(first − second, 0), by max(first, second) − second and doubling.
function excess(first, second, width, height, power) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  blend(context, "copy", first);
  blend(context, "lighten", second);
  blend(context, "difference", second);
  for (let k = 0; k < power; k += 1) blend(context, "lighter", canvas);
  return canvas;
}

function blend(context, operation, picture) {
  context.globalCompositeOperation = operation;
  context.drawImage(picture, 0, 0);
}

function invert(context, width, height) {
  context.globalCompositeOperation = "difference";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
}
