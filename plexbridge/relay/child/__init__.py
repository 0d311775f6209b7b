"""Upstreams that are read through an ffmpeg child: what plain HTTP and TS segments cannot give."""
