#!/bin/sh
# What a recording leaves to do when its channel has gone, and what is told of it: begin NAME, finish NAME.
# The work itself, an upload say, lasts as long as the file `keep-working` is there.
spool=/var/spool/asterisk
told=/usr/share/asterisk/static-http/pending.json
case "$1" in
    begin)
        : >"$spool/pending/$2.wav"
        ;;
    finish)
        while [ -e "$spool/keep-working" ]; do sleep 0.2; done
        rm -f "$spool/pending/$2.wav"
        ;;
esac
# One at a time: a list that was made earlier must not be written later.
exec 9>"$spool/pending.lock"
flock 9
printf '[%s]' "$(ls "$spool/pending" | sed 's/.*/"&"/' | paste -sd, -)" >"$told.new"
mv "$told.new" "$told"
