// Law: what this person may not do is told with the page; the server decides again at every action.
import { data } from "./dom.js";

export const denied = data.denied ?? {};
