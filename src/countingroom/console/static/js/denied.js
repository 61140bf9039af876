// The commands that the role of this user does not allow, as the page brought them. The server decides again at every
// action.
import { data } from "./dom.js";

export const denied = data.denied ?? {};
