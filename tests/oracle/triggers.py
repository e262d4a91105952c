"""Asks APScheduler 3 (and the original program's text parser) what triggers mean.

`triggers.py fires SEED UTC_COUNT ZONED_COUNT` writes one JSON object per line: a random trigger, the zone, an anchor
for intervals, and for each of its fire times the time asked from ("after"), the answer ("fire", null at its end) and
whether the walk to it was thrown off by a change of the zone's offset ("thrown", see `Walk`). Times are seconds UTC.

`triggers.py texts` reads JSON strings, one per line, and writes the original's reading of each and what it makes of
that in text again: [trigger or null, text].
"""

import json
import logging
import random
import sys
from datetime import datetime, timedelta, timezone

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from apscheduler.util import astimezone

STEPS = 20
ZONES = [
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "America/Nuuk",
    "Africa/Cairo",
    "Pacific/Chatham",
    "Asia/Beirut",
]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
LIMITS = {
    "year": (2024, 2040),
    "month": (1, 12),
    "day": (1, 31),
    "week": (1, 53),
    "day_of_week": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}


class Walk(CronTrigger):
    """APScheduler's trigger, unchanged, noting where going on to the next unit does not arrive there.

    It adds the difference of two wall clock readings to an instant. If the zone's offset changes in between it lands
    beside the start of the unit it was going to: past it, and skips what lies there, or short of it.
    """

    thrown = False

    def _increment_field_value(self, dateval, fieldnum):
        landed, fieldnum = super()._increment_field_value(dateval, fieldnum)
        if landed.utcoffset() != dateval.utcoffset():
            self.thrown = True
        return landed, fieldnum


def expression(rng, field):
    low, high = LIMITS[field]
    pick = rng.random()
    if field == "day" and pick < 0.25:
        which = rng.choice(["1st", "2nd", "3rd", "4th", "5th", "last", "last", "LAST"])
        return rng.choice(["last", f"{which} {rng.choice(WEEKDAYS)}"])
    if field == "day_of_week" and pick < 0.35:
        first, last = sorted((rng.randint(0, 6), rng.randint(0, 6)))
        return rng.choice([WEEKDAYS[first], f"{WEEKDAYS[first]}-{WEEKDAYS[last]}", WEEKDAYS[last].upper()])
    if field == "month" and pick < 0.35:
        first, last = sorted((rng.randint(0, 11), rng.randint(0, 11)))
        return rng.choice([MONTHS[first], f"{MONTHS[first]}-{MONTHS[last]}"])
    first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
    if pick < 0.55:
        return str(first)
    if pick < 0.65:
        return "*"
    if pick < 0.75:
        return f"*/{rng.randint(1, high - low)}"
    if pick < 0.88 or last == first:
        return f"{first}-{last}"
    if pick < 0.94 and high > first:
        return f"{first}/{rng.randint(1, high - first)}"
    return f"{first}-{last}/{rng.randint(1, last - first)}"


def cron(rng, zone, after):
    spec = {}
    chances = {"year": 0.1, "month": 0.3, "day": 0.35, "week": 0.15, "day_of_week": 0.3}
    for field in LIMITS:
        if rng.random() < chances.get(field, 0.6):
            parts = [expression(rng, field) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
            spec[field] = rng.choice([",", ", ", " , "]).join(parts)
            if spec[field].isdigit() and rng.random() < 0.5:
                spec[field] = int(spec[field])
    if not spec:
        spec["hour"] = rng.randint(0, 23)
    # What may never fire would walk for minutes: it gets an end. So do others.
    rare = ("day" in spec and "month" in spec) or sum(key in spec for key in ("week", "day", "month", "day_of_week")) > 1
    if rare or rng.random() < 0.3:
        spec["end_date"] = bound(rng, after + timedelta(days=rng.choice([1, 40, 800, 4000]) * rng.random()))
    if rng.random() < 0.1:
        spec["start_date"] = bound(rng, after + timedelta(days=30 * rng.random()))
    if zone is not None:
        spec["timezone"] = zone
    return {"cron": spec}


def interval(rng, zone, after):
    spec = {}
    for key, high in (("weeks", 3), ("days", 6), ("hours", 30), ("minutes", 90), ("seconds", 90)):
        if rng.random() < 0.4:
            spec[key] = rng.randint(1, high)
    if not spec:
        spec["minutes"] = 5
    if rng.random() < 0.4:
        length = timedelta(**spec) * 25 * rng.random()
        spec["end_date"] = bound(rng, after + length)
    if zone is not None:
        spec["timezone"] = zone
    return {"interval": spec}


def bound(rng, at):
    text = at.strftime("%Y-%m-%d %H:%M:%S")
    return rng.choice([text, text, text.replace(" ", "T"), text[:10], text + "Z", text + "+09:30", text + "-04:00"])


def fires(rng, trigger, zone, after, anchor):
    (kind, spec), = trigger.items()
    options = dict(spec)
    tz = astimezone(options.pop("timezone", zone))
    steps = []
    if kind == "interval":
        walk = IntervalTrigger(start_date=anchor, timezone=tz, **options)
    else:
        walk = Walk(timezone=tz, **options)
    for _ in range(STEPS):
        thrown = False
        if kind == "interval":
            # On a grid of whole seconds the first from a second later is the first after.
            fire = walk.get_next_fire_time(None, (after + timedelta(seconds=1)).astimezone(tz))
        elif not steps:
            # Only the first question heeds a start.
            walk.thrown = False
            fire = walk.get_next_fire_time(None, (after + timedelta(microseconds=1)).astimezone(tz))
            thrown = walk.thrown
        else:
            now = after.astimezone(tz)
            walk.thrown = False
            fire = walk.get_next_fire_time(now, now)
            thrown = walk.thrown
        steps.append([int(after.timestamp()), None if fire is None else int(fire.timestamp()), thrown])
        if fire is None:
            break
        after = fire.astimezone(timezone.utc)
    return steps


def case(rng, zone):
    after = datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=rng.randint(0, 8 * 366 * 86400))
    if zone != "UTC" and rng.random() < 0.6:
        after = near_change(rng, zone, after)
    # APScheduler has no points before its start, so the questions begin there at the earliest.
    anchor = after - timedelta(seconds=rng.choice([-1, 0, 60, rng.randint(0, 10**6)]))
    own = zone if rng.random() < 0.5 else None
    make = interval if rng.random() < 0.25 else cron
    trigger = make(rng, own, after)
    return {
        "trigger": trigger,
        "zone": zone,
        "anchor": int(anchor.timestamp()),
        "steps": fires(rng, trigger, zone, after, anchor),
    }


def near_change(rng, zone, after):
    """A time at most two days before the zone's next change of offset."""
    tz = astimezone(zone)
    for _ in range(400):
        day = after + timedelta(days=1)
        if day.astimezone(tz).utcoffset() != after.astimezone(tz).utcoffset():
            return after - timedelta(seconds=rng.randint(0, 86400))
        after = day
    return after


def main():
    if sys.argv[1] == "texts":
        from fletchck.util import text2Trigger, trigger2Text

        logging.disable(logging.CRITICAL)
        for line in sys.stdin:
            trigger = text2Trigger(json.loads(line))
            print(json.dumps([trigger, trigger2Text(trigger)]))
        return
    seed, plain, zoned = (int(argument) for argument in sys.argv[2:5])
    rng = random.Random(seed)
    for number in range(plain + zoned):
        zone = "UTC" if number < plain else rng.choice(ZONES)
        try:
            print(json.dumps(case(rng, zone)))
        except ValueError as error:
            sys.exit(f"a trigger that APScheduler does not take, mend the generator: {error}")


if __name__ == "__main__":
    main()
