// Puts logos in the place of initials, once they are there; what cannot be had leaves the initials.
// They come through the bridge, by digest: no provider is ever asked by a browser.

const root = new URL("../", import.meta.url);
const BUSY_MS = 6000; // a logo on its way is there some seconds later

function draw(place, again) {
  const picture = new Image();
  picture.alt = "";
  picture.loading = "lazy";
  picture.decoding = "async";
  picture.addEventListener("load", () => place.classList.add("drawn"));
  picture.addEventListener("error", () => {
    picture.remove();
    if (again) setTimeout(() => { if (place.isConnected) draw(place, false); }, BUSY_MS);
  });
  picture.src = new URL(place.dataset.logo, root);
  place.append(picture);
}

export function drawLogos(within) {
  for (const place of within.querySelectorAll("[data-logo]:not(:has(img))")) draw(place, true);
}
