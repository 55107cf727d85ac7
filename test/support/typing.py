"""Types into an interactive shell on a real terminal, as a person does, and prints what the terminal shows.

python3 typing.py STEPS COMMAND...    STEPS is JSON: a list of [text to type, text to wait for]
"""

import json
import os
import pty
import select
import sys
import time

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""


def wait_for(text, seconds):
    """Reads until the text is shown behind what was shown before."""
    global shown
    start = len(shown)
    end = time.monotonic() + seconds
    while text.encode() not in shown[start:]:
        left = end - time.monotonic()
        if left <= 0:
            sys.stdout.write(shown.decode(errors="replace"))
            sys.exit(f"\n{text!r} was not shown within {seconds} s")
        if select.select([terminal], [], [], left)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                sys.stdout.write(shown.decode(errors="replace"))
                sys.exit(f"\nthe shell ended before {text!r} was shown")


for typed, expected in steps:
    os.write(terminal, typed.encode())
    wait_for(expected, 40)
os.kill(pid, 9)
os.waitpid(pid, 0)
sys.stdout.write(shown.decode(errors="replace"))
