// Starts every page: frame, live feed and search dialog, then the module of the page.
import { acts } from "./acts.js";
import { alarmSound } from "./alarm-sound.js";
import { follow } from "./commands.js";
import { controlRequests } from "./control-request.js";
import { finder } from "./finder.js";
import { help } from "./help.js";
import { leaving } from "./leave.js";
import { Live } from "./live.js";
import { localTime } from "./local-time.js";
import { rows } from "./rows.js";
import { shell } from "./shell.js";
import { tips } from "./tip.js";

const PAGES = {
  overview: "./page-overview.js",
  alarms: "./page-alarms.js",
  "alarm-figures": "./page-alarm-figures.js",
  device: "./page-device.js",
  rules: "./page-rules.js",
  "log-lines": "./page-log-lines.js",
  "public-notes": "./page-public-notes.js",
  interlocks: "./page-interlocks.js",
  trends: "./page-trends.js",
  synoptic: "./page-synoptic.js",
  snapshots: "./page-snapshots.js",
  snapshot: "./page-snapshot.js",
  events: "./page-events.js",
  partition: "./page-partition.js",
  runs: "./page-runs.js",
  run: "./page-run.js",
  "run-compare": "./page-run-compare.js",
  results: "./page-results.js",
  result: "./page-result.js",
  "result-compare": "./page-result-compare.js",
  configurations: "./page-configurations.js",
  detectors: "./page-detectors.js",
  account: "./page-account.js",
  users: "./page-users.js",
  audit: "./page-audit.js",
  description: "./page-description.js",
  control: "./page-control-room.js",
  fleet: "./page-fleet.js",
  service: "./page-service.js",
  node: "./page-node.js",
};

const live = new Live({ devices: ["*"], points: [], states: true, events: true });
shell(live);
finder();
help();
localTime(live);
tips();
rows();
acts(live);
follow(live);
controlRequests(live);
alarmSound(live);
leaving(live);
const name = PAGES[document.body.dataset.page];
if (name) (await import(name)).page(live);
live.start();
document.body.dataset.script = "ready";
