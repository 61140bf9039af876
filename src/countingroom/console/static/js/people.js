// The pages before a login: a form without live feed, and the way back to the page that was asked for.
import { form, twice } from "./form.js";

function goOn() {
  location.replace(document.body.dataset.next); // the server gives a local path only
}

form("#login", "/api/v1/login", (data) => ({ name: data.get("name"), password: data.get("password") }), goOn);
form(
  "#link",
  "/api/v1/link",
  (data) =>
    twice(data) ? { refused: twice(data) } : { token: location.hash.slice(1), password: data.get("password") },
  goOn,
);
document.body.dataset.script = "ready";
