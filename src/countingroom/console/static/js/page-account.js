// The page of the own account: change the password, log out.
import { form, twice } from "./form.js";
import { note } from "./shell.js";

export function page() {
  form(
    "#password",
    "/api/v1/me/password",
    (data) =>
      twice(data) ? { refused: twice(data) } : { present: data.get("present"), password: data.get("password") },
    (_, node) => {
      node.reset();
      note("The password is set. Every other login of yours is over.");
    },
  );
}
