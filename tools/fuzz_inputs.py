"""Damaged files for tools/fuzz.py: the same random generator makes the same ones.

A case is a dictionary of files in a folder: name -> content, or, as text, where a link of that name leads. The first
one is given to the reader. `/proc/self/cwd` is that folder: an absolute path is the same text on every machine."""

import csv
import io
import json
import math
import re
import struct
import zlib

DEEP, LONG, FAR = "@deep@", "@long@", "@far@"  # What `to_text` puts in: 100,000 levels, 10^400, and 1e999
PRIVATE = ("mp4", "ts", "png", "json", "jsonl", "csv", "safetensors", "txt", "ps")  # private.* of the folder above
NAMES = (
    "../private.{}",
    "../../private.{}",
    "x/../../private.{}",
    "/proc/self/cwd/../private.{}",
    "file:///proc/self/cwd/../private.{}",
    "link.{}",
    "..\\private.{}",
    "~/private.{}",
)
NASTY = [
    None,
    True,
    -1,
    0,
    0.5,
    1e308,
    5e-324,
    math.nan,
    math.inf,
    -math.inf,
    2**31,
    2**63,
    10**12,
    DEEP,
    LONG,
    FAR,
    "",
    " ",
    "x" * 5000,
    "x" * 300,
    "\ud800",
    "\0",
    "\x1b[2J",
    "\u202etxt",
    "=cmd|' /C calc'!A0",
    "CON",
    "-x",
    ".x",
    "$\\frac{$",
    "8",
    "NaN",
    "1e999",
    "../../etc/passwd",
    [],
    {},
    [[]],
    [None],
    list(range(3000)),
    {"": 1},
]


def private_name(rng):
    "A name that leads to a private file."
    return rng.choice(NAMES).format(rng.choice(PRIVATE))


def near(value, rng):
    "Something like a value that is not it."
    kinds = [rng.choice(NASTY), private_name(rng)]
    if isinstance(value, bool):
        kinds += [not value, int(value), str(value).lower()]
    elif isinstance(value, (int, float)):
        kinds += [-value, str(value), [value], value + 0.5, value * 1e6, value * 10**9, float(value)]
        kinds += [int(value) + 1] if math.isfinite(value) else []
    elif isinstance(value, str):
        kinds += [
            value + "x",
            [value],
            value.upper(),
            {value: value},
            value.encode("utf-8", "surrogatepass").hex(),
            value * 50,
            f"../{value}",
        ]
    elif isinstance(value, list) and value:
        kinds += [value * 2, value[:1], value[::-1], value[0], {str(k): v for k, v in enumerate(value)}]
        kinds += [value * (1 + 20_000 // len(value))]
    elif isinstance(value, dict) and value:
        kinds += [list(value), list(value.values()), next(iter(value.values())), {**value, "extra": 1}]
        kinds += [dict(zip(value, [*list(value.values())[1:], None], strict=True))]
    return rng.choice(kinds)


def changed_meaning(value, rng):
    "A JSON value with something else somewhere in it."
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        copy = dict(value) if isinstance(value, dict) else list(value)
        what = rng.random()
        if what < 0.08:
            del copy[key]
        elif what < 0.13 and isinstance(value, dict):
            copy[rng.choice(("extra", "", "__class__", "auto_map", "file", "\ud800", "x" * 300))] = rng.choice(NASTY)
        elif what < 0.16 and isinstance(value, list):
            copy.insert(key, rng.choice(NASTY))
        else:
            copy[key] = changed_meaning(copy[key], rng)
        return copy
    return near(value, rng)


def to_text(value):
    "JSON, also of what JSON does not have."
    text = json.dumps(value)
    for mark, written in ((DEEP, "[" * 100_000 + "]" * 100_000), (LONG, f"1{'0' * 400}"), (FAR, "1e999")):
        text = text.replace(f'"{mark}"', written)
    return text


def changed_json(text, rng):
    "JSON with other values; text in it that is JSON itself is looked into."
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = changed_meaning(value, rng)
    return to_text(value)


def changed_lines(data, rng):
    "JSON Lines with another line, or the same again."
    lines = (data or b"{}").decode().split("\n")
    k = rng.randrange(len([line for line in lines if line]) or 1)
    if rng.random() < 0.1:
        lines.insert(k, lines[k])
    else:
        lines[k] = changed_json(lines[k], rng)
    return "\n".join(lines).encode()


def changed_header(data, rng):
    "A safetensors file with another header, or other numbers behind it."
    size = int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    inner = header.get("__metadata__", {})
    name, what = next((key for key, text in inner.items() if text.startswith("{")), None), rng.random()
    if what < 0.15 and numbers:
        at = 4 * rng.randrange(len(numbers) // 4 or 1)
        numbers[at : at + 4] = rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\xff", b"\xff\xff\x7f\x7f"))
    elif what < 0.75 and name is not None:
        inner[name] = changed_json(inner[name], rng)
    else:
        header = changed_meaning(header, rng)
    text = to_text(header).encode()
    length = len(text) if rng.random() < 0.95 else rng.choice((0, 1, len(text) + 1, 2**31, 2**63, 2**64 - 1))
    return length.to_bytes(8, "little") + text + bytes(numbers)


def changed_table(data, rng):
    "A table with other cells or columns."
    delimiter = "\t" if b"\t" in data.partition(b"\n")[0] else ","
    rows = [row for row in csv.reader(io.StringIO(data.decode()), delimiter=delimiter) if row]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(rows)
        at, what = rng.randrange(len(row)), rng.random()
        if what < 0.7:
            row[at] = near(row[at], rng)
        elif what < 0.8:
            row.append(row[at])
        elif what < 0.9 and len(row) > 1:
            del row[at]
        else:
            rows.append(list(row))
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(
        [[cell if isinstance(cell, str) else to_text(cell) for cell in row] for row in rows]
    )
    return stream.getvalue().encode("utf-8", "surrogatepass")


# What headers say of sizes and numbers: pattern, places behind its beginning, how the number is written
DECLARED = (
    (rb"IHDR", (4, 8), ">I"),
    (rb"IHDR", (12, 13, 16), "B"),  # bits, colour, interlace
    (rb"acTL", (4, 8), ">I"),
    (rb"fcTL", (8, 12, 16, 20), ">I"),
    (rb"^GIF8", (6, 8), "<H"),
    (rb"\0,", (2, 4, 6, 8), "<H"),
    (rb"^BM", (10, 14, 18, 22, 34, 46), "<I"),
    (rb"^BM", (28, 30), "<H"),
    (rb"[\x00-\x03\x06\x11\x15-\x17\x1c\x3d\x42-\x45]\x01[\x01-\x05]\0", (4, 8), "<I"),  # TIFF
    (rb"VP8X", (12, 15), "<I"),
    (rb"VP8L....\x2f", (9,), "<I"),
    (rb"ANMF", (14, 17, 20), "<I"),
    (rb"\x9d\x01\x2a", (3, 5), "<H"),  # VP8
    (rb"\xff[\xc0-\xc2]\0[\x08\x0b\x11\x14]\x08", (5, 7), ">H"),  # JPEG
    (rb"\xff[\xc0-\xc2]\0[\x08\x0b\x11\x14]\x08", (4, 9, 10, 11), "B"),
    (rb"ispe", (8, 12), ">I"),
    (rb"ihdr", (4, 8), ">I"),
    (rb"\xffQ", (6, 10, 14, 18, 22, 26), ">I"),  # JPEG 2000
    (
        rb"tkhd|mvhd|mdhd|stsd|stsz|stts|ctts|stsc|stco|elst|pasp|colr|avc1|mp4v|trun|tfhd|trex|mfhd|mdat|moov|trak|stbl",
        range(-4, 88, 4),
        ">I",
    ),
    (rb"[\xb0\xba][\x81-\x84]", (2,), ">H"),  # Matroska's sizes, times and lengths
    (rb"\x54[\xb0\xba\xb2][\x81-\x84]", (3,), ">H"),
    (rb"\x23\xe3\x83|\x2a\xd7\xb1|\x44\x89", (4,), ">I"),
    (rb"\x1f\x43\xb6\x75|\x18\x53\x80\x67|\xa3|\xe7", (1, 4), ">I"),
    (rb"avih|strh|strf|idx1|movi|LIST", range(4, 60, 4), "<I"),
    (rb"width\0|height\0|framerate\0|duration\0", (9,), ">d"),  # FLV
)
LARGE = (9_999, 16_384, 31_000, 65_535, 10**6)
NUMBERS = (0, 1, 2, 100, 9_999, 16_384, 31_000, 65_535, 100_000, 10**6, 8 * 10**7, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def with_checksums(data):
    "A PNG whose chunks have the right checksums."
    at, found = 8, bytearray(data)
    while at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at : at + 4], "big")
        if end + 4 > len(found):
            break
        found[end : end + 4] = zlib.crc32(found[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def declared(data, rng):
    "A picture or a video whose header says other sizes; None where it says none."
    places = [
        [(found.start() + place, way) for place in offsets if 0 <= found.start() + place <= len(data) - 8]
        for pattern, offsets, way in DECLARED
        for found in list(re.finditer(pattern, data))[:20]
    ]
    if not (places := [group for group in places if group]):
        return None
    found = bytearray(data)
    for group in rng.sample(places, min(len(places), rng.choice((1, 1, 2, 3)))):
        both = rng.random() < 0.6  # width and height, where a picture has them
        for at, way in group[:2] if both else rng.sample(group, 1):
            value = rng.choice(LARGE if both else NUMBERS) if rng.random() < 0.9 else rng.randrange(2**16)
            width = struct.calcsize(way)
            written = value.to_bytes(8, "big")[8 - width :]
            if way == ">d":
                written = struct.pack(way, value)
            found[at : at + width] = written[::-1] if way[0] == "<" else written
    return with_checksums(found) if data.startswith(b"\x89PNG") else bytes(found)


def changed_bytes(data, others, rng):
    "Content that is cut, mixed, overwritten and repeated."
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        if not data:
            break
        at, kind = (
            rng.randrange(len(data)) if rng.random() < 0.5 else min(len(data) - 1, int(rng.expovariate(1 / 40))),
            rng.random(),
        )
        if kind < 0.35:
            data[at] = rng.randrange(256)
        elif kind < 0.5:
            data[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
        elif kind < 0.65:
            del data[at:]
        elif kind < 0.75:
            del data[at : at + rng.randrange(1, 200)]
        elif kind < 0.85:
            data[at:at] = bytes(data[at : at + rng.randrange(1, 200)]) * rng.choice((1, 3))
        elif kind < 0.95:
            data[at : at + 64] = rng.choice(others)[at : at + 64]
        else:
            data[at:at] = rng.choice((b'"', b",", b"\n", b"\0", b"\xff", b"{", b".."))
    return bytes(data)


def changed(name, data, others, rng):
    "A file that is damaged as its kind can be."
    suffix, what = "." + name.rpartition(".")[2], rng.random()
    if suffix == ".json" or (suffix == ".any" and data[:1] == b"{"):
        return changed_json(data, rng).encode() if what < 0.8 else changed_bytes(data, others, rng)
    if suffix == ".jsonl":
        return changed_lines(data, rng) if what < 0.8 else changed_bytes(data, others, rng)
    if suffix == ".safetensors":
        return changed_header(data, rng) if what < 0.7 else changed_bytes(data, others, rng)
    if suffix in (".csv", ".tsv"):
        return changed_table(data, rng) if what < 0.6 else changed_bytes(data, others, rng)
    found = declared(data, rng) if what < 0.5 else None
    return changed_bytes(data, others, rng) if found is None else found


def damaged(cases, rng):
    "A case with one damaged file; what is written as text is damaged more often."
    case = dict(rng.choice(cases))
    names = [name for name, content in case.items() if isinstance(content, bytes)]
    name = rng.choice([n for n in names for _ in range(5 if n.endswith((".json", ".jsonl", ".csv", ".tsv")) else 1)])
    others = [other[name] for other in cases if isinstance(other.get(name), bytes)]
    case[name] = changed(name, case[name], others, rng)
    return case


def led_away(cases, rng):
    "A case of a stranger's folder: damaged, or with a link that leads out of it."
    if rng.random() < 0.8:
        return damaged(cases, rng)
    case = dict(rng.choice(cases))
    # not what a user names
    name = rng.choice([name for name in case if "/" in name and not name.endswith("/list.csv")])
    if name.count("/") > 1 and rng.random() < 0.5:
        return moved_out(case, name, rng)
    suffix = name.rpartition(".")[2]
    case[name] = f"/proc/self/cwd/../private.{suffix if suffix in PRIVATE else rng.choice(PRIVATE)}"
    return case


def moved_out(case, name, rng):
    "A case in which a folder below the one that a user names is a link to the same folder elsewhere."
    parts = name.split("/")
    depth = rng.randrange(2, len(parts))
    folder = "/".join(parts[:depth])
    found = {}
    for inner, content in case.items():
        tail = inner.removeprefix(f"{folder}/")
        found[inner if tail == inner else f"../elsewhere/{tail}"] = content
    return found | {folder: "/proc/self/cwd/../elsewhere"}


PLAYLISTS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:4.0,\n{0}\n#EXT-X-ENDLIST\n",
    "\ufeff#EXTM3U\r\n#EXT-X-TARGETDURATION:9\r\n#EXTINF:4.0,\r\n{0}\r\n#EXT-X-ENDLIST\r\n",
    '#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{0}"\n#EXTINF:4,\n{0}\n#EXT-X-ENDLIST\n',
    "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{0}\n",
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=VIDEO,GROUP-ID="a",NAME="a",URI="{0}"\n#EXT-X-STREAM-INF:BANDWIDTH=1,VIDEO="a"\n{0}\n',
    '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{0}"\n#EXTINF:4,\n{0}\n#EXT-X-ENDLIST\n',
    "#EXTM3U\n#EXTINF:-1,a\n{0}\n",
    "ffconcat version 1.0\nfile {0}\n",
    "ffconcat version 1.0\nfile '{0}'\ninpoint 0\nduration 1\nfile '{0}'\n",
    "file '{0}'\nfile '{0}'\n",
    "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n({0}) run\nshowpage\n%%EOF\n",
    "%!PS\n({0}) (r) file 100 string readstring pop print\n",
    "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n({0}) (w) file closefile\n%%EOF\n",
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{0}" width="9" height="9"/></svg>',
    '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "{0}">]><svg width="9" height="9"><text>&x;</text></svg>',
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="a" bandwidth="1"><BaseURL>{0}</BaseURL>'
    '<SegmentList duration="4"><SegmentURL media="{0}"/></SegmentList></Representation></AdaptationSet></Period></MPD>',
    '<asx version="3.0"><entry><ref href="{0}"/></entry></asx>',
    '<smil><body><video src="{0}"/></body></smil>',
    '<?xml version="1.0"?><CompositionPlaylist><Id>urn:uuid:0</Id><SegmentList/></CompositionPlaylist><!--{0}-->',
    "[playlist]\nFile1={0}\nNumberOfEntries=1\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\na={0}\n",
    "push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 9,9 '{0}'\npop graphic-context\n",
    '<?xml version="1.0"?><image><read filename="{0}"/></image>',
    'AviSource("{0}")\n',
    "movie={0}\n",
    ";FFMETADATA1\ntitle={0}\n",
    '{{"format": "cammimic-path", "version": 1, "file": "{0}", "$ref": "{0}"}}',
    "{0}\n",
)
PLACES = (
    "private.{}",
    "./private.{}",
    "../private.{}",
    "/proc/self/cwd/private.{}",
    "file:private.{}",
    "file:///proc/self/cwd/private.{}",
    "concat:private.{0}|private.{0}",
    "subfile,,start,0,end,0,,:private.{}",
    "crypto:private.{}",
    "cache:private.{}",
    "async:file:private.{}",
    "http://127.0.0.1:9/private.{}",
)
ENDINGS = "m3u8 m3u mp4 mkv mov webm ts avi gif jpg png webp tif bmp svg eps ps mpd ffconcat json txt csv any".split()
SIGNS = ("GIF89a", "\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n", "RIFF\0\0\0\0AVI ", "\x1aE\xdf\xa3", "BM", "II*\0", "{")
DOS_EPS = b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 32, 0, 0, 0, 0, 0, 0)


def playlist(_, rng):
    "A file that is nothing by itself but names a private one beside it, under any ending."
    suffix = rng.choice(("ts", "ts", "mp4", "mp4", *PRIVATE))
    place = rng.choice((*PLACES[:2], *PLACES[:2], *PLACES)).format(suffix)
    content = rng.choice((*PLAYLISTS[:9], *PLAYLISTS)).format(place).encode()
    what = 2 * rng.random()
    if what < 0.1:
        content = rng.choice(SIGNS).encode("latin-1") + content
    elif what < 0.2:
        content = rng.choice((b"\n", b" ", b"\xef\xbb\xbf", b"\0", b"#!ffconcat\n")) + content
    elif what < 0.25:
        content = DOS_EPS[:8] + struct.pack("<I", len(content)) + DOS_EPS[12:] + content
    elif what < 0.3:
        content = content.decode().encode(rng.choice(("utf-16", "utf-32", "utf-16-be")))
    elif what < 0.4:
        content = changed_bytes(content, [content], rng)
    return {f"list.{rng.choice(ENDINGS)}": content or b"x", f"private.{suffix}": f"../private.{suffix}"}


def box(kind, *contents):
    "A box of an mp4."
    inner = b"".join(contents)
    return struct.pack(">I", 8 + len(inner)) + kind + inner


def with_reference(data, reference, within=(b"moov", b"trak", b"mdia", b"minf", b"dinf")):
    "An mp4 whose tracks name another file; boxes around the name grow with it."
    found, at = b"", 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        size = size if size >= 8 else len(data) - at
        inner = data[at + 8 : at + size]
        if kind == b"dref":
            inner = reference
        found += box(kind, with_reference(inner, reference) if kind in within else inner)
        at += size
    return found


def alias(place, rng):
    "What QuickTime says of a file elsewhere."
    name, where = place.rpartition("/")[2].encode(), place.encode()
    levels = struct.pack(">hh", rng.choice((1, 2, -1)), rng.choice((1, 2, 3)))
    record = bytes(10) + b"\x04" + b"disk".ljust(27, b"\0") + bytes(12) + bytes([min(len(name), 63)])
    record += name[:63].ljust(63, b"\0") + bytes(16) + levels + bytes(16)
    for kind, said in ((0, b"folder"), (2, where)):
        record += struct.pack(">hH", kind, len(said)) + said + bytes(len(said) % 2)
    return record + b"\xff\xff\0\0"


def elsewhere(cases, rng):
    "A clip whose pictures are said to be in a private file."
    case, suffix = dict(rng.choice(cases)), rng.choice(("mp4", "mp4", "ts"))
    name, place = next(iter(case)), rng.choice((*PLACES[:5], "disk:private.{}", "/disk/private.{}")).format(suffix)
    said = place.encode() + b"\0"
    ways = [(b"url ", said), (b"urn ", b"a\0" + said), (b"alis", alias(place, rng)), (b"alis", alias(place, rng))]
    kind, entry = rng.choice((*ways, (b"rsrc", said)))
    content = case[name]
    if rng.random() < 0.2:  # a movie that is nothing but a reference
        content = box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(
            b"moov", box(b"rmra", box(b"rmda", box(b"rdrf", bytes(4) + kind + struct.pack(">I", len(entry)) + entry)))
        )
    else:
        content = with_reference(content, struct.pack(">II", 0, 1) + box(kind, bytes(4), entry))
    content = changed_bytes(content, [content], rng) if rng.random() < 0.2 else content
    return {name: content or b"x", f"private.{suffix}": f"../private.{suffix}"}


def bent_matrix(matrix, rng):
    "A homography that no camera has."
    rows, what = [list(row) for row in matrix], rng.randrange(14)
    k, j, sign = rng.randrange(3), rng.randrange(3), rng.choice((-1, 1))
    if what == 0:
        rows[k][j] *= sign * 10 ** rng.uniform(-12, 12)
    elif what == 1:
        rows[k][j] = rng.choice((1e308, -1e308, math.nan, math.inf, 5e-324, 0, 1e16, FAR))
    elif what == 2:
        rows[k] = rows[j]
    elif what == 3:
        rows[k] = [-value for value in rows[k]]
    elif what == 4:
        rows[2] = [sign * 10 ** rng.uniform(-2, 2), rng.choice((0, 1)) * rng.uniform(-2, 2), 1]
    elif what == 5:
        rows = [[value * rng.choice((1e300, 1e-300, -1, 1e12)) for value in row] for row in rows]
    elif what == 6:
        rows = [[0.0] * 3] * 3
    elif what == 7:
        zoom = 10 ** rng.uniform(-2, 2)
        rows[0], rows[1] = [value * zoom for value in rows[0]], [value * zoom for value in rows[1]]
    elif what == 8:
        c, s = math.cos(angle := rng.uniform(-math.pi, math.pi)), math.sin(angle)
        rows = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    elif what == 9:
        rows[k % 2][2] = sign * 10 ** rng.uniform(-1, 5)
    elif what == 10:
        rows = [[rng.gauss(0, 1) for _ in range(3)] for _ in range(3)]
    else:  # what a wild camera might have
        rows = [[value + rng.gauss(0, 0.3) for value in row] for row in rows[:2]] + [[rng.gauss(0, 0.4), 0, 1]]
    return rows


def bent(cases, rng):
    "A saved path that is one by its form, whose camera does what none does."
    case = dict(rng.choice(cases))
    values = json.loads(case["path.json"])
    matrices, times = values["homographies"], values["times"]
    everywhere = rng.random() < 0.3
    for k in range(len(matrices)) if everywhere else rng.sample(range(len(matrices)), rng.choice((1, 1, 2))):
        matrices[k] = bent_matrix(matrices[k], rng)
    if rng.random() < 0.15:
        k = rng.randrange(len(times))
        times[k] = rng.choice((times[k - 1], -1, 1e9, 1e-12, times[k] + 1e-9, math.nan, 1e300))
    if rng.random() < 0.15:
        values["aspect"] = rng.choice((0.01, 0.1, 1, 10, 100, 0, -1, math.nan, 1e9))
    if rng.random() < 0.15:
        values["reliable"] = [rng.random() < 0.3 for _ in values["reliable"]]
    return case | {"path.json": to_text(values).encode()}


AXES = "pan-left pan-right tilt-up tilt-down zoom-in zoom-out roll-left roll-right handheld static".split()
AMOUNTS = "0 0.0001 1 1.2 8 10% 100% 59deg 60deg 170deg 1e9 99999999999 1000x .5 -3 5deg 10%% nan 1.0000001 ९".split()
CURVES = "linear ease ease-in ease-out bounce overshoot x".split()


def phrase(rng):
    "A motion in words."
    terms, strange = [], rng.random() < 0.3
    for _ in range(rng.choice((1, 1, 2, 3, 40) if strange else (1, 1, 2, 3))):
        amount = rng.choice(AMOUNTS) if strange or rng.random() < 0.2 else ""
        curve = rng.choice(("", "", *(CURVES if strange else CURVES[:2])))
        terms += [" ".join(filter(None, (rng.choice(AXES), amount, curve)))]
        terms += [rng.choice((" + ", " then ", "+", " THEN ", *((", ", "\n", "++") if strange else ())))]
    return "".join(terms[:-1])


def absurd(_, rng):
    "Words and options with absurd numbers."
    numbers = (-1.0, 0.0, 1e-9, 0.01, 0.5, 1.0, 3.0, 100.0, 1e6, 1e9, 1e300, math.nan, math.inf)

    def number(usual):
        return usual if rng.random() < 0.85 else rng.choice(numbers)

    values = dict(
        words=phrase(rng) if rng.random() < 0.95 else near(phrase(rng), rng),
        num_frames=rng.choice((2, 5, 16)) if rng.random() < 0.7 else rng.choice((None, 1, 0, -3, 400, 100_001, 10**12)),
        aspect=rng.choice((1.78, 1.0, 0.56, 0.001, 0.01, 100.0, 1000.0)),
        duration=number(2.0),
        seed=rng.choice((0, 1, 2**63)),
        change=dict(
            reverse=rng.random() < 0.2,
            amplitude=number(1.0),
            curve=rng.choice(("linear", "linear", "linear", "ease", "x")),
            smooth=number(0.0),
            speed=number(1.0),
            loop=rng.random() < 0.2,
        ),
    )
    return {"words.json": json.dumps(values).encode()}
