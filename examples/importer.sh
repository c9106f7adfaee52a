#!/usr/bin/env bash
# A small importer with curl: logs in, fetches the export if it has changed, and writes it to a file.
#
#     WATCHTOWER_PASSWORD=... examples/importer.sh https://watchtower.example.com admin users.json
#
# users.json.etag holds the ETag of users.json. After 503, 429 or a broken transfer it retries after Retry-After seconds.
set -euo pipefail
# The files hold the session's cookie and personal data: only their owner may read them.
umask 077
url=${1%/} username=$2 file=$3
: "${WATCHTOWER_PASSWORD:?is not set}"

work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT

# ask TARGET CURL-OPTION...: writes the body to $work/body and the head to $work/head; prints the status.
ask() {
  local target=$1; shift
  # --retry obeys Retry-After, for 408, 429, 500, 502, 503 and 504, and gives up after two minutes.
  curl --silent --show-error --compressed --retry 20 --retry-max-time 120 --retry-connrefused --max-time 300 \
    --cookie "$work/cookies" --cookie-jar "$work/cookies" --dump-header "$work/head" --output "$work/body" \
    --write-out '%{http_code}' "$@" "$url$target"
}

# The JSON goes to standard input, because other users can read command lines.
escaped() { sed 's/[\\"]/\\&/g' <<<"$1"; }
log_in() {
  local status
  status=$(ask /api/login/ --header 'Content-Type: application/json' --data-binary @- <<END
{"username": "$(escaped "$username")", "password": "$(escaped "$WATCHTOWER_PASSWORD")"}
END
  )
  [ "$status" = 200 ] || { echo "login refused: $status $(cat "$work/body")" >&2; exit 1; }
}

log_in
known=()
if [ -f "$file" ] && [ -f "$file.etag" ]; then
  known=(--header "If-None-Match: $(cat "$file.etag")")
fi
status=$(ask /api/admin/export-users/ "${known[@]}")
case $status in
  200) ;;
  304) echo "nothing has changed"; exit ;;
  *) echo "export refused: $status $(cat "$work/body")" >&2; exit 1 ;;
esac
# Each file is replaced as a whole; the tag comes after the file that it belongs to.
tag=$(sed -n 's/^[Ee][Tt]ag: *\(.*[^[:space:]]\)[[:space:]]*$/\1/p' "$work/head" | tail -n 1)
mv "$work/body" "$file"
printf '%s' "$tag" >"$work/etag"
mv "$work/etag" "$file.etag"
echo "$(sed -n 's/.*"success":true,"count":\([0-9]*\),.*/\1/p;q' "$file") users"
