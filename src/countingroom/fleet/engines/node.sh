# Keeps the instances of one node. The keeper sends this file over ssh and sources it there; `sh node.sh guard` starts
# the runner of one instance, which outlives the connection. POSIX shell with coreutils, util-linux, grep and /proc.
#
# Each instance has a folder: `made.json` (what it was made from, without secrets), `runner` (process number, start time
# and boot id of its runner), `state` (running, process number, since, status, ends), `log` and `log.1` with `times` and
# `times.1` (place in the log, and the time at which what follows was written), and `lock`.

umask 077
MARK=COUNTINGROOM_INSTANCE # by which all that a program began is found
LOG_BYTES=2097152          # a log of this length becomes log.1
PIPE_BYTES=65536           # one read

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

# Wait for the turn of this script at folder $1: one that was begun over a connection that is lost since may be under way.
# Its runner may not be known yet, and would outlive what is done now. The turn ends with the script.
turn() {
    exec 8>>"$1/turn"
    tries=200
    until flock -n 8; do
        [ "$tries" -gt 0 ] || { echo "another action works on it still"; return 1; }
        sleep 0.05
        tries=$((tries - 1))
    done
}

# What the keeper asks for. $base: the folder of the node. $order: of a runner, see `run`.

start_again() {
    turn "$1" || return
    start "$1"
}

# Start the runner of folder $1. Prints `ready`, or why the program could not be started.
start() {
    if lives "$1"; then
        kill -USR1 "$runner" 2>/dev/null
        echo ready
        return
    fi
    said=$( (printf %s "$order" | setsid sh "$base/$self" guard "$1" "$base/news" 2>&1 8>&- &))
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
    mkdir -p "$1" && turn "$1" || return
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
    [ ! -d "$1" ] || turn "$1" || return
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

# What the computer and all its programs use. Between the first and the last `time` stands the middle of the answer.
use() {
    date '+time %s.%N'
    grep '^cpu' /proc/stat
    cat /proc/meminfo /proc/uptime /proc/sys/kernel/random/boot_id
    stat -f -c 'disk %S %b %f %a' "$base"
    printf 'page %s\n' "$(getconf PAGESIZE 2>/dev/null || echo 4096)"
    # Process number, that of its parent, ticks of its own and of its ended children, pages.
    cat /proc/[0-9]*/stat 2>/dev/null | sed -n -E \
        's/^([0-9]+) .*\) [A-Za-z] ([0-9]+) ([-0-9]+ ){9}([0-9]+) ([0-9]+) ([-0-9]+) ([-0-9]+) ([-0-9]+ ){6}([0-9]+) .*/process \1 \2 \4 \5 \6 \7 \9/p'
    for made in "$base"/*/made.json; do
        folder=${made%/made.json}
        for file in "$folder/log" "$folder/log.1" "$folder/times" "$folder/times.1" "$made"; do
            [ -f "$file" ] && printf 'size %s %s\n' "$(wc -c <"$file")" "${folder##*/}"
        done
    done
    date '+time %s.%N'
} 2>/dev/null

# The USB devices below folder $1 of sysfs that have a serial number, each with its paths below /dev.
usb() {
    for one in "$1"/*; do
        case ${one##*/} in *:*) continue ;; esac
        [ -r "$one/serial" ] || continue
        printf 'usb %s\n' "${one##*/}"
        for fact in idVendor idProduct serial manufacturer product; do
            [ ! -r "$one/$fact" ] || printf '%s %s\n' "$fact" "$(cat "$one/$fact")"
        done
        dev_names "$(cd "$one" && pwd -P)" 6
    done
    echo end
} 2>/dev/null

# `path NAME` of a device in folder $1 and of its parts, $2 folders deep, without those of devices plugged into it.
dev_names() {
    sed -n 's/^DEVNAME=/path /p' "$1/uevent"
    [ "$2" -gt 0 ] || return 0
    for inner in "$1"/*; do
        [ -d "$inner" ] && [ ! -L "$inner" ] && [ ! -e "$inner/idVendor" ] && (dev_names "$inner" $(($2 - 1)))
    done
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

# The end of the output of folder $1 with its times: `log NAME LENGTH` and its marks for both files, then `lines` and the
# bytes, the last $2 lines of 1 MiB at most. What is written meanwhile is left out: the lengths are those that are told.
lines() {
    cd "$1" 2>/dev/null || return
    older=$(wc -c <log.1) newer=$(wc -c <log)
    printf 'log log.1 %s\n' "${older:-0}"
    tail -n 20000 times.1
    printf 'log log %s\n' "${newer:-0}"
    tail -n 20000 times
    echo lines
    { head -c "${older:-0}" log.1; head -c "${newer:-0}" log; } | tail -c 1048576 | tail -n "$2"
} 2>/dev/null

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

# Remember when what stands behind place $1 of the log was written. Not oftener than every 0.1 s: the shell can look at the
# uptime without another program.
mark() {
    read -r up rest </proc/uptime
    up=${up%.*}${up#*.}
    [ $((up - marked)) -ge 10 ] || return 0
    marked=$up
    date "+$1 %s.%N" >>times
}

# Standard input into the log. A full disk loses lines of the log, and nothing else.
keep_log() {
    marked=0 read_at=0
    { size=$(wc -c <log); } 2>/dev/null || size=0
    while :; do
        [ "$size" -lt "$LOG_BYTES" ] || { mv -f log log.1 && { mv -f times times.1 || rm -f times.1; } && size=0 marked=0; }
        if told=$(LC_ALL=C dd bs="$PIPE_BYTES" count=1 2>&1 >>log); then
            told=${told%% records in*} # `0+1 records in`, which may stand below a warning; `0+0`: the output has ended
            [ "${told##*"$LINE"}" != 0+0 ] || return 0
        else
            [ "$(dd bs=16384 count=1 2>/dev/null | wc -c)" -gt 0 ] || return 0
        fi
        mark "$size"
        before=$size size=$(wc -c <log)
        # A program that writes line after line does not cost three programs for each: what it writes within 0.05 s is
        # read together. One that writes so much that the pipe fills is read at once.
        if [ $((up - read_at)) -lt 10 ] && [ $((size - before)) -lt 32768 ]; then sleep 0.05; fi
        read_at=$up
    done
}

stop() {
    [ "$pid" -gt 0 ] || return 0
    kill -TERM "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null
    [ -z "$killer" ] || return 0
    pid_began=$(started "$pid")
    [ -n "$pid_began" ] || return 0 # it has ended: what it left is ended after it
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
    [ -f made.json ] || exit # it was removed meanwhile
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
