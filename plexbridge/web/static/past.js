// A page that shows a moment of the past stays as it is: it only says times in the viewer's zone.
import { said } from "./times.js";

for (const node of document.querySelectorAll("time[datetime]")) {
  const exact = said(Date.parse(node.dateTime));
  if (node.dataset.form) node.textContent = exact;
  else node.title = exact;
}
