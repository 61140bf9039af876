// The output of instances as it is written: a socket of its own, whose lines go on after a time without the server.
const KEPT = 2000, // lines
  SHOW_MS = 150,
  FIRST_MS = 500,
  LONGEST_MS = 10000,
  LOGIN_OVER = 4001;

export class LogStream {
  // show(lines, why): all lines that are kept, {node, index, text, time_ns}; why: there is nothing new at present.
  constructor(tail, show) {
    this.tail = tail;
    this.show = show;
    this.of = [];
    this.lines = [];
    this.why = "";
    this.pauseMs = FIRST_MS;
  }

  // The lines of other instances from now on.
  follow(of) {
    this.of = of;
    this.lines = [];
    this.lastNs = 0;
    this.pauseMs = FIRST_MS;
    this.drop();
    if (of.length) this.connect();
    else this.told("");
  }

  connect() {
    clearTimeout(this.again);
    const scheme = location.protocol === "https:" ? "wss" : "ws",
      socket = new WebSocket(`${scheme}://${location.host}/api/v1/fleet/logs`);
    this.socket = socket;
    socket.onopen = () => {
      const since = this.lastNs ? { since_ns: this.lastNs + 1 } : {};
      socket.send(JSON.stringify({ of: this.of, tail: this.tail, ...since }));
      this.told("");
    };
    socket.onmessage = ({ data }) => socket === this.socket && this.take(data);
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.socket) return;
      if (code === LOGIN_OVER) return location.reload();
      this.told(reason || "the console does not answer; it is asked again");
      this.again = setTimeout(() => this.connect(), this.pauseMs);
      this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_MS);
    };
  }

  take(data) {
    const { lines = [], missed = 0, cause = null } = JSON.parse(data);
    this.pauseMs = FIRST_MS;
    if (missed) this.lines.push({ node: "", index: 0, text: `── ${missed} lines came too fast and are left out ──`, time_ns: this.lastNs });
    // The first lines of several instances come one instance after the other: they are put in the order of their times.
    for (const line of lines) line.time_ns ||= this.lastNs;
    this.lines.push(...lines);
    if (this.of.length > 1) this.lines.sort((a, b) => a.time_ns - b.time_ns);
    // Numbers of JavaScript hold times to a quarter of a microsecond: a line is never asked for twice because of it.
    for (const line of lines) this.lastNs = Math.max(this.lastNs, line.time_ns + 256);
    if (this.lines.length > KEPT) this.lines.splice(0, this.lines.length - KEPT);
    this.told(cause ? cause.message : "");
  }

  told(why) {
    this.why = why;
    this.showing ??= setTimeout(() => {
      this.showing = null;
      this.show(this.lines, this.why);
    }, SHOW_MS);
  }

  drop() {
    clearTimeout(this.again);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onclose = null;
    socket.close();
  }
}
