"""HLS as one kind of upstream: playlists and segments in, one continuous MPEG-TS out."""
