"""What is valid: the part of the XMLTV DTD that we write, and the rules of XMLTV's own validator.

Written from the description of the format; elements that we never write are left out.
"""

import io
import re

from lxml import etree

DTD = etree.DTD(
    io.StringIO(
        """
<!ELEMENT tv (channel*, programme*)>
<!ATTLIST tv generator-info-name CDATA #IMPLIED>
<!ELEMENT channel (display-name+, icon*, url*)>
<!ATTLIST channel id CDATA #REQUIRED>
<!ELEMENT display-name (#PCDATA)>
<!ELEMENT programme (title+, sub-title*, desc*, date?, category*, keyword*, icon*, url*,
    episode-num*, previously-shown?, premiere?, last-chance?, new?, rating*, star-rating*)>
<!ATTLIST programme start CDATA #REQUIRED stop CDATA #IMPLIED channel CDATA #REQUIRED>
<!ELEMENT title (#PCDATA)> <!ATTLIST title lang CDATA #IMPLIED>
<!ELEMENT sub-title (#PCDATA)> <!ATTLIST sub-title lang CDATA #IMPLIED>
<!ELEMENT desc (#PCDATA)> <!ATTLIST desc lang CDATA #IMPLIED>
<!ELEMENT date (#PCDATA)>
<!ELEMENT category (#PCDATA)> <!ATTLIST category lang CDATA #IMPLIED>
<!ELEMENT keyword (#PCDATA)>
<!ELEMENT icon EMPTY> <!ATTLIST icon src CDATA #REQUIRED>
<!ELEMENT url (#PCDATA)>
<!ELEMENT episode-num (#PCDATA)> <!ATTLIST episode-num system CDATA "onscreen">
<!ELEMENT previously-shown EMPTY> <!ATTLIST previously-shown start CDATA #IMPLIED>
<!ELEMENT premiere (#PCDATA)>
<!ELEMENT last-chance (#PCDATA)>
<!ELEMENT new EMPTY>
<!ELEMENT rating (value, icon*)> <!ATTLIST rating system CDATA #IMPLIED>
<!ELEMENT star-rating (value, icon*)> <!ATTLIST star-rating system CDATA #IMPLIED>
<!ELEMENT value (#PCDATA)>
"""
    )
)
_ID = re.compile(r"[-a-zA-Z0-9]+(\.[-a-zA-Z0-9]+)+")
_TIME = re.compile(r"\d{14} [+-]\d{4}")
_XMLTV_NS = re.compile(r"\d*(/\d+)?\.\d*(/\d+)?\.\d*(/\d+)?|\d*(/\d+)?\.\d*(/\d+)?")


def checked(document: bytes) -> etree._Element:
    """The parsed document; fails with what is wrong with it."""
    root = etree.fromstring(document)
    assert DTD.validate(root), DTD.error_log.last_error
    ids = [channel.get("id") for channel in root.iterfind("channel")]
    assert len(set(ids)) == len(ids), "a channel has one element"
    assert all(_ID.fullmatch(one or "") for one in ids), "ids are dotted"
    for programme in root.iterfind("programme"):
        assert programme.get("channel") in ids, "a programme's channel is there"
        assert _TIME.fullmatch(programme.get("start") or "")
        assert _TIME.fullmatch(programme.get("stop") or "")
        assert (programme.findtext("title") or "").strip()
        for number in programme.iterfind("episode-num[@system='xmltv_ns']"):
            assert _XMLTV_NS.fullmatch(number.text or ""), number.text
    return root
