// The live feed: a websocket, and requests for the same messages while there is none, because it was refused or a proxy
// lets none through. After three missed ticks the link counts as lost; both resume at the last revision.
const MISSED_MS = 3000;
const ASK_MS = 2000;
const REFUSED_MS = 5000;
const LOGIN_OVER = 4001;
const TOO_MANY = 1013;

export class Live {
  constructor(watch) {
    this.watch = watch;
    this.revision = null;
    this.offsetNs = 0; // server's clock minus ours
    this.up = false;
    this.fed = false; // by the websocket; else by requests
    this.refused = ""; // why the server refused the websocket
    this.shown = null;
    this.bus = true;
    this.lostSince = null;
    this.heardAt = performance.now();
    this.points = new Map();
    this.states = new Map();
    this.alive = {};
    this.alarms = [];
    this.counts = [0, 0, 0];
    this.devices = {};
    this.partitions = {};
    this.places = {}; // area, channel or system -> priority of its worst open alarm
    this.foremost = "";
    this.newest = null; // the newest alarm that waits to be acknowledged
    this.waiting = 0;
    this.watched = true; // the alarm department is running
    this.kept = true; // a keeper of the fleet is running
    this.follow = 0;
    this.listeners = { change: [], link: [], event: [], tick: [], catalogue: [], missed: [] };
    this.wanted = true; // a snapshot was asked for: the next one is not for changes that were missed
    this.pauseMs = 250;
    this.left = false; // the end of the login is our own doing
  }

  on(kind, listener) {
    this.listeners[kind].push(listener);
    return this;
  }
  tell(kind, ...told) {
    for (const listener of this.listeners[kind]) listener(...told);
  }
  nowNs() {
    return Date.now() * 1e6 + this.offsetNs;
  }
  // How old the shown state is, in words.
  get oldness() {
    const seconds = Math.round((performance.now() - this.heardAt) / 1000);
    return seconds < 120 ? `${seconds} s old` : `${Math.round(seconds / 60)} min old`;
  }
  get trusted() {
    return this.up && this.bus;
  }

  start() {
    this.connect();
    setInterval(() => this.check(), 500);
  }

  connect() {
    if (this.left) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
    this.socket = socket;
    this.openedAt = performance.now();
    socket.onopen = () => socket.send(JSON.stringify({ watch: this.watch, resume: this.revision }));
    socket.onmessage = (message) => {
      if (socket !== this.socket) return;
      this.fed = true;
      this.refused = "";
      this.pauseMs = 250;
      this.take(JSON.parse(message.data));
    };
    socket.onclose = ({ code, reason }) => {
      if (code === LOGIN_OVER) location.reload(); // to the login, or with the roles as they are now
      else if (socket === this.socket) {
        this.refused = code === TOO_MANY ? reason : "";
        this.again();
      }
    };
  }

  again() {
    this.socket = null;
    this.fed = false;
    this.ask();
    setTimeout(() => {
      if (!this.socket) this.connect();
    }, this.refused ? REFUSED_MS : this.pauseMs);
    this.pauseMs = Math.min(this.pauseMs * 1.6, 3000);
  }

  // Asks for the messages until the websocket brings them.
  async ask() {
    if (this.asking) return;
    this.asking = true;
    while (!this.fed && !this.left) {
      await this.askOnce();
      if (!this.fed) await new Promise((done) => setTimeout(done, ASK_MS));
    }
    this.asking = false;
  }

  async askOnce() {
    const query = new URLSearchParams({ watch: JSON.stringify(this.watch) });
    if (this.revision !== null) query.set("resume", this.revision);
    try {
      const answer = await fetch(`/api/v1/live?${query}`, { signal: AbortSignal.timeout(MISSED_MS) });
      if (answer.status === 401 && !this.left) location.reload();
      const told = answer.ok ? await answer.json() : null;
      if (this.fed || this.left) return;
      if (told) for (const message of told.messages) this.take(message);
      else if (answer.status !== 429) this.lose();
    } catch {
      if (!this.fed) this.lose();
    }
  }

  leave() {
    this.left = true;
    this.drop();
  }

  stay() {
    this.left = false;
    this.connect();
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onclose = null;
    socket.close();
  }

  look(watch) {
    this.watch = watch;
    this.wanted = true;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ watch, resume: null }));
    else this.revision = null; // the changes since the last revision are of the other subscription
  }

  check() {
    const now = performance.now();
    if (this.up && now - this.heardAt > MISSED_MS + (this.fed ? 0 : ASK_MS)) this.lose();
    if (this.socket && now - Math.max(this.heardAt, this.openedAt) > MISSED_MS) {
      this.drop();
      this.again();
    }
  }

  lose() {
    if (!this.up && this.lostSince !== null) return;
    this.up = false;
    this.shown = null;
    this.lostSince ??= this.nowNs() - (performance.now() - this.heardAt) * 1e6;
    this.tell("link");
  }

  take(message) {
    this.heardAt = performance.now();
    this.revision = message.revision;
    this.offsetNs = message.time_ns - Date.now() * 1e6;
    const snapshot = message.kind === "snapshot";
    if (snapshot) {
      this.points.clear();
      this.states.clear();
    }
    const points = message.points ?? {},
      states = message.states ?? {};
    for (const [name, row] of Object.entries(points)) this.points.set(name, row);
    for (const [key, state] of Object.entries(states)) {
      if (state === null) this.states.delete(key);
      else this.states.set(key, state);
    }
    if (message.alive) this.alive = message.alive;
    if (message.alarms) {
      ({ alarms: this.alarms, counts: this.counts, devices: this.devices } = message);
      ({ partitions: this.partitions, foremost: this.foremost, places: this.places = {} } = message);
      this.watched = message.watched !== false;
      this.kept = message.kept !== false;
      ({ newest: this.newest = null, waiting: this.waiting = 0, follow: this.follow = 0 } = message);
    }
    const bus = message.bus ?? this.bus,
      shown = `${bus} ${this.fed} ${this.refused}`;
    this.bus = bus;
    if (this.shown !== shown) {
      this.shown = shown;
      this.up = true;
      this.lostSince = bus ? null : (this.lostSince ?? message.time_ns);
      this.tell("link");
    }
    if (message.catalogues) this.tell("catalogue", message.catalogues);
    if (message.kind !== "tick") {
      this.tell("change", { points, states, alarms: Boolean(message.alarms), alive: Boolean(message.alive), snapshot });
    }
    if (snapshot) {
      if (!this.wanted) this.tell("missed"); // the pause was longer than the server's backlog
      this.wanted = false;
    }
    for (const event of message.events ?? []) this.tell("event", event);
    this.tell("tick", message.time_ns);
  }
}
