// A page of cards: however many samples there are, few are in the document.
const PER_PAGE = 48;
const STATES = { f: "fooled", k: "kept", w: "wrong when clean", "-": "not judged" };

function card(set, place, open) {
  const image = set.images[place];
  const name = catalogue.about.images.name[image];
  const source = picture(set, "thumbnail", place);
  const told = Object.entries(set.verdicts).map(([victim, { state }]) => [victim, state[place]]);
  const button = element(
    "button",
    { type: "button", class: "card-button" },
    element("img", { src: source, alt: "", loading: "lazy", decoding: "async" }),
    element("span", { class: "card-name" }, name),
    element("span", { class: "dots" }, ...told.map(([victim, state]) =>
      element("span", { class: `dot ${STATES[state].split(" ")[0]}`, title: `${victim}: ${STATES[state]}` }))),
  );
  const fooled = told.filter(([, state]) => state === "f").length;
  button.setAttribute("aria-label", `${name}: ${fooled} of ${told.length} victims fooled`);
  button.addEventListener("click", () => open(place));
  return element("li", {}, button);
}

function showCards(set, found, page, open) {
  const list = document.querySelector(".cards-grid");
  const first = page * PER_PAGE;
  const shown = found.slice(first, first + PER_PAGE);
  list.replaceChildren(...shown.map((place) => card(set, place, open)));
  const [back, on] = document.querySelectorAll(".pages button");
  back.disabled = page === 0;
  on.disabled = first + PER_PAGE >= found.length;
  document.querySelector(".pages").hidden = found.length <= PER_PAGE;
  document.querySelector("#gallery-count").textContent = count(found.length, set.images.length)
    + (shown.length < found.length ? `, ${first + 1}–${first + shown.length} shown` : "");
}

function count(found, all) {
  const number = (n) => n.toLocaleString("en");
  return found === all ? `${number(all)} image${all === 1 ? "" : "s"}` : `${number(found)} of ${number(all)} images`;
}
