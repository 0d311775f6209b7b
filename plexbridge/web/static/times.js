// Says moments in the viewer's zone; the server, which does not know it, wrote them in UTC.

const FORMS = {
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  hm: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { weekday: "short", day: "numeric", month: "short" },
  dayhm: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  full: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};

export function said(ms, form = "full") {
  return new Date(ms).toLocaleString([], FORMS[form]);
}

export function localTimes(root = document) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    node.title = node.dateTime;
    node.textContent = said(Date.parse(node.dateTime), node.dataset.form);
  }
}
