"""The file that one guide is kept in: its tables, and the statements that fill them.

`guides/{key}.db` beside the log, readable by its owner alone, one file for each guide: so each is
replaced by itself, whole, by renaming; who reads the old one goes on reading it. Nothing in it is
ever exported, and all of it can be had again from the provider.
"""

from typing import Final

SCHEMA: Final = 1
"""Kept in `user_version`. Another number: the guide is read again."""

TABLES: Final = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE channels (id INTEGER PRIMARY KEY, xmltv_id TEXT NOT NULL, name TEXT NOT NULL)",
    "CREATE TABLE programmes (channel INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER,"
    " xml TEXT NOT NULL, PRIMARY KEY (channel, start)) WITHOUT ROWID",
    "CREATE TABLE matches (wanted TEXT PRIMARY KEY, channel INTEGER NOT NULL, how TEXT NOT NULL,"
    " confidence INTEGER NOT NULL) WITHOUT ROWID",
)
"""`start`, `stop`: seconds since 1970; `xml`: what is between `<programme>` and its end; `wanted`:
a lineup channel's id."""

INSERT_FACT: Final = "INSERT INTO facts (name, value) VALUES (?, ?)"
INSERT_CHANNEL: Final = "INSERT INTO channels (id, xmltv_id, name) VALUES (?, ?, ?)"
INSERT_PROGRAMME: Final = (
    "INSERT OR IGNORE INTO programmes (channel, start, stop, xml) VALUES (?, ?, ?, ?)"
)
INSERT_MATCH: Final = "INSERT INTO matches (wanted, channel, how, confidence) VALUES (?, ?, ?, ?)"

SELECT_FACTS: Final = "SELECT name, value FROM facts"
SELECT_MATCHES: Final = """
SELECT m.wanted, m.channel, m.how, m.confidence FROM matches m
WHERE EXISTS (SELECT 1 FROM programmes p WHERE p.channel = m.channel)
"""
SELECT_PROGRAMMES: Final = """
SELECT start, stop, xml FROM programmes WHERE channel = ? AND start >= ? ORDER BY start LIMIT ?
"""
SELECT_FROM_NOW: Final = """
SELECT start, stop, xml FROM programmes WHERE channel = :channel AND start >= coalesce(
    (SELECT max(start) FROM programmes WHERE channel = :channel AND start <= :at), :at)
ORDER BY start LIMIT 3
"""
SELECT_WITHIN: Final = """
SELECT start, stop, xml FROM programmes WHERE channel = :channel AND start >= coalesce(
    (SELECT max(start) FROM programmes WHERE channel = :channel AND start <= :begin), :begin)
AND start <= coalesce(
    (SELECT min(start) FROM programmes WHERE channel = :channel AND start >= :until), :until)
ORDER BY start LIMIT :most
"""
SELECT_START_BEFORE: Final = "SELECT max(start) FROM programmes WHERE channel = ? AND start < ?"
SELECT_CHANNEL: Final = "SELECT xmltv_id, name FROM channels WHERE id = ?"
SELECT_CHANNELS: Final = "SELECT id, xmltv_id, name FROM channels WHERE id > ? ORDER BY id LIMIT ?"
SELECT_MATCH: Final = "SELECT channel, how, confidence FROM matches WHERE wanted = ?"
