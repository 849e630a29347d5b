// From black over violet and orange to pale yellow, as the colour map "inferno": evenly bright steps, no hue that
// colour-blind readers miss.
const STOPS = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

export function colourOf(value) {
  const place = Math.min(Math.max(value, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((part, i) => part + (STOPS[low + 1][i] - part) * (place - low));
}

// Grey values become colours; the less evidence, the more the image shines through.
export function paintMap(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const value = pixels.data[i] / 255;
    const [red, green, blue] = colourOf(value);
    pixels.data.set([red, green, blue, 255 * value], i);
  }
  context.putImageData(pixels, 0, 0);
}

export function paintRamp(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    context.fillStyle = `rgb(${colourOf(x / (canvas.width - 1)).map(Math.round).join(" ")})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
