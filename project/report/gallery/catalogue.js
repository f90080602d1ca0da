// What is known of the pictured samples: some are inside the page, all in the folder beside it.
const inside = JSON.parse(document.querySelector("#gallery-inside").textContent);
const catalogue = { about: inside.about, sets: inside.sets, pictures: inside.pictures, whole: false };

// The scripts in the folder call this. Another run's are not taken.
globalThis.galleryPart = (stamp, number, part) => {
  if (stamp !== inside.stamp) return;
  if (number < 0) Object.assign(catalogue, { about: part, sets: [], pictures: {}, whole: true });
  else catalogue.sets[number] = part;
};

function load(name) {
  return new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `gallery/${name}.js`;
    script.addEventListener("load", resolve);
    script.addEventListener("error", resolve); // the folder is elsewhere: what is inside remains
    document.head.append(script);
  });
}

async function setOf(attack, source) {
  const number = catalogue.about.sets.findIndex((s) => s.attack === attack && s.source === source);
  if (!catalogue.sets[number]) await load(`catalogue-${String(number).padStart(2, "0")}`);
  return catalogue.sets[number];
}

// The address of a picture, undefined where there is none.
function picture(set, kind, place) {
  const index = String(catalogue.about.images.index[set.images[place]]).padStart(8, "0");
  const address = set.pictures[kind]?.replaceAll("{index}", index);
  return catalogue.pictures[address] ?? (catalogue.whole && address ? `gallery/${address}` : undefined);
}

function className(id) {
  return catalogue.about.classes[id] ?? `class ${id}`;
}
