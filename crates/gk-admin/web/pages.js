// The pages by name. A page is a function of its element and the app that returns {update, close, restyle, needs}; a page that is
// `ofRoute` gets the rows of one route.
import { events } from "/events.js";
import { gil } from "/gil.js";
import { overview } from "/overview.js";
import { processes } from "/processes.js";
import { profile } from "/profile.js";
import { requests } from "/requests.js";
import { route, routes } from "/routes.js";

export const pages = { overview, routes, route, gil, profile, processes, requests, events };
