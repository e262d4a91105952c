"""A log as the original's check of type file sees it: options on the first line, then one run for each line that follows.

Each run prints [passes, log, level]. The state is carried from run to run, as with a threshold of 1; it begins as passing.
"""

import json
import logging
import sys

from fletchck import check

logging.disable()
one = check.fileCheck("log", json.loads(sys.stdin.readline()))
one.failState = False
for _ in sys.stdin:
    one.log = []
    one.failState = one._runCheck()
    print(json.dumps([not one.failState, one.log, one.level]), flush=True)
