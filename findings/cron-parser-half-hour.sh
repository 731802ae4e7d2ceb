#!/bin/sh
# cron-parser finds no next time where the clocks go back by half an hour (Australia/Lord_Howe, 5 April 2026, 02:00 to
# 01:30): `next` throws "loop limit exceeded" for a daily expression. The other zones go back by an hour, and have one.
# Where an hour is left out, `prev` does not find the time that `next` has given: asked one second after it, it
# gives the day before.
# Seen with cron-parser 5.10.6 and luxon 3.7.2 in Node 20.20.2.
set -eu
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --silent --no-audit --no-fund --prefix . cron-parser@5.10.6 luxon@3.7.2 >/dev/null
cat >times.cjs <<'JS'
const { CronExpressionParser } = require("cron-parser");
const walk = (text, tz, from) => CronExpressionParser.parse(text, { tz, currentDate: new Date(from) });
const said = (work) => {
  try {
    return work().toDate().toISOString();
  } catch (error) {
    return error.message;
  }
};
console.log(said(() => walk("0 12 * * *", "Australia/Sydney", "2026-04-04T13:00:00Z").next()));
console.log(said(() => walk("0 12 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z").next()));
console.log(said(() => walk("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z").next()));
console.log(said(() => walk("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:01Z").prev()));
JS
node times.cjs | tee said
cat >expected <<'TEXT'
2026-04-05T02:00:00.000Z
Invalid expression, loop limit exceeded
2026-03-29T01:30:00.000Z
2026-03-28T01:30:00.000Z
TEXT
cmp said expected
