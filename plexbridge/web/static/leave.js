// Logging out: this browser's session ends, on every page that it has open.

const root = new URL("../", import.meta.url);
const button = document.getElementById("leave");

button.addEventListener("click", async () => {
  try {
    const answer = await fetch(new URL("logout", root), { method: "POST" });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    location.assign(new URL("login", root));
  } catch (error) {
    button.textContent = `Not logged out: the bridge cannot be asked (${error.message})`;
  }
});
button.disabled = false;
