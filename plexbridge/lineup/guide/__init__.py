"""The programme guide: XMLTV in, `/xmltv.xml` out, and what is on now."""
