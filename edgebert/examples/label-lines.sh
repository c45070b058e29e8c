#!/bin/sh
# Label lines of text as they arrive on a named pipe, one JSON object a line on standard output.
#
#     label-lines.sh /run/edgebert/in [options of edgebert classify]
#     echo "The soup was cold." > /run/edgebert/in
#
# Writers come and go: the pipe is held open here too, so that its end is never seen.
set -eu

pipe=${1:?usage: label-lines.sh PIPE [options of edgebert classify]}
shift
if [ ! -p "$pipe" ]; then
    if [ -e "$pipe" ]; then
        echo "label-lines.sh: $pipe is no named pipe" >&2
        exit 1
    fi
    mkfifo -m 0622 "$pipe"
fi
exec "${EDGEBERT:-edgebert}" classify - --format jsonl --errors replace "$@" 0<>"$pipe"
