// What the page of a partition knows: its state, the user in control, and why a command is refused.
import { LOST, goneWords, holderOf, reportOf, rests } from "./run-parts.js";

export class Partition {
  constructor(live, { partition, gone_ns: goneNs, states, tags, denied, leased, commands, user, names = [] }) {
    Object.assign(this, { live, name: partition, goneAtFirst: goneNs, tags, denied, leased: new Set(leased), commands, user, names });
    for (const [key, state] of Object.entries(states)) live.states.set(key, state);
  }

  get state() {
    return this.live.states.get(`partition.${this.name}`);
  }
  // Since when it has no owner, or null. Without an owner the state is the last known one.
  get goneNs() {
    const told = this.live.partitions[this.name];
    return told ? told.gone_ns : this.goneAtFirst;
  }
  get holder() {
    return holderOf(this.live.states.get(`control.${this.name}`), this.live.nowNs());
  }
  get rests() {
    return rests(this.state.chart);
  }

  // Rows of the table of commands whose buttons are at a place of the page: `head`, `control`, `system`.
  commandsAt(place) {
    return this.commands.filter((row) => row.button === place);
  }

  // The report of a member's agent, for this partition.
  report(member) {
    return reportOf(this.live, this.name, member);
  }

  // Whether the command leads to a safe state: stop and abort. It is sent whatever this page knows.
  makesSafe(command) {
    return this.commands.find((row) => row.name === command)?.permission === "make_safe";
  }

  // Why the command is refused now, or "". While the link is lost the page may show a state of minutes ago, and so it
  // does without an owner: then only commands to a safe state are sent.
  why(command) {
    const outdated = !this.live.trusted || this.goneNs;
    if (outdated && this.state && this.makesSafe(command)) return this.denied[command]?.message ?? "";
    if (!this.live.trusted) return "The link is lost: commands are disabled.";
    if (!this.state) return "The partition was deleted.";
    if (this.goneNs) return goneWords(this.goneNs);
    const refused = this.denied[command] ?? this.state.refusals?.[command];
    if (refused) return refused.message + (refused.suggestion ? `; ${refused.suggestion}` : "");
    if (this.leased.has(command) && this.holder && this.holder !== this.user)
      return `${this.holder} is in control of ${this.name}: ask for control first.`;
    return "";
  }

  // Where `configure` leads: one level up.
  get next() {
    const at = this.rests.indexOf(this.state.state);
    return this.rests[Math.min(at + 1, this.rests.length - 1)];
  }
  get top() {
    return this.state.chart.rows.find((row) => row.event === "start_recording")?.state ?? this.rests.at(-1);
  }

  differs(member) {
    if (!member.included) return false;
    const said = this.report(member)?.common;
    return member.seen === LOST ? member.own !== LOST : Boolean(said) && said !== member.seen;
  }

  level(member) {
    if (!member.included || this.goneNs) return 0;
    const broken = member.seen === "Error" || this.report(member)?.common === "Error";
    if (broken) return member.critical ? 1 : 2;
    if (member.seen === LOST) return member.critical && this.state.state !== this.state.chart.initial ? 1 : 2;
    const ready = ["Active", "Recording"].includes(member.seen);
    return ready && member.wanted_tag && member.tag !== member.wanted_tag ? 3 : 0;
  }
}
