// Which samples of a set are shown, and in which order: plain functions of what was chosen.
const LETTERS = { fooled: "f", kept: "k", wrong: "w" };

function select(set, chosen) {
  const { index, name, classes } = catalogue.about.images;
  const text = chosen.text.trim().toLowerCase();
  const label = chosen.label === "" ? null : Number(chosen.label);
  const places = [...set.images.keys()].filter((place) => {
    const image = set.images[place];
    return (
      judged(set, place, chosen) &&
      (label === null || classes[image].includes(label)) &&
      (!text || name[image].toLowerCase().includes(text) || String(index[image]) === text)
    );
  });
  return sorted(places, values(set, chosen), chosen.order === "down" ? -1 : 1);
}

function judged(set, place, { victim, verdict }) {
  if (!verdict) return true;
  const right = (name) => set.verdicts[name].state[place] === LETTERS[verdict];
  const victims = Object.keys(set.verdicts);
  if (victim === "some") return victims.some(right);
  return victim === "every" ? victims.every(right) : right(victim.slice(1));
}

// What to sort by, one value for each place.
function values(set, { sort, victim }) {
  const { index, name } = catalogue.about.images;
  if (sort === "name") return set.images.map((image) => name[image]);
  if (sort === "index") return set.images.map((image) => index[image]);
  if (sort === "share") {
    const judges = victim.startsWith("=") ? [victim.slice(1)] : Object.keys(set.verdicts);
    const shares = judges.map((judge) => set.verdicts[judge].share);
    const best = catalogue.about.task === "segmentation" ? Math.max : Math.min;
    return set.images.map((_, place) => best(...shares.map((share) => numeric(share[place]))));
  }
  return (set.columns[sort.slice(1)] ?? set.images.map(() => null)).map(numeric);
}

function numeric(value) {
  return value === null ? NaN : Number(value); // "Infinity" is a word in JSON
}

// Equal ones stay in the order of the data, unknown ones come last either way.
function sorted(places, keys, sign) {
  const unknown = (key) => Number.isNaN(key);
  return places.sort((a, b) => {
    const [first, second] = [keys[a], keys[b]];
    if (unknown(first) || unknown(second)) return unknown(first) - unknown(second) || a - b;
    const order = typeof first === "string" ? first.localeCompare(second, "en", { numeric: true }) : first - second || 0;
    return sign * order || a - b;
  });
}
