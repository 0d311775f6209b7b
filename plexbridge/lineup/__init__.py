"""The channel list: read from playlists, numbered, kept while a provider is away.

`m3u` and `channels` are pure; `decoding` turns bytes into lines; `fetch` and `load` wait for the
world; `store` keeps the result. Nothing here knows of sessions, tuners or the log.
"""
