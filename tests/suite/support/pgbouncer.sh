# pgbouncer for as long as somebody holds the other end of standard input.
#
# $1 is the program, CONFIG its configuration, USERS what that names as `users.txt`. One line says `ok` when it takes
# connections, or what went wrong. At the end of the input it and its folder are gone.
set -u
# Whoever read the answer may be gone before it is.
trap '' PIPE
folder=$(mktemp -d "${TMPDIR:-/tmp}/userbridge-pgbouncer-XXXXXX") && cd "$folder" || exit
umask 077
printf '%s\n' "$CONFIG" > pgbouncer.ini
printf '%s\n' "$USERS" > users.txt
"$1" pgbouncer.ini < /dev/null > log 2>&1 &
pid=$!
until grep -q 'process up' log 2> /dev/null; do
  kill -0 "$pid" 2> /dev/null || break
  sleep 0.02
done
if kill -0 "$pid" 2> /dev/null; then echo ok; else echo "it ended: $(tr '\n' ' ' < log)"; fi
cat > /dev/null
kill "$pid"
wait "$pid" 2> /dev/null
rm -rf "$folder"
