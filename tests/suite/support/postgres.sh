# One cluster of PostgreSQL, for as long as somebody holds the other end of standard input.
#
# $1 is the folder of PostgreSQL's programs. TMPDIR is where the cluster's folder is made, PASSWORD the superuser's, AUTH
# how roles log in (a method of pg_hba.conf), SETTINGS lines for postgresql.conf. Commands come one a line: start, fast,
# immediate, kill. Each, and the creation of the cluster before them, is answered by one line: `ok`, or what went wrong. At
# the end of the input the cluster and its folder are gone. A test process that is killed closes its end as well.
set -u
# Whoever read the answers may be gone before the cluster is.
trap '' PIPE
programs=$1
folder=$(mktemp -d "$TMPDIR/userbridge-postgres-XXXXXX") || exit
data=$folder/data
pid=

answer() {
  if "$@" 2>> "$folder/log"; then echo ok; else echo "$* failed: $(tail -n 20 "$folder/log" | tr '\n' ' ')"; fi
}

# ICU's order of letters, so that a statement that forgets to say which order it wants shows itself.
create() {
  (umask 077 && printf '%s\n' "$PASSWORD" > "$folder/password") &&
    "$programs/initdb" --pgdata="$data" --username=postgres --pwfile="$folder/password" --auth="$AUTH" --no-sync \
      --encoding=UTF8 --locale=C.UTF-8 --locale-provider=icu --icu-locale=und \
      < /dev/null >> "$folder/log" 2>&1 &&
    printf '%s\n' "$SETTINGS" >> "$data/postgresql.conf"
}

# Until it takes connections. After a `kill` the old backends may need a moment to notice that they are alone.
start() {
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    "$programs/postgres" -D "$data" < /dev/null >> "$folder/log" 2>&1 &
    pid=$!
    while kill -0 "$pid"; do
      # Its first line is a process, its eighth what that is up to.
      case $(sed -n '1p;8p' "$data/postmaster.pid" 2> /dev/null | tr '\n' ' ') in "$pid ready"*) return 0 ;; esac
      sleep 0.02
    done
    wait "$pid"
    pid=
    tail -n 5 "$folder/log" | grep -q 'pre-existing shared memory' || return 1
    sleep 0.2
  done
  return 1
}

end() {
  [ -n "$pid" ] || return 0
  kill "-$1" "$pid"
  # The shell would tell the tests' terminal of the kill.
  wait "$pid" 2> /dev/null
  pid=
}

answer create
while read -r command; do
  case $command in
    start) answer start ;;
    fast) end INT; echo ok ;;
    immediate) end QUIT; echo ok ;;
    kill) end KILL; echo ok ;;
  esac
done
end QUIT
rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
