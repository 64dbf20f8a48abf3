#!/usr/bin/env bash
# Takes the King James Bible, whose copyright has expired, out of Debian's package, without installing it, and learns the tokenizer from it:
#
#     bash examples/learnt/text.sh OUT
#
# writes OUT/train.txt, OUT/held-out.txt and OUT/tokenizer.json. A line is a verse; an empty line is between chapters.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq -o APT::Sandbox::User=root download bible-kjv bible-kjv-text
for package in *.deb; do dpkg-deb -x "$package" .; done
# Without its format the program writes a verse a line, behind its book, chapter and number: `Ge1:1 In the beginning`.
usr/bin/bible -f -p usr/lib gen1:1-rev22:21 </dev/null >verses
# One chapter of 25 is held out. The 24th is, so that Numbers 7 is among them, whose princes bring the same gifts twelve times: text with repeats.
awk -v out="$out" '{
  split($1, place, ":")
  if (place[1] != chapter) {
    chapter = place[1]
    file = out "/" (n++ % 25 == 23 ? "held-out.txt" : "train.txt")
    if (begun[file]++) print "" >file
  }
  print substr($0, length($1) + 2) >file
}' verses
wc "$out/train.txt" "$out/held-out.txt"
python3 "$here/tokenizer.py" learn "$out/train.txt" "$out/tokenizer.json"
