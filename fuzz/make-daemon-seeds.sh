#!/usr/bin/env bash
# Makes the seed corpus of `daemon_frames`, by hand: one input for each thing that a nix-daemon says, in its oldest and
# its newest form, and hostile ones. It needs nothing, and makes the same bytes each time.
set -euo pipefail
export LC_ALL=C

corpus=$(cd "$(dirname "$0")" && pwd)/corpus/daemon_frames
rm -rf "$corpus"
mkdir -p "$corpus"

# number <n>...: 64 bits each, little-endian.
number() {
  local rest
  for rest; do
    for _ in {1..8}; do
      printf "\\x$(printf %02x $((rest & 255)))"
      rest=$((rest >> 8))
    done
  done
}

# text <string>...: length, bytes, padding.
text() {
  local word
  for word; do
    number ${#word}
    printf %s "$word"
    head -c $(((8 - ${#word} % 8) % 8)) /dev/zero
  done
}

# seed <name> <kind> <minor>: what comes on standard input becomes a seed. A minor of 38n is 1.38 with realisations by path.
seed() {
  local version
  case $3 in
    # The feature's bit, and the number that leaves 17 when it is divided by 18.
    38n) version=$((0x80 + 15)) ;;
    *) version=$(($3 - 21)) ;;
  esac
  { printf "\\x$(printf %02x "$2")\\x$(printf %02x "$version")" && cat; } >"$corpus/$1"
}

dir=/nix/store
foo=$dir/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo
bar=$dir/p7slis8gxcmj9a3i0n5vz4wqyl6n2d1k-bar
hash=$(printf '0%.0s' {1..64})
id="sha256:$hash!out"
signature="key-1:$(printf 'A%.0s' {1..86})=="
realisation="{\"dependentRealisations\":{},\"id\":\"$id\",\"outPath\":\"${foo##*/}\",\"signatures\":[\"$signature\"]}"
conversation=0 handshake=1 info=2 paths=3 path=4 address=5 derived=6 result=7 json=8 entry=9 small=10 answer=11

next=$((0x6f6c6d67)) read=$((0x64617461)) write=$((0x64617416)) last=$((0x616c7473)) error=$((0x63787470))
start=$((0x53545254)) stop=$((0x53544f50)) progress=$((0x52534c54)) magic=$((0x6478696f))

{ number $next && text $'\e[1mbuilding\e[0m' && number $last; } | seed log $conversation 21
{ number $error && text 'error: no' && number 1; } | seed error-old $conversation 21
{ number $error && text Error && number 0 && text Error $'\e[31;1merror:\e[0m no' && number 0 1 0 && text 'while trying'; } |
  seed error-new $conversation 34
{ number $start 7 3 100 && text copying && number 2 0 5 1 && text field && number 0 $progress 7 105 1 0 9 $stop 7 $last; } |
  seed activities $conversation 34
{ number $read 65536 && number $last; } | seed asks-for-data $conversation 34
{ number $write && text data && number $last; } | seed sends-data $conversation 34
{ number $next $((1 << 62)) && printf more; } | seed log-huge $conversation 34
{ number $next -1 && printf more; } | seed log-all-ones $conversation 34
{ number $start 7 3 100 && text copying && number -1; } | seed fields-without-end $conversation 34
{ number $error && text Error && number 0 && text Error no && number 0 -1; } | seed traces-without-end $conversation 38
{ number $next 3 && printf 'abc\x00\x00\x01\x00\x00'; } | seed padding $conversation 34
{ number $next && text $'\e[\e[999999Hx\e]0;title\a'; } | seed terminal $conversation 34
number 57005 | seed no-message $conversation 34

number $magic $((0x115)) | seed greeting-21 $handshake 21
{ number $magic $((0x122)) && text 2.8.0; } | seed greeting-34 $handshake 34
{ number $magic $((0x126)) 1 && text realisation-with-path-not-hash 2.35.0 && number 2; } | seed greeting-38 $handshake 38
{ number $magic $((0x1ff)) 0 && text 99 && number 3; } | seed greeting-future $handshake 38
{ number $magic $((0x126)) 1000000; } | seed features-without-end $handshake 38
number $magic $((0x114)) | seed greeting-too-old $handshake 21
printf 'HTTP/1.1 400 Bad Request\r\n' | seed greeting-of-another $handshake 21

{ text "$bar.drv" "$hash" && number 2 && text $bar $foo && number 1700000000 96 0 1 && text "$signature" ''; } | seed info $info 34
{ text '' "$hash" && number 0 0 18446744073709551615 1 0 && text "fixed:r:sha256:$hash"; } | seed info-addressed $info 38
{ text '' "$hash" && number 0 -1 96 0 0 && text ''; } | seed info-in-the-far-future $info 38
{ text '' "${hash%0}" && number 0; } | seed info-hash $info 34
{ number 2 && text $foo $bar; } | seed paths $paths 34
{ number 2 && text $foo "$dir/../x"; } | seed paths-outside $paths 34
number -1 | seed paths-without-end $paths 34
text '' | seed path-none $path 34
text $foo | seed path $path 34
text '' | seed address-none $address 34
text "text:sha256:$hash" | seed address-text $address 34
text "fixed:r:sha256:$hash" | seed address-nar $address 38
text $foo | seed derived-path $derived 34
text "$foo.drv" | seed derived-old $derived 21
text "$foo.drv!*" | seed derived-all $derived 34
text "$foo.drv!out,dev" | seed derived-names $derived 34
text "$foo!*" | seed derived-no-derivation $derived 21
{ number 0 && text ''; } | seed result-21 $result 21
{ number 9 && text 'it failed' && number 1 1 30 50 1 && text "$id" "$realisation"; } | seed result-34 $result 34
{ number 0 && text '' && number 1 0 30 50 1 7 0 1 && text "$id" "$realisation"; } | seed result-38 $result 38
{ number 0 && text '' && number 1 0 30 50 0 1 9 1 && text out $foo && number 1 && text "$signature"; } | seed result-38-by-path $result 38n
{ number 15 && text ''; } | seed result-status $result 38
text "$realisation" | seed realisation $json 34
text '{"id":"no","outPath":"/"}' | seed realisation-bad $json 34
{ text "$foo.drv" out $foo && number 1 && text "$signature"; } | seed entry $entry 38n
{ text "$foo.drv" ../out $foo && number 0; } | seed entry-name $entry 38n
text "$id" | seed drv-output $small 34
text "$foo.drv" out | seed key $small 38
number 2 | seed mode $small 34
{ number 1 && text $foo && number 1 && text "$signature"; } | seed answer-by-path $answer 38n
{ number 1 && text "$realisation"; } | seed answer-json $answer 34
{ number 1 && text $foo; } | seed answer-path $answer 21
number 2 | seed answer-twice $answer 34
