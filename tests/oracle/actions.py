"""What actions of the original send: [type, options, check] on stdin, for each of the lines.

A check is {name, type, fails, log, time, zone}, and for a sequence {levels, soft} with fails naming its members. What
the action answers is printed, one line each.
"""

import json
import logging
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from fletchck import action, check

logging.disable()
for line in sys.stdin:
    kind, options, given = json.loads(line)
    one = getattr(check, given["type"] + "Check")(given["name"], {})
    one.checkType = given["type"]
    one.timezone = ZoneInfo(given["zone"])
    one.failState = given["fails"]
    one.log = given["log"]
    at = datetime.fromisoformat(given["time"])
    one.lastFail = one.lastPass = at
    if "levels" in given:
        one.levels = given["levels"]
        one.softFails = set(given["soft"])
    print(json.dumps(action.ACTION_TYPES[kind]("oracle", options).trigger(one)), flush=True)
