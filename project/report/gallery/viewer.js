// One sample, large: a slider between clean and adversarial, their difference, and layers above.
const viewer = document.querySelector("dialog.viewer");
const stage = viewer.querySelector(".stage");
const tools = viewer.querySelector(".tools");
const [cleanImage, adversarialImage] = stage.querySelectorAll(".photo");
const canvas = stage.querySelector("canvas");
const LAYERS = ["flow", "mask", "target", "prediction_clean", "prediction_adversarial"];

async function showSample(set, place) {
  showTitle(set, place);
  showVerdicts(set, place);
  showNumbers(set, place);
  showLayers(set, place);
  cleanImage.src = picture(set, "clean", place);
  adversarialImage.src = picture(set, "adversarial", place);
  // Going on before they are there is no error: the next sample's come instead.
  await Promise.all([cleanImage.decode(), adversarialImage.decode()]).catch(() => {});
  stage.classList.toggle("coarse", cleanImage.naturalWidth < 320);
  stage.style.setProperty("--shape", cleanImage.naturalWidth / cleanImage.naturalHeight);
  redraw();
}

function showTitle(set, place) {
  const { index, name, classes } = catalogue.about.images;
  const image = set.images[place];
  const truth = catalogue.about.task === "classification" ? classes[image].map(className) : [];
  const told = [...truth, `${set.attack} on ${set.source}`, `id ${index[image]}`];
  viewer.querySelector("h2").textContent = name[image];
  viewer.querySelector(".about").textContent = told.join(" · ");
}

function showLayers(set, place) {
  for (const layer of LAYERS) {
    const source = picture(set, layer, place);
    const image = stage.querySelector(`.layer.${layer}`);
    if (source) image.src = source;
    else image.removeAttribute("src");
    tools.querySelector(`[data-layer=${layer}]`).hidden = !source;
  }
  tools.querySelector(".layers").hidden = !LAYERS.some((layer) => picture(set, layer, place));
}

function showVerdicts(set, place) {
  const segmentation = catalogue.about.task === "segmentation";
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
  const told = ({ prediction, share, state }) => {
    if (segmentation) return `${percent(share[place])} of its right pixels fooled`;
    const now = prediction[place] === null ? "–" : className(prediction[place]);
    const before = state[place] === "w" ? " (wrong when clean)" : "";
    return `${now}, ${percent(share[place])} for the truth${before}`;
  };
  const judged = Object.entries(set.verdicts).filter(([, { state }]) => state[place] !== "-");
  viewer.querySelector(".verdicts").replaceChildren(...judged.map(([victim, verdict]) =>
    element("li", { class: STATES[verdict.state[place]].split(" ")[0] },
      element("b", {}, victim + (victim === set.source ? " ◆" : "")), ` ${told(verdict)}`)));
}

function showNumbers(set, place) {
  const held = Object.entries(set.columns).filter(([, column]) => column[place] !== null);
  const text = (value) => (value === "Infinity" ? "∞" : String(value));
  viewer.querySelector(".numbers").replaceChildren(...held.map(([name, column]) =>
    element("div", {},
      element("dt", {}, catalogue.about.columns[name]),
      element("dd", {}, text(column[place])))));
}

// What the controls say becomes what the stage shows.
function redraw() {
  const chosen = new FormData(tools);
  const difference = chosen.get("view") === "difference";
  const power = Number(chosen.get("power"));
  tools.querySelector("output").textContent = `×${2 ** power}`;
  stage.dataset.view = chosen.get("view");
  stage.style.setProperty("--opacity", chosen.get("opacity") / 100);
  canvas.setAttribute("aria-label", `adversarial minus clean around mid-grey, times ${2 ** power}`);
  if (difference && cleanImage.naturalWidth) amplify(canvas, cleanImage, adversarialImage, power);
  for (const layer of LAYERS) {
    const image = stage.querySelector(`.layer.${layer}`);
    image.hidden = !image.hasAttribute("src") || !tools.elements[layer].checked;
  }
}

function placeLine() {
  stage.style.setProperty("--split", `${split.value}%`);
}

const split = stage.querySelector("input");
split.addEventListener("input", placeLine);
tools.addEventListener("input", (event) => {
  if (event.target.name === "power") tools.elements.view.value = "difference";
  redraw();
});
tools.addEventListener("submit", (event) => event.preventDefault());
