#!/bin/sh
# profile.sh CONTAINER [COMMAND...]: where the processor time of a service goes while it starts, by kind of thread.
#
# Starts the container anew, waits until it is ready, then runs the command (a run of the agent, say) if there is one.
# Prints seconds of processor time: until ready, and until the command had ended. Needs the engine on this machine, and
# root, because the threads' times are read from the host's /proc. Threads that have ended are not told apart.
#
#   benches/profile.sh pupperware-puppetserver-1 docker exec pupperware-agent-1 pupperware-agent-run
set -eu

container=${1:?container}
shift

# All processor time of the container, seconds: also what ready checks took.
whole() {
    id=$(docker inspect --format '{{.Id}}' "$container")
    for file in "/sys/fs/cgroup/cpuacct/docker/$id/cpuacct.usage" "/sys/fs/cgroup/system.slice/docker-$id.scope/cpu.stat" \
        "/sys/fs/cgroup/docker/$id/cpu.stat"; do
        [ -r "$file" ] || continue
        awk 'NF == 1 { printf "%.1f\n", $1 / 1e9 } $1 == "usage_usec" { printf "%.1f\n", $2 / 1e6 }' "$file"
        return
    done
}

# KIND SECONDS, a line for each kind of thread of the service, with what the process has had and what all had together.
threads() {
    process=$(docker inspect --format '{{.State.Pid}}' "$container")
    ticks=$(getconf CLK_TCK)
    {
        cat "/proc/$process/task/"*/stat 2> /dev/null | sed 's/^/thread /'
        sed 's/^/process /' "/proc/$process/stat"
        echo "container $(whole)"
    } | awk -v ticks="$ticks" '
        $1 == "container" { time["whole container"] = $2; next }
        {
            # The name is in brackets and may have spaces.
            name = $0; sub(/^[^(]*\(/, "", name); rest = name; sub(/\)[^)]*$/, "", name); sub(/^.*\) /, "", rest)
            split(rest, field, " ")
            spent = (field[12] + field[13]) / ticks
            if ($1 == "process") { time["whole process"] = spent; next }
            kind = "other threads"
            if (name == "java") kind = "main thread"
            else if (name ~ /^C1 /) kind = "quick compiler (C1)"
            else if (name ~ /^C2 /) kind = "optimising compiler (C2)"
            else if (name ~ /^(VM Thread|GC |G1 )/) kind = "collector, VM"
            else if (name ~ /^(JIT-|Ruby-.*JIT)/) kind = "JRuby, own compiler"
            else if (name ~ /^(clojure-agent|jruby-|Ruby)/) kind = "JRuby"
            else if (name ~ /^(qtp|async-)/) kind = "requests"
            time[kind] += spent; alive += spent
        }
        END {
            time["threads that ended"] = time["whole process"] - alive
            time["ready checks and other processes"] = time["whole container"] - time["whole process"]
            for (kind in time) printf "%s\t%.1f\n", kind, time[kind]
        }'
}

docker restart --time 30 "$container" > /dev/null
began=$(date +%s%N)
docker exec "$container" pupperware-ready --wait 600 > /dev/null
until_ready=$(( ($(date +%s%N) - began) / 1000000 ))
ready=$(threads)
after=$ready
if [ $# -gt 0 ]; then
    "$@" > /dev/null 2>&1 || true
    after=$(threads)
fi
echo "ready after $until_ready ms; processor time in seconds until then, and after the command:"
{ printf '%s\n' "$ready" | sed 's/^/1\t/'; printf '%s\n' "$after" | sed 's/^/2\t/'; } | awk -F'\t' '
    { at[$2, $1] = $3; if (!($2 in seen)) { seen[$2] = 1; kinds[++n] = $2 } }
    END { for (i = 1; i <= n; i++) printf "  %-34s %6.1f %6.1f\n", kinds[i], at[kinds[i], 1], at[kinds[i], 2] }' | sort -k1
