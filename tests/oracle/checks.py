"""What checks of the original see: {name: [type, options]} on stdin, {name: [passes, log, level, soft fail]} on stdout."""

import json
import logging
import sys

from fletchck import check

logging.disable()
seen = {}
for name, (kind, options) in json.load(sys.stdin).items():
    one = check.CHECK_TYPES[kind](name, options)
    fails = one._runCheck()
    seen[name] = [not fails, one.log, one.level, one.softFail]
json.dump(seen, sys.stdout)
