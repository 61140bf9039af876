# Keeps the instances of one node. The keeper sends this file over ssh and sources it there; `sh node.sh guard` starts
# the runner of one instance, which outlives the connection. POSIX shell with coreutils, util-linux, grep and /proc.
#
# Each instance has a folder: `made.json` (what it was made from, without secrets), `runner` (process number, start time
# and boot id of its runner), `state` (running, process number, since, status, ends), `log` and `log.1`, and `lock`.

umask 077
MARK=COUNTINGROOM_INSTANCE # by which all that a program began is found
LOG_BYTES=2097152          # so long a log gets one more round of reads, then it becomes log.1
READS=128                  # of a round, each of 16 KiB at most: a file has 4 MiB at most

LINE="
"

read -r boot </proc/sys/kernel/random/boot_id

# The start time of process $1 in ticks since the boot: with the boot id it names a process for ever. Nothing: it ended.
started() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # shellcheck disable=SC2086  # a list of words
    set -- ${stat##*) }
    [ "$1" = Z ] || printf %s "${20}"
}

# Whether the runner of folder $1 lives; its process number is in $runner then.
lives() {
    { read -r runner begun its_boot <"$1/runner"; } 2>/dev/null || return 1
    [ "$its_boot" = "$boot" ] && [ -n "$begun" ] && [ "$(started "$runner")" = "$begun" ]
}

# Kill what the program of folder $1 began: it must not run beside the next one.
end_family() {
    for _ in 1 2 3; do
        found=$(grep -lzFx "$MARK=$1" /proc/[0-9]*/environ 2>/dev/null)
        [ -n "$found" ] || return 0
        for place in $found; do
            pid_of=${place#/proc/}
            kill -KILL "${pid_of%/environ}" 2>/dev/null
        done
    done
}

# What the keeper asks for. $base: the folder of the node. $order: of a runner, see `run`.

# Start the runner of folder $1. Prints `ready`, or why the program could not be started.
start() {
    if lives "$1"; then
        kill -USR1 "$runner" 2>/dev/null
        echo ready
        return
    fi
    said=$( (printf %s "$order" | setsid sh "$base/$self" guard "$1" "$base/news" 2>&1 &))
    printf '%s\n' "${said:-it did not take its order}"
}

# End the runner of folder $1 with its program, at the latest $2 s after it was asked to.
end() {
    if lives "$1"; then
        kill -TERM "$runner" 2>/dev/null
        tries=$(($2 * 20))
        while lives "$1" && [ "$tries" -gt 0 ]; do
            sleep 0.05
            tries=$((tries - 1))
        done
        lives "$1" && kill -KILL "$runner" 2>/dev/null
    fi
    end_family "$1"
}

write_made() { printf %s "$2" >"$1/made.new" && mv -f "$1/made.new" "$1/made.json"; }

# Make the instance of folder $1 from $made, in place of the present one, which has $2 s to end. Where that fails, the
# present one is brought back with $order_before. All of it is here, so that it is done even if the connection ends.
make() {
    mkdir -p "$1" || return
    before=$(cat "$1/made.json" 2>/dev/null)
    end "$1" "$2"
    if write_made "$1" "$made"; then
        rm -f "$1/state"
        answer=$(start "$1")
    else
        answer="$1 cannot be written to"
    fi
    if [ "$answer" != ready ]; then
        end "$1" 5
        if [ -n "$before" ] && [ -n "$order_before" ]; then
            order=$order_before
            write_made "$1" "$before"
            again=$(start "$1")
            [ "$again" = ready ] || answer="$answer; and the one before did not start again: $again"
        else
            rm -f "$1/made.json" "$1/state"
        fi
    fi
    printf '%s\n' "$answer"
}

remove() {
    end "$1" "$2"
    rm -f "$1/made.json" "$1/state" "$1/runner" "$1/out"
    echo ready
}

# All instances: `made`, and where there is one `lives`, `state`, and `last` line of one that does not run.
list() {
    for made in "$base"/*/made.json; do
        [ -f "$made" ] || continue
        folder=${made%/made.json}
        printf 'made %s\n' "$(cat "$made")"
        lives "$folder" && echo lives
        running=0
        { read -r running line <"$folder/state"; } 2>/dev/null && printf 'state %s %s\n' "$running" "$line"
        if [ "$running" = 0 ] || ! lives "$folder"; then
            printf 'last %s\n' "$(tail -c 2000 "$folder/log" 2>/dev/null | grep -a -v '^[[:space:]]*$' | tail -n 1)"
        fi
    done
    echo end
}

# A line for every change, until standard input ends: that is how the end of the connection is seen here.
watch() {
    exec 4<&0
    mkdir -p "$base/news"
    rm -f "$base/news"/*
    mkfifo "$base/news/$$" && exec 3<>"$base/news/$$" || return
    (
        cat <&4 >/dev/null
        echo end >&3
    ) &
    echo watching
    while read -r line <&3 && [ "$line" != end ]; do echo "$line" || break; done
    rm -f "$base/news/$$"
}

# The last $2 lines of the output of folder $1.
lines() {
    cd "$1" 2>/dev/null && cat log.1 log 2>/dev/null | tail -c 1048576 | tail -n "$2"
}

# The lines of folder $1 as they are written, until standard input ends.
follow() {
    exec 4<&0
    cd "$1" || return
    tail -n 0 -F log 2>/dev/null &
    cat <&4 >/dev/null
    kill $!
}

# The runner. It reads an order: shell text that sets restart, grace, steady, first, longest and directory, the function
# `environment`, and the words of the command as its arguments.

uptime_s() {
    read -r up rest </proc/uptime
    up=${up%%.*}
}

# Tell those who watch the folder of news $1 that something has changed.
poke() {
    for one in "$1"/*; do
        [ -p "$one" ] && echo changed 1<>"$one"
    done
} 2>/dev/null

tell() {
    printf '%s\n' "$running $pid $since ${status:--} $crashes" >state.new && mv -f state.new state
    poke "$news"
} 2>/dev/null

# Tell the keeper, once, whether the program was started, and let go of the connection.
answer() {
    [ -z "$answered" ] || return 0
    answered=1
    printf '%s\n' "$1"
    exec </dev/null >/dev/null 2>&1
}

# Standard input into the log. A full disk loses lines of the log, and nothing else.
keep_log() {
    while :; do
        { size=$(wc -c <log); } 2>/dev/null || size=0
        [ "$size" -lt "$LOG_BYTES" ] || { mv -f log log.1 && size=0; }
        # Every read counts, also one of a single line. Fewer than were asked for: the output has ended.
        if told=$(LC_ALL=C dd bs=16384 count="$READS" 2>&1 >>log); then
            told=${told%% records in*} # `3+125 records in`, which may stand below a warning
            told=${told##*"$LINE"}
            [ $((${told%%+*} + ${told#*+})) -ge "$READS" ] || return 0
        else
            [ "$(dd bs=16384 count=1 2>/dev/null | wc -c)" -gt 0 ] || return 0
        fi
    done
}

stop() {
    [ "$pid" -gt 0 ] || return 0
    kill -TERM "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null
    [ -z "$killer" ] || return 0
    pid_began=$(started "$pid")
    (
        trap 'kill "$nap" 2>/dev/null; exit' TERM
        sleep "$grace" &
        nap=$!
        wait "$nap"
        # A signal may be lost while a subshell begins: what runs in the place of the program by then is left alone.
        [ "$(started "$pid")" = "$pid_began" ] || exit
        kill -KILL "-$pid" 2>/dev/null
        end_family "$folder"
    ) </dev/null >/dev/null 2>&1 9>&- &
    killer=$!
}

# One run of the program; its end is in $status. What runs beside the runner is a subshell, or the shell would keep its
# own descriptors open in it: the lock, and the way to the keeper.
once() {
    rm -f out
    mkfifo out || return
    (keep_log) <out >/dev/null 2>&1 9>&- &
    logger=$!
    (
        environment
        export "$MARK=$folder"
        # shellcheck disable=SC2086  # no word, or several
        cd "$directory" && exec setsid $fresh "$@"
    ) </dev/null >out 2>&1 9>&- &
    pid=$!
    [ -z "$ending" ] || stop
    running=1 since=$(date +%s)
    tell
    answer ready
    while :; do
        woken=
        wait "$pid"
        status=$?
        [ -n "$woken" ] && kill -0 "$pid" 2>/dev/null || break
    done
    [ -z "$killer" ] || kill "$killer" 2>/dev/null
    end_family "$folder"
    # What it wrote last is waited for, but not what holds the output without our mark.
    tries=40
    while [ -n "$(started "$logger")" ] && [ "$tries" -gt 0 ]; do
        sleep 0.05
        tries=$((tries - 1))
    done
}

pause() {
    delay=$first turn=0
    while [ "$turn" -lt "$crashes" ] && [ "$delay" -lt "$longest" ]; do
        delay=$((delay * 2)) turn=$((turn + 1))
    done
    [ "$delay" -lt "$longest" ] || delay=$longest
    sleep "$delay" 9>&- &
    nap=$!
    [ -z "$ending$urged" ] || kill "$nap"
    wait "$nap"
    kill "$nap" 2>/dev/null
    nap='' urged=
}

# Why the program $1 cannot be started; nothing: it can.
unfit() (
    environment
    cd "$directory" 2>/dev/null || { echo "there is no folder $directory" && return; }
    case $1 in
        */*) [ -f "$1" ] && [ -x "$1" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac || echo "there is no program $1"
)

run() {
    folder=$1 news=$2 ending='' urged='' answered='' nap='' killer='' running=0 pid=0 status='' crashes=0
    cd "$folder" || exit
    order=$(cat)
    exec 9>>lock
    tries=100
    until flock -n 9; do # one that ends holds it still, or another keeper starts it at this moment
        if lives "$folder" || [ "$tries" = 0 ]; then
            lives "$folder" && echo ready
            exit
        fi
        sleep 0.05
        tries=$((tries - 1))
    done
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
        case $name in
            PATH | HOME | LANG | LC_* | TZ | USER | LOGNAME | SHELL | TMPDIR | PWD) ;;
            *) unset "$name" ;;
        esac
    done
    eval "$order"
    order=
    # A shell without job control has its background programs ignore these signals.
    fresh='env --default-signal=INT,QUIT'
    $fresh true 2>/dev/null || fresh=
    wrong=$(unfit "$1")
    [ -z "$wrong" ] || { echo "$wrong" && exit; }
    end_family "$folder"
    printf '%s\n' "$$ $(started $$) $boot" >runner.new && mv -f runner.new runner || exit
    trap 'ending=1 woken=1; [ -z "$nap" ] || kill "$nap" 2>/dev/null; stop' TERM
    trap 'urged=1 woken=1; [ -z "$nap" ] || kill "$nap" 2>/dev/null' USR1
    while [ -z "$ending" ]; do
        uptime_s
        began=$up
        once "$@"
        [ -z "$ending" ] || break
        uptime_s
        [ $((up - began)) -lt "$steady" ] || crashes=0
        crashes=$((crashes + 1)) running=0 pid=0 since=$(date +%s)
        tell
        case $restart:$status in never:* | on-failure:0) break ;; esac
        urged=
        pause
    done
    if [ -n "$ending" ]; then
        running=0 pid=0 since=$(date +%s)
        tell
    fi
    rm -f out
}

case "${1:-}" in
    run) run "$2" "$3" ;;
    guard) # the parent of a runner: a runner that is killed cannot tell it
        exec 3<&0
        sh "$0" run "$2" "$3" <&3 3<&- &
        exec </dev/null >/dev/null 2>&1 3<&-
        wait
        poke "$3"
        ;;
esac
