#!/usr/bin/env bash
# Makes the seed corpora in `corpus/` with the Nix in PATH, and by hand what no Nix writes. Made with Nix 2.8.0; it
# needs no network, no daemon and no root. Keys are made anew each time, so signatures change.
set -euo pipefail
export LC_ALL=C

corpus=$(cd "$(dirname "$0")" && pwd)/corpus
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir "$work/conf"
export NIX_CONF_DIR=$work/conf
export NIX_CONFIG='experimental-features = nix-command
build-users-group =
substitute = false'
for target in narinfo nar_decode nar_restore store_url listing cache_info signatures json; do
  rm -rf "${corpus:?}/$target"
  mkdir -p "$corpus/$target"
done

# seed <target> <name>: what comes on standard input becomes a seed.
seed() {
  cat >"$corpus/$1/$2"
}

# ---------------------------------------------------------------------------------------------------------------- NARs

# dumped <name> <path>: a NAR by Nix.
dumped() {
  nix-store --dump "$2" | tee "$corpus/nar_decode/$1" >"$corpus/nar_restore/$1"
}

# made <name>: a NAR, or nearly one, from standard input.
made() {
  tee "$corpus/nar_decode/$1" >"$corpus/nar_restore/$1"
}

# number <n>: 64 bits, little-endian.
number() {
  local rest=$1
  for _ in {1..8}; do
    printf "\\x$(printf %02x $((rest & 255)))"
    rest=$((rest >> 8))
  done
}

# words <text>...: strings as a NAR has them: length, bytes, padding.
words() {
  local word
  for word; do
    number ${#word}
    printf %s "$word"
    head -c $(((8 - ${#word} % 8) % 8)) /dev/zero
  done
}

file=('(' type regular contents hello ')')
entry_file=(node "${file[@]}" ')')

# nar <word>...: a NAR of these words.
nar() {
  words nix-archive-1 "$@"
}

# directory <word>...: a NAR of a directory, of the words of its entries.
directory() {
  nar '(' type directory "$@" ')'
}

# repeat <n> <text>
repeat() {
  printf "%0.s$2" $(seq "$1")
}

# nested <n>: a NAR of n nodes, each in the one before.
nested() {
  local open=() close=()
  for _ in $(seq 2 "$1"); do
    open+=('(' type directory entry '(' name d node)
    close+=(')' ')')
  done
  nar "${open[@]}" "${file[@]}" "${close[@]}"
}

tree=$work/tree
mkdir -p "$tree/bin" "$tree/empty" "$tree/share/doc"
printf '#!/bin/sh\n' >"$tree/bin/run"
chmod +x "$tree/bin/run"
: >"$tree/nothing"
printf 'hello\n' >"$tree/share/doc/README"
ln -s ../bin/run "$tree/share/link"
ln -s /etc/passwd "$tree/share/absolute"
ln -s nowhere "$tree/share/dangling"
dumped tree "$tree"
dumped file "$tree/share/doc/README"
dumped empty-file "$tree/nothing"
dumped executable "$tree/bin/run"
dumped empty-directory "$tree/empty"
dumped symlink "$tree/share/link"

mkdir "$work/names"
for name in ' ' '...' '-' 'a b' $'line\nbreak' $'\xff\xfe' $'\xc3\xbc' A a "$(repeat 255 n)" 'x~nix~case~hack~1'; do
  printf %s "$name" >"$work/names/$name"
done
dumped names "$work/names"
ln -s "$(repeat 4095 t)" "$work/long-target"
dumped long-target "$work/long-target"
mkdir "$work/lengths"
for length in 1 7 8 9 15 16 17 63 64 65; do
  repeat "$length" x >"$work/lengths/$length"
done
dumped lengths "$work/lengths"
deep=$work/deep$(repeat 15 /d)
mkdir -p "$deep"
printf deep >"$deep/file"
dumped deep "$work/deep"

nested 64 | made depth-64
nested 65 | made depth-65
nar '(' type regular executable '' contents hello ')' | made executable-by-hand
nar '(' type regular contents hello executable '' ')' | made executable-after-contents
nar '(' type regular executable yes contents hello ')' | made executable-value
nar '(' type regular ')' | made no-contents
nar '(' type regular type regular contents hello ')' | made type-twice
nar '(' type fifo ')' | made other-type
nar '(' type symlink target '' ')' | made empty-target
nar '(' type symlink target "$(repeat 4096 t)" ')' | made target-4096
nar '(' type symlink ')' | made no-target
directory entry '(' name .. "${entry_file[@]}" | made name-dot-dot
directory entry '(' name . "${entry_file[@]}" | made name-dot
directory entry '(' name '' "${entry_file[@]}" | made name-empty
directory entry '(' name a/b "${entry_file[@]}" | made name-slash
directory entry '(' name ../sibling "${entry_file[@]}" | made name-outside
directory entry '(' name "$(repeat 256 n)" "${entry_file[@]}" | made name-256
directory entry '(' name a "${entry_file[@]}" entry '(' name a "${entry_file[@]}" | made name-twice
directory entry '(' name b "${entry_file[@]}" entry '(' name a "${entry_file[@]}" | made names-unsorted
directory entry '(' name A "${entry_file[@]}" entry '(' name a "${entry_file[@]}" | made names-differ-in-case
# A way out: a symlink, then a directory of the same name, whose entry would land where the symlink leads.
directory entry '(' name a node '(' type symlink target .. ')' ')' \
  entry '(' name a node '(' type directory entry '(' name sibling "${entry_file[@]}" ')' ')' | made through-symlink
directory entry '(' node "${file[@]}" ')' | made no-name
directory entry '(' name a ')' | made no-node
{ nar '(' type regular contents && number $((1 << 62)) && printf hello; } | made size-huge
{ nar '(' type regular contents && number -1 && printf hello; } | made size-all-ones
{ nar '(' type regular contents && number 5 && printf 'hello\x01\x00\x00' && words ')'; } | made padding
{ directory && words more; } | made bytes-after
{ words nix-archive-1 '(' type && number 9 && printf 'directory\x00\x00\x00\x00\x00\x00\x01' && words ')'; } | made padding-of-word
directory entry '(' name a "${entry_file[@]}" | { head -c 200 && cat >/dev/null; } | made cut-off
words nix-archive-2 '(' type directory ')' | made other-magic

# ------------------------------------------------------------------------- narinfos, listings, cache infos, from caches

store=(--store "$work/root")
nix key generate-secret --key-name fuzz-1 >"$work/secret-key"
nix key generate-secret --key-name fuzz >"$work/second-key"
printf 'alone\n' >"$work/alone"
source=$(nix store add-path "${store[@]}" --name source "$tree")
flat=$(nix-store "${store[@]}" --add-fixed sha1 "$work/alone")
derivation=$(nix-instantiate "${store[@]}" --expr 'derivation {
  name = "made"; builder = "/bin/sh"; system = "x86_64-linux"; outputs = [ "out" "dev" ];
  seen = builtins.toFile "text" "see ${builtins.toFile "seen" "seen"}";
}' 2>"$work/log")
nix store sign "${store[@]}" --key-file "$work/second-key" --recursive "$source"
number=0
for settings in 'compression=none&want-mass-query=true&priority=10' 'compression=xz&write-nar-listing=true' \
  compression=zstd compression=bzip2 compression=br; do
  cache=$work/cache-$settings
  copy=(nix copy "${store[@]}" --to "file://$cache?$settings&secret-key=$work/secret-key")
  "${copy[@]}" "$source" "$flat"
  "${copy[@]}" --derivation "$derivation"
  number=$((number + 1))
  for path in "$source" "$flat" "$derivation"; do
    part=${path#/nix/store/}
    seed narinfo "cache-$number-${part:33}" <"$cache/${part:0:32}.narinfo"
  done
  seed cache_info "cache-$number" <"$cache/nix-cache-info"
done
for listing in "$work"/cache-*/*.ls; do
  seed listing "cache-$(cut -d . -f 1 <<<"${listing##*/}")" <"$listing"
done

# edited <name> <sed script>: the narinfo of the source tree with a change that Nix can read, or cannot.
real=$corpus/narinfo/cache-2-source
edited() {
  sed "$2" "$real" | seed narinfo "$1"
}
part=$(sed -n 's|^StorePath: /nix/store/||p' "$real")
digest=$(sed -n 's/^NarHash: sha256://p' "$real")
edited no-compression /Compression/d
edited empty-compression 's/^\(Compression: \).*/\1/'
edited other-compression 's/^\(Compression: \).*/\1snow/'
edited unknown-field '1i System: x86_64-linux'
edited fields-reversed '1!G;h;$!d'
edited twice p
edited no-line-break-at-end '$d'
edited carriage-returns 's/$/\r/'
edited no-spaces 's/: /:/'
edited no-file 's/^File.*/X: /'
edited deriver "/^References/aDeriver: $(basename "$derivation")"
edited unknown-deriver '/^References/aDeriver: unknown-deriver'
edited self-reference "s/^References:.*/References: $part/"
edited references-unsorted "s/^References:.*/References: ${part/%?/z}  $part $part/"
edited no-references /References/d
edited base16 "s/^NarHash:.*/NarHash: sha256:$(nix-hash --type sha256 --to-base16 "$digest")/"
edited sri "s|^NarHash:.*|NarHash: $(nix hash to-sri --type sha256 "$digest")|"
edited base64 "s|^NarHash:.*|NarHash: sha256:$(nix hash to-base64 --type sha256 "$digest")|"
edited sha512 "s/^\(NarHash: \).*/\1sha512:$(nix hash file --type sha512 --base32 "$work/alone")/"
edited sizes 's/^NarSize: /&+00/'
edited size-too-large 's/^NarSize:.*/NarSize: 18446744073709551616/'
edited empty-ca 's/^CA:.*/CA: /'
edited other-ca 's/^CA: fixed:r:/CA: fixed:git:/'
edited signatures-by-key "\$a Sig: a-1:$(repeat 86 A)==\nSig: a:$(repeat 86 A)=="
edited signatures-odd '$a Sig: \nSig: no colon\nSig: :'
edited store-path-form 's|/nix/store/|/nix//./x/../store/|'
edited other-store 's|/nix/store/|/gnu/store/|'

nix store ls "${store[@]}" --json --recursive "$source" | seed listing bare-node
seed listing head-form <<<'{"root":{"entries":{"a":{"executable":false,"narOffset":400,"size":5,"type":"regular"},"b":{"target":"a","type":"symlink"}},"type":"directory"},"version":1}'
seed listing file <<<'{"version":1,"root":{"type":"regular","size":0,"executable":true,"narOffset":96}}'
seed listing no-offset <<<'{"version":1,"root":{"type":"regular","size":18446744073709551615}}'
seed listing escapes <<<'{"version":1,"root":{"type":"directory","entries":{"\u0041\ud83d\ude00\"\\\/\b\f\n\r\t":{"type":"symlink","target":"\u00fc"}}}}'
seed listing lone-surrogate <<<'{"version":1,"root":{"type":"symlink","target":"\ud83d"}}'
seed listing white-space <<<' { "version" : 1 , "root" : { "type" : "directory" , "entries" : { } } } '
seed listing version <<<'{"version":2,"root":{"type":"directory","entries":{}}}'
seed listing unknown-type <<<'{"version":1,"root":{"type":"fifo"}}'
seed listing unknown-fields <<<'{"version":1,"other":[1,-2.5e3,null,true,{"a":[]}],"root":{"type":"regular","size":1,"mode":[[]]}}'
seed listing keys-twice <<<'{"version":1,"version":1,"root":{"type":"directory","entries":{"a":{"type":"symlink","target":"b"},"a":{"type":"symlink","target":"c"}}}}'
seed listing size-negative <<<'{"version":1,"root":{"type":"regular","size":-1}}'
seed listing size-fraction <<<'{"version":1,"root":{"type":"regular","size":1e3}}'
number=0
for name in .. . '' a/b '\u0000'; do
  number=$((number + 1))
  seed listing "name-$number" <<<"{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"$name\":{\"type\":\"regular\",\"size\":1}}}}"
done
for depth in 10 512 513; do
  printf '{"version":1,"root":%s{"type":"symlink","target":"x"}%s}' \
    "$(repeat "$depth" '{"type":"directory","entries":{"d":')" "$(repeat "$depth" '}}')" | seed listing "depth-$depth"
done

seed cache_info crlf < <(printf 'StoreDir: /nix/store\r\nWantMassQuery: 1\r\nPriority: 40\r\n')
seed cache_info no-line-break-at-end < <(printf 'StoreDir: /nix/store\nWantMassQuery: 0')
seed cache_info no-space < <(printf 'StoreDir:/nix/store\nPriority:30\n')
seed cache_info other-store < <(printf 'StoreDir: /gnu/store\n')
seed cache_info relative-store < <(printf 'StoreDir: nix/store\n')
seed cache_info odd-store < <(printf 'StoreDir: //nix/./store/\n')
seed cache_info priorities < <(printf 'Priority: -1\nPriority: +41x\nPriority: 0x10\nPriority: 2147483648\nPriority:\n')
seed cache_info unknown-field < <(printf 'Owner: nobody\nno colon\n: \n\nStoreDir: /nix/store\n')
seed cache_info mass-query-words < <(printf 'WantMassQuery: true\nWantMassQuery: 11\n')

# The path infos of a store and of a cache, as this Nix prints them, then by hand as newer ones do.
nix path-info "${store[@]}" --json --closure-size "$source" "$flat" | seed json store
nix path-info --store "file://$work/cache-compression=zstd" --json --closure-size "$source" "$flat" | seed json cache
nar_hash=$(nix hash to-sri --type sha256 "$digest")
signature="fuzz-1:$(repeat 86 A)=="
common="\"narHash\":\"$nar_hash\",\"narSize\":1000,\"registrationTime\":1700000000,\"ultimate\":true"
download="\"url\":\"nar/x.nar.xz\",\"compression\":\"xz\",\"downloadHash\":\"$nar_hash\",\"downloadSize\":500,\"closureDownloadSize\":500"
textual="$common,\"references\":[\"$flat\",\"$source\"],\"deriver\":\"$derivation\",\"ca\":\"fixed:r:sha256:$digest\",\"signatures\":[\"$signature\"]"
newer="$common,\"references\":[\"${flat##*/}\"],\"deriver\":null,\"ca\":{\"method\":\"nar\",\"hash\":\"$nar_hash\"}"
newer="$newer,\"storeDir\":\"/nix/store\""
seed json nix-2.29 <<<"{\"$source\":{$textual,$download,\"closureSize\":1234},\"$flat\":null}"
seed json version-1 <<<"{\"$source\":{$textual,\"version\":1,\"storeDir\":\"/nix/store\"}}"
seed json version-2 <<<"{\"info\":{\"$part\":{$newer,$download,\"version\":2,\"signatures\":[\"$signature\"]}},\"storeDir\":\"/nix/store\",\"version\":2}"
seed json version-3 <<<"{\"info\":{\"$part\":{$newer,\"version\":3,\"signatures\":[{\"keyName\":\"fuzz-1\",\"sig\":\"${signature#*:}\"}]},\"${flat##*/}\":null},\"storeDir\":\"/nix/store\",\"version\":3}"
seed json version-4 <<<'{"info":{},"storeDir":"/nix/store","version":4}'
seed json other-store <<<'{"info":{},"storeDir":"/gnu/store","version":3}'
seed json not-valid <<<"[{\"path\":\"$source\",\"valid\":false}]"
seed json missing <<<"{\"$source\":{\"narHash\":\"$nar_hash\"}}"
seed json debug-info <<<'{"archive":"../nar/x.nar.xz","member":"lib/debug/.build-id/02/623eda209c26a59b1a8638ff7752f6b945c26b.debug"}'

# --------------------------------------------------------------------------------------------------- texts of one line

# lines <target> <prefix>: each line of standard input becomes a seed, without a line break.
lines() {
  local count=0 line
  while IFS= read -r line; do
    count=$((count + 1))
    printf %s "$line" | seed "$1" "$2-$(printf %02d "$count")"
  done
}

lines store_url url <<'URLS'

auto
daemon
local
local?root=/mnt
local://?real=/real/store&state=/state&log=/log&read-only=true
local://?store=/gnu/store
/mnt/store
./chroot?store=/x
../chroot%20with
unix:///run/nix%20daemon/socket
unix://?max-connections=4&max-connection-age=9
file:///var/cache/nix?compression=zstd&compression-level=19&parallel-compression=true
file:///a/../b/./c//d%2Fe
http://cache.example.org
https://user:p%40ss@cache.example.org:8443/prefix/?priority=30&want-mass-query=true
https://cache.example.org?trusted=1&path-info-cache-size=0&system-features=kvm,big-parallel
https://[::1]:8080/
https://192.0.2.1/%C3%BC
s3://bucket
s3://bucket/prefix/deeper
s3://bucket?region=eu-central-1&profile=work&scheme=https
s3://bucket?endpoint=http://localhost:9000&addressing-style=path
s3://bucket?endpoint=minio.example.org:9000&scheme=http&addressing-style=virtual
s3://bucket?endpoint=https://[2001:db8::1]:9000/&addressing-style=auto
s3://my.bucket?multipart-upload=true&multipart-chunk-size=6M&multipart-threshold=128MiB
s3://bucket?buffer-size=5242880&storage-class=GLACIER
s3://bucket?secret-key=/etc/key&secret-keys=/etc/one%20,/etc/two&local-nar-cache=/var/cache/nars
s3://bucket?narinfo-compression=gzip&ls-compression=br&log-compression=xz&write-nar-listing=1&index-debug-info=1
s3://bucket?region=a&region=b&unknown=1&regoin=x&compression
s3://bucket?compression=brotli
s3://bucket?compression-level=10000000000
s3://bucket?priority=-1&want-mass-query=maybe
s3://AKIA:secret@bucket
s3://bucket:9000/x
s3://bu%63ket/pre%2Ffix?region=us%2deast-1
s3://bucket/key#fragment
s3://
ssh://host
s3://bucket?%zz=1
s3://bucket?a=%00&b=%ff
?store=/x
mounted-ssh-ng://host
URLS

lines signatures text < <(
  for type in md5 sha1 sha256 sha512; do
    for form in --base16 --base32 --base64 --sri; do
      digest=$(nix hash file --type "$type" "$form" "$work/alone")
      echo "$digest"
      [ "$form" = --sri ] || echo "$type:$digest"
    done
  done
  echo "blake3:$(repeat 64 0)"
  # The options of an SRI are none that Nix knows.
  echo "$(nix hash file --type sha256 --sri "$work/alone")?a=b"
  echo "text:sha256:$digest"
  sed -n 's/^CA: //p; s/^Sig: //p' "$corpus"/narinfo/cache-1-*
  cat "$work/secret-key"
  echo
  nix key convert-secret-to-public <"$work/secret-key"
  echo
  cat "$work/second-key"
  echo
  for key in secret-key second-key; do
    nix key convert-secret-to-public <"$work/$key"
    printf ' '
  done
  echo
  echo "$source"
  echo "$source/share/doc"
  echo "$derivation"
  basename "$flat"
  basename "$derivation"
  echo "$(basename "$derivation")^out"
  echo /nix/store
  echo "sha256:$(repeat 64 0)!out"
  output="{\"outPath\":\"$(basename "$source")\",\"signatures\":[\"fuzz-1:$(repeat 86 A)==\"]"
  echo "{\"id\":\"sha256:$(repeat 64 0)!out\",${output#\{},\"dependentRealisations\":{\"sha256:$(repeat 64 1)!dev\":\"$(basename "$flat")\"}}"
  key="{\"drvPath\":\"$(basename "$derivation")\",\"outputName\":\"out\"}"
  echo "{\"key\":$key,\"value\":$output}}"
  echo "{\"key\":$key,\"value\":{\"outPath\":\"$(basename "$source")\",\"signatures\":[{\"keyName\":\"fuzz-1\",\"sig\":\"$(repeat 86 A)==\"}]}}"
  echo '{"method":"nar","hash":"'"$(nix hash file --type sha256 --sri "$work/alone")"'"}'
  echo '{"method":"text","hash":{"algorithm":"sha256","format":"base64","hash":"'"$(nix hash file --type sha256 --base64 "$work/alone")"'"}}'
)
