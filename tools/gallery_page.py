"""The gallery of a small benchmark in a real browser: python tools/gallery_page.py [--output nbs/results/gallery]

A made-up benchmark, whose methods copy the camera's motion wholly, in part and not at all, is opened from disk in
Chromium. With --output the gallery of nbs/results/bench is looked at, too, and pictures are kept."""

import json
import sys
from pathlib import Path

from project import NBS, ROOT, screenshot

sys.path.insert(0, str(ROOT))
from browser import HOSTILE, launch, look, main, new_page, none_serious, until

METHODS = dict(ours=1.0, slower=0.4, still=0.0, odd=0.8)
MOVES = {"pan right": dict(yaw=14), "tilt up": dict(pitch=7), "roll right": dict(roll=12)}
NUM_SCENES = 5
NUM_FRAMES = 16
CLIPS = ("pan 0", "roll2", "tilt1")  # In the order of the page
# Most seconds between the videos of a row, until the first of them ends
APART = """film => new Promise(done => {
  const films = [...film.closest('.group').querySelectorAll('video')];
  let most = 0, before = film.currentTime;
  const look = () => {
    if (film.ended || film.currentTime < before) return done(most);
    before = film.currentTime;
    const times = films.filter(other => !other.ended).map(other => other.currentTime);
    most = Math.max(most, Math.max(...times) - Math.min(...times));
    requestAnimationFrame(look);
  };
  look();
})"""


def score(c, s, m, share, method):
    "The measured columns of one made-up video: of clip c, scene s and method m."
    ratio = round(1 - share + 0.01 * (4 * (5 * c + s) % 15), 3)
    return dict(
        ratio=None if method == "still" and s == 4 else ratio,
        still_score=9.0,
        camera_score=round(9 * (1 - share) + 0.1 * s, 3),
        ssim=0.9 - 0.1 * m - 0.01 * s,
        features=0.8,
    )


def benchmark(folder):
    """A folder as `cammimic bench` leaves it: three clips, five scenes, four methods; one method has no video of one
    clip."""
    from cammimic.benchmark.runner import COLUMNS, write_table
    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_image, write_video

    photos = [read_image(path) for path in sorted((ROOT / "nbs/sources/large").glob("*.jpg"))[:NUM_SCENES]]
    rows = []

    def clip(photo, move, share):
        part = CameraMove(**{axis: share * value for axis, value in move.items()})
        return render_photo(photo, part, num_frames=NUM_FRAMES, size=(160, 96), supersample=1)

    for c, (motion, move) in enumerate(MOVES.items()):
        name = f"{motion[:4]}{c}"
        write_video(folder / f"references/{name}.mp4", clip(photos[0], move, 1.0), fps=8)
        for s, photo in enumerate(photos):
            write_image(folder / f"scenes/scene{s}.jpg", clip(photo, move, 0.0)[0])
            for m, (method, share) in enumerate(METHODS.items()):
                if not (method == "odd" and c == 1):
                    write_video(folder / f"{method}/{name}+scene{s}-0.mp4", clip(photo, move, share), fps=8)
                about = dict(method=method, clip=name, scene=f"scene{s}", motion=motion, seed=0)
                speed = "slow" if c else "fast"
                rows.append(dict.fromkeys(COLUMNS) | about | dict(speed=speed) | score(c, s, m, share, method))
    write_table(rows, str(folder))
    return rows


def group(place=0):
    "A row of the page, as an expression."
    return f'document.querySelectorAll(".group")[{place}]'


def films(place=0):
    "The videos of a row, as an expression."
    return f'[...{group(place)}.querySelectorAll("video")]'


def ready(page, place=0):
    until(page, f"{films(place)}.every(film => film.readyState >= 2 && film.videoWidth > 0)")


def standing_at(page, share, place=0):
    "Wait until all videos of a row stand at a share of their length."
    at = f"Math.abs(film.currentTime - {share}*film.duration) < .02"
    until(page, f"{films(place)}.every(film => film.paused && !film.seeking && {at})")


def scrub(page, share):
    "Move the first row's scrubber."
    change = f'scrub => {{ scrub.value = {share}; scrub.dispatchEvent(new Event("input")); }}'
    page.eval_on_selector(".group input[type=range]", change)
    standing_at(page, share)


def names(page):
    return page.eval_on_selector_all("#groups h2", "heads => heads.map(head => head.textContent)")


def names_are(page, wanted):
    "Wait until the page lists these rows, and no others."
    heads = '[...document.querySelectorAll("#groups h2")].map(head => head.textContent)'
    until(page, f"JSON.stringify({heads}) === JSON.stringify({json.dumps(wanted)})")


def captions(page):
    "What stands below the pictures of the first row."
    return page.locator(".group").first.locator("figcaption").all_inner_texts()


def try_playing(page):
    "Play, pause and move the first row; the most seconds that its videos were apart, which nothing depends on."
    page.click(".group button")
    until(page, f"{films()}.every(film => !film.paused && film.currentTime > 0)")
    apart = page.eval_on_selector(".group video", APART)
    until(page, f"{films()}.every(film => !film.paused && !film.ended)")  # At the end it begins again
    # The reference stands still, another video is ahead: it is brought back, however often it runs on
    page.evaluate(f"{films()}[0].playbackRate = 0")
    page.evaluate(f"{films()}[0].currentTime = .2 * {films()}[0].duration")
    page.evaluate(f"{films()}[1].currentTime = .7 * {films()}[1].duration")
    both = f"{films()}.slice(0, 2).map(film => film.currentTime/film.duration)"
    until(page, f"(([at, other]) => Math.abs(at - other) < 1/{NUM_FRAMES})({both})")
    page.evaluate(f"{films()}[0].playbackRate = 1")
    page.click(".group button")
    until(page, f"{films()}.every(film => film.paused)")
    scrub(page, 0.5)
    return apart


def try_sorting(page, rows):
    "Sorting, filters and methods, against what the table says."
    ordered = sorted((row for row in rows if row["method"] == "ours"), key=lambda row: row["ratio"])
    page.select_option("#measure", "ratio")
    page.select_option("#of", "ours")
    assert names(page)[0] == f"{ordered[0]['clip']} + {ordered[0]['scene']}"
    page.select_option("#order", "-1")
    assert names(page)[0] == f"{ordered[-1]['clip']} + {ordered[-1]['scene']}"
    page.select_option("#measure", "ssim")
    page.select_option("#order", "1")
    assert names(page)[0].endswith("scene0")
    page.select_option("#motion", "tilt up")
    names_are(page, [f"tilt1 + scene{s}" for s in range(NUM_SCENES)])
    assert captions(page) == ["reference: tilt up, slow", "scene", "ours", "slower", "still"]
    page.select_option("#speed", "fast")
    names_are(page, [])
    assert "choose another motion" in page.inner_text("#count")
    page.select_option("#motion", "")
    until(page, f'document.querySelectorAll("#groups h2").length === {NUM_SCENES}')
    page.uncheck("#methods input[value=slower]")
    assert captions(page)[2:] == ["ours", "still", "odd"]


def has_video(row):
    return not (row["method"] == "odd" and row["motion"] == "tilt up")


def try_single_videos(page, rows):
    "Every video by itself, the best first."
    page.select_option("#view", "single")
    page.select_option("#measure", "ratio")
    page.select_option("#speed", "")
    shown = [row for row in rows if row["method"] in ("ours", "odd") and row["ratio"] is not None and has_video(row)]
    best = min(shown, key=lambda row: row["ratio"])
    assert page.inner_text("#count") == "40 videos"
    assert names(page)[0] == f"{best['clip']} + {best['scene']}"
    assert captions(page)[2] == best["method"]
    assert page.locator(".group").first.locator("dl .sorted dd").inner_text() == f"{best['ratio']:.3f}"
    page.select_option("#view", "groups")


def try_means(page):
    "The table of means, by its heads."
    page.click("#heads button[data-id=ratio]")
    first = page.eval_on_selector_all("#means td:first-child", "cells => cells.map(cell => cell.textContent)")
    assert first == ["ours", "odd", "slower", "still"]
    page.click("#heads button[data-id=ratio]")
    assert page.locator("#means td").first.inner_text() == "still"
    assert page.get_attribute("#heads th[aria-sort]", "aria-sort") == "descending"


def try_keys(page):
    "Rows by j and k; playing by p; frames by a comma and a full stop."
    focused = '[...document.querySelectorAll(".group")].indexOf(document.activeElement)'
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.keyboard.press("j")
    until(page, f"{focused} === 0")
    page.keyboard.press("j")
    until(page, f"{focused} === 1")
    ready(page, 1)
    page.keyboard.press("p")
    until(page, f"{films(1)}.every(film => film.currentTime > 0)")
    page.keyboard.press("p")
    until(page, f"{films(1)}.every(film => film.paused)")
    page.evaluate(f"{films(1)}.forEach(film => {{ film.currentTime = 4.5/{NUM_FRAMES}*film.duration; }})")
    standing_at(page, 4.5 / NUM_FRAMES, 1)
    page.keyboard.press(".")
    standing_at(page, 5.5 / NUM_FRAMES, 1)
    page.keyboard.press(",")
    standing_at(page, 4.5 / NUM_FRAMES, 1)
    page.keyboard.press("k")
    until(page, f"{focused} === 0")


def try_gallery(page, rows):
    "Everything a reader can do; the most seconds that videos were apart."
    everything = [f"{clip} + scene{s}" for clip in CLIPS for s in range(NUM_SCENES)]
    some = names(page)
    assert some == everything[: len(some)]
    last = group(len(some) - 1)
    far = f"{last}.getBoundingClientRect().top > innerHeight + 600"
    assert page.evaluate(f'{far} && !{last}.querySelector("video").src'), "a video far below is loaded"
    page.evaluate('window.scrolled = false; addEventListener("scrollend", () => { scrolled = true; })')
    page.keyboard.press("End")
    until(page, "scrolled && scrollY > 0")
    names_are(page, everything)
    page.keyboard.press("Home")
    until(page, "scrollY === 0")
    apart = try_playing(page)
    try_sorting(page, rows)
    try_single_videos(page, rows)
    try_means(page)
    try_keys(page)
    return apart


def look_at_results(opened, output, findings):
    "Pictures of the gallery of the benchmark that was run."
    from cammimic.benchmark.gallery import write_gallery

    first = ("cammimic", "motiondirector", "tune_a_video", "naive_black", "cammimic@noise", "cammimic@weak")
    address = Path(write_gallery(str(NBS / "results/bench"), first=first)["page"]).as_uri()
    screen = dict(viewport=dict(width=1280, height=1100))
    phone = dict(viewport=dict(width=360, height=900), has_touch=True, is_mobile=True)
    for name, context in dict(page=screen, phone=phone).items():
        page = opened(address, **context)
        if name == "phone":
            page.evaluate('document.querySelector(".group").scrollIntoView()')
        ready(page)
        look(page, f"bench, {name}", findings)
        scrub(page, 0.95)
        screenshot(page, output / f"{name}.jpg")


def take(folder, output=None, short=False):
    "Open the gallery; returns what was found. A short walk leaves out the phone."
    from playwright.sync_api import sync_playwright

    from cammimic.benchmark.gallery import write_gallery

    rows = benchmark(folder)
    troubles, foreign, findings = [], [], []
    title = f"Moves {HOSTILE}"
    written = write_gallery(str(folder), title=title, first=("ours", "slower", "still", "odd"))
    address = Path(written["page"]).as_uri()

    def note_trouble(message):
        if message.type in ("error", "warning"):
            troubles.append(message.text)

    def note_foreign(request):
        if not request.url.startswith(("file:", "data:")):
            foreign.append(request.url)

    with sync_playwright() as playwright:
        chrome = launch(playwright)

        def opened(url, **context):
            page = new_page(chrome, **context)
            page.on("console", note_trouble)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("request", note_foreign)
            page.goto(url)
            return page

        page = opened(address, viewport=dict(width=1280, height=900))
        assert page.inner_text("h1") == title
        assert page.locator("img[src=x]").count() == 0
        ready(page)
        look(page, "gallery", findings)
        apart = try_gallery(page, rows)
        look(page, "sorted", findings)
        if not short:
            phone = opened(address, has_touch=True, is_mobile=True, viewport=dict(width=360, height=740))
            ready(phone)
            look(phone, "phone", findings)
        if output:
            look_at_results(opened, output, findings)
        version = chrome.version
        chrome.close()

    assert not troubles and not foreign, (troubles, foreign)
    return dict(
        chromium=version,
        page_bytes=Path(written["page"]).stat().st_size,
        videos=written["videos"],
        apart_ms=round(1000 * apart),
        axe_minor=none_serious(findings),
        axe_serious=0,
        foreign=len(foreign),
        troubles=len(troubles),
    )


if __name__ == "__main__":
    main(take, __doc__)
