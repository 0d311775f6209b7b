"""Whether the log kept its promises, and what a recorded session's steps amount to.

For a notebook or a script; nothing here prints, and nothing needs a running server:

    from plexbridge.audit.reading import recorded
    from plexbridge.audit.checks import check, promises
    from plexbridge.log.reader import SqliteReader

    reader = SqliteReader(Path("plexbridge.db"))
    for finding in check(promises(), recorded(reader)):
        print(finding.pos, finding.text)

`checks` (with `endings`, `leases`, `bounds`, `cleanup`) and `replaying` take any iterable of
`Recorded`, `report` adds what needs a reader: the hash chain and the projections.
"""
