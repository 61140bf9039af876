// The websocket of the live feed. After three missed ticks the link counts as lost; a new connection resumes at the
// last revision.
const MISSED_MS = 3000;
const LOGIN_OVER = 4001;

export class Live {
  constructor(watch) {
    this.watch = watch;
    this.revision = null;
    this.offsetNs = 0; // server's clock minus ours
    this.up = false;
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
    this.foremost = "";
    this.listeners = { change: [], link: [], event: [], tick: [], catalogue: [] };
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
      if (socket === this.socket) this.take(JSON.parse(message.data));
    };
    socket.onclose = ({ code }) => {
      if (code === LOGIN_OVER) location.reload(); // to the login, or with the roles as they are now
      else if (socket === this.socket) {
        this.ask();
        this.again();
      }
    };
  }

  async ask() {
    // A refused websocket does not give the reason.
    const answer = await fetch("/api/v1/me").catch(() => null);
    if (answer?.status === 401 && !this.left) location.reload();
  }

  again() {
    this.socket = null;
    this.lose();
    setTimeout(() => {
      if (!this.socket) this.connect();
    }, this.pauseMs);
    this.pauseMs = Math.min(this.pauseMs * 1.6, 3000);
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
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ watch, resume: null }));
  }

  check() {
    const now = performance.now();
    if (this.up && now - this.heardAt > MISSED_MS) this.lose();
    if (this.socket && now - Math.max(this.heardAt, this.openedAt) > MISSED_MS) {
      this.drop();
      this.again();
    }
  }

  lose() {
    if (!this.up && this.lostSince !== null) return;
    this.up = false;
    this.lostSince ??= this.nowNs() - (performance.now() - this.heardAt) * 1e6;
    this.tell("link");
  }

  take(message) {
    this.heardAt = performance.now();
    this.pauseMs = 250;
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
      ({ partitions: this.partitions, foremost: this.foremost } = message);
    }
    const bus = message.bus ?? this.bus,
      changedLink = !this.up || bus !== this.bus;
    this.bus = bus;
    if (changedLink) {
      this.up = true;
      this.lostSince = bus ? null : (this.lostSince ?? message.time_ns);
      this.tell("link");
    }
    if (message.catalogues) this.tell("catalogue", message.catalogues);
    if (message.kind !== "tick") {
      this.tell("change", { points, states, alarms: Boolean(message.alarms), alive: Boolean(message.alive), snapshot });
    }
    for (const event of message.events ?? []) this.tell("event", event);
    this.tell("tick", message.time_ns);
  }
}
