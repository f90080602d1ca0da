// The gallery: controls choose, cards show, the viewer enlarges.
const gallery = document.querySelector("#gallery");
const form = document.querySelector(".filters");
let set; // of the attack and source chosen
let found = []; // places in it
let page = 0;
let open = -1; // which of those found is in the viewer

function offerChoices() {
  const { sets, victims, columns, classes, images, task } = catalogue.about;
  const { attack, source, victim, label, sort } = form.elements;
  const present = [...new Set(images.classes.flat())].sort((a, b) => a - b);
  const held = Object.keys(columns).filter((name) => set?.columns[name]?.some((value) => value !== null));
  const share = task === "segmentation" ? "pixels fooled" : "confidence in the truth";
  offer(attack, same(sets.map((one) => one.attack)));
  offer(source, same(sets.filter((one) => one.attack === attack.value).map((one) => one.source)));
  offer(victim, [["some", "any victim"], ["every", "every victim"], ...victims.map((name) => [`=${name}`, name])]);
  offer(label, [["", "all classes"], ...present.map((id) => [String(id), classes[id]])]);
  offer(sort, [["index", "order in the data"], ["name", "name"], ["share", share], ...held.map((name) => [`.${name}`, columns[name]])]);
  label.closest("label").hidden = present.length === 0;
}

function same(values) {
  return [...new Set(values)].map((value) => [value, value]);
}

function chosen() {
  return Object.fromEntries(new FormData(form));
}

// Take up the attack and source that the controls name.
async function change() {
  offerChoices();
  set = await setOf(form.elements.attack.value, form.elements.source.value);
  offerChoices(); // its columns are known now
}

function filter(start = 0) {
  found = select(set, chosen());
  page = Math.min(start, Math.max(0, Math.ceil(found.length / PER_PAGE) - 1));
  showCards(set, found, page, (place) => enlarge(found.indexOf(place)));
}

function enlarge(which) {
  open = which;
  const list = viewer.querySelector("[name=set]");
  offer(list, catalogue.about.sets.map((one, number) => [String(number), `${one.attack} on ${one.source}`]));
  list.value = String(catalogue.about.sets.findIndex((one) => one.attack === set.attack && one.source === set.source));
  viewer.querySelector(".which").textContent = `${open + 1} of ${found.length}`;
  if (!viewer.open) viewer.showModal();
  remember();
  return showSample(set, found[open]);
}

function step(by) {
  return enlarge((open + by + found.length) % found.length);
}

// Show an image in the viewer; what hides it is given up. Whether it is pictured here at all.
function reveal(image) {
  const place = set.images.indexOf(image);
  if (place < 0) return false;
  if (!found.includes(place)) {
    for (const name of ["verdict", "label", "text"]) form.elements[name].value = "";
    filter();
  }
  enlarge(found.indexOf(place));
  return true;
}

// The same image in another attack.
async function exchange({ attack, source }) {
  const image = set.images[found[open]];
  form.elements.attack.value = attack;
  offerChoices();
  form.elements.source.value = source;
  await change();
  filter();
  if (!reveal(image)) viewer.close();
}

function tellWhatIsShown() {
  const number = (n) => n.toLocaleString("en");
  const shown = inside.sets.reduce((sum, one) => sum + one.images.length, 0);
  const rest = `The folder “gallery” of this run is not beside this page: ${number(shown)} of `
    + `${number(inside.available)} pictured samples are inside the page and shown here`
    + (inside.reduced ? ", reduced in size; so are their differences." : ".");
  const told = document.querySelector("#gallery-origin");
  told.textContent = rest;
  told.hidden = catalogue.whole || (shown === inside.available && !inside.reduced);
}

form.addEventListener("input", async (event) => {
  delete gallery.dataset.ready;
  if (["attack", "source"].includes(event.target.name)) await change();
  filter();
  remember();
  gallery.dataset.ready = "";
});
form.addEventListener("submit", (event) => event.preventDefault());
document.querySelector(".pages").addEventListener("click", ({ target }) => {
  if (!target.dataset.step) return;
  filter(page + Number(target.dataset.step));
  remember();
  document.querySelector(".cards-grid button").focus();
});
viewer.addEventListener("click", ({ target }) => {
  if (target.dataset.step) step(Number(target.dataset.step));
});
viewer.querySelector("[name=set]").addEventListener("input", ({ target }) => exchange(catalogue.about.sets[target.value]));
viewer.addEventListener("close", () => {
  open = -1;
  remember();
});
// Of the document: where what had the focus is hidden, keys go to the body.
document.addEventListener("keydown", (event) => {
  if (!viewer.open || event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
  if (event.key === "d") {
    tools.elements.view.value = tools.elements.view.value === "difference" ? "both" : "difference";
    redraw();
  }
  const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (aside && !event.target.matches("input")) { // inputs move by themselves
    split.stepUp(aside);
    placeLine();
  }
});

await load("catalogue");
await change();
filter();
tellWhatIsShown();
await recall();
addEventListener("hashchange", recall);
gallery.dataset.ready = "";
