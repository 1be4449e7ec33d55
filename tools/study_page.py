"""A study taken in a real browser, from the first click to the analysis: python tools/study_page.py [--output
nbs/results/study]

Eight made-up people answer about three examples: with the mouse, with the keyboard, on a phone, with a reload in the
middle, one of them without reading. What the analysis says must be what they chose. axe-core looks at every screen."""

import contextlib
import functools
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

from project import ROOT, screenshot

sys.path.insert(0, str(ROOT))
from browser import HOSTILE, launch, look, main, new_page, none_serious, until

METHODS = dict(ours=1.0, slower=0.4, still=0.0)
MOVES = {"castle": dict(yaw=14), "beach & <b>sea": dict(pitch=7), "garden": dict(roll=12)}
SETS = len(MOVES) + 1  # One set more only checks that the questions are read
FILMS = '[...document.querySelectorAll("#trial video")]'


def example_folder(folder):
    "Three examples whose methods copy the camera's motion wholly, in part and not at all."
    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_image, write_video

    photos = [read_image(path) for path in sorted((ROOT / "nbs/sources/large").glob("*.jpg"))[: len(MOVES) + 1]]

    def clip(photo, move, share):
        part = CameraMove(**{axis: share * value for axis, value in move.items()})
        return render_photo(photo, part, num_frames=24, size=(320, 180), supersample=1)

    for number, (name, move) in enumerate(MOVES.items()):
        place = folder / name
        write_video(place / "reference.mp4", clip(photos[number], move, 1.0), fps=12)
        write_image(place / "scene.jpg", clip(photos[number + 1], move, 0.0)[0])
        for method, share in METHODS.items():
            write_video(place / f"{method}.mp4", clip(photos[number + 1], move, share), fps=12)


class Taker:
    "One person before the page."

    def __init__(self, page, key, wanted):
        self.page = page
        self.key = key
        self.wanted = wanted
        self.seen = []  # The order of the methods in each set
        self.done = 0  # Sets answered

    def until(self, expression):
        until(self.page, expression)

    def place_says(self):
        "Wait until the page counts the sets that are answered."
        said = json.dumps(f"{self.done} of {SETS} sets done")
        self.until(f'document.querySelector("#place").textContent === {said}')

    def methods(self):
        "Methods in the order shown, by the key."
        names = "films => films.map(film => film.src.split('/').pop().split('.')[0])"
        return [self.key["videos"][name][1] for name in self.page.eval_on_selector_all("#videos video", names)]

    def loaded(self):
        self.until(f"{FILMS}.every(film => film.readyState >= 2 && film.videoWidth > 0)")
        self.until('document.querySelector("#scene").naturalWidth > 0')

    def place(self, question, careless=False):
        "Which video this person chooses."
        check = self.page.locator("#check")
        if check.is_visible():
            told = "ABC".index(check.inner_text().split("please answer ")[1][0])
            return (told + 1) % 3 if careless else told
        return self.methods().index(self.wanted[question])

    def begin(self):
        self.page.click("#begin")
        self.until('document.querySelector("#start-wrong").textContent.includes("tick the box")')
        self.page.check("#agree")
        self.page.click("#begin")
        self.until('!document.querySelector("#trial").hidden')

    def answer(self, keyboard=False, careless=False):
        "Answer a set."
        self.loaded()
        for number, question in enumerate(("scene", "motion", "overall")):
            place = self.place(question, careless)
            if keyboard:
                self.page.keyboard.press("abc"[place])
            else:
                self.page.locator("#questions fieldset").nth(number).locator("label").nth(place).click()
            self.until(f"document.querySelector(\"input[name=q{number}][value='{place}']\").checked")
        if not self.page.locator("#check").is_visible():
            self.seen.append(self.methods())
        if keyboard:
            self.page.keyboard.press("Enter")
        else:
            self.page.click("#next")
        self.done += 1
        self.place_says()

    def save(self, folder):
        with self.page.expect_download() as waiting:
            self.page.click("#save")
        target = folder / waiting.value.suggested_filename
        waiting.value.save_as(target)
        assert self.page.input_value("#text").splitlines() == target.read_text().splitlines()
        return target


@contextlib.contextmanager
def served(folder):
    "A web server for a folder, on a free port: its address."

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def first_person(one, output, findings):
    """With the mouse, from disk: forgets an answer, reloads in the middle, stops and goes on, deletes everything at the
    end."""
    page = one.page
    look(page, "start", findings)
    one.begin()
    one.loaded()
    one.until('document.querySelector("#videos video").currentTime > .2')
    look(page, "set", findings)
    page.click("#next")
    one.until('document.querySelector("#trial-wrong").textContent.includes("Please answer")')
    if output:
        screenshot(page, output / "page.jpg", full_page=True)
    one.answer()
    page.reload()
    one.place_says()
    page.click("#pause")
    one.until(f"{FILMS}.every(film => film.paused)")
    page.click("#play")
    one.until(f"{FILMS}.every(film => !film.paused)")
    one.answer()
    page.click("#stop")
    page.click("#resume")
    one.answer()
    one.answer()
    one.until('!document.querySelector("#end").hidden')
    assert page.inner_text("#thanks").endswith(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    look(page, "end", findings)


def second_person(two):
    "With the keyboard alone, and videos that stand still until asked."
    keyboard = two.page.keyboard
    keyboard.press("Tab")
    keyboard.press("Space")
    two.until('document.querySelector("#agree").checked')
    keyboard.press("Tab")
    keyboard.press("Enter")
    two.until('!document.querySelector("#trial").hidden')
    two.loaded()
    assert two.page.evaluate(f"{FILMS}.every(film => film.paused && film.currentTime === 0)"), "motion is not reduced"
    keyboard.press("p")
    two.until('document.querySelector("#videos video").currentTime > 0')
    for _ in range(SETS):
        two.answer(keyboard=True)


def third_person(three, output, findings):
    "On a phone, without reading."
    look(three.page, "start, phone", findings)
    three.begin()
    three.loaded()
    look(three.page, "set, phone", findings)
    if output:
        screenshot(three.page, output / "phone.jpg", full_page=True)
    for _ in range(SETS):
        three.answer(careless=True)
    look(three.page, "end, phone", findings)


def undecided_person(other, folder, findings):
    "In a study with ties: no preference, once with the mouse and once by its key; the file of the answers."
    other.begin()
    for number in range(SETS):
        other.loaded()
        if other.page.locator("#check").is_visible():
            other.answer()
            continue
        assert other.page.locator("#tie-key").is_visible()
        other.page.locator("#questions fieldset").nth(0).get_by_text("No preference").click()
        other.page.keyboard.press("0")
        other.until("document.querySelector(\"input[name=q1][value='tie']\").checked")
        other.page.locator("#questions fieldset").nth(2).locator("label").nth(0).click()
        if not number:
            look(other.page, "set with ties", findings)
        other.page.click("#next")
        other.done += 1
        other.place_says()
    return other.save(folder)


def analyse(answers, folder, study="study"):
    "What `cammimic study analyse` finds."
    command = [Path(sys.executable).with_name("cammimic"), "study", "analyse", answers]
    options = ["--key", folder / f"{study}.key.json", "--output", folder / "report.html", "--json"]
    return json.loads(subprocess.run([*command, *options], cwd=ROOT, text=True, capture_output=True, check=True).stdout)


def take(folder, output=None, short=False):
    "Make a study, let eight people take it (four for a short walk), analyse what they saved; returns what was found."
    from playwright.sync_api import sync_playwright

    from cammimic.study.questionnaire import make_study, read_examples

    example_folder(folder / "examples")
    examples = read_examples(folder / "examples")
    thanks = f"Send the file to us. {HOSTILE}"
    index = make_study(examples, folder / "study", num_examples=len(MOVES), thanks=thanks, seed=5)
    assert index.stat().st_size <= 200_000
    key = json.loads((folder / "study.key.json").read_text())
    answers = folder / "answers"
    answers.mkdir()
    troubles, foreign, findings, orders = [], [], [], []

    with served(folder / "study") as address, sync_playwright() as playwright:
        chrome = launch(playwright)
        local = f"{address}index.html"

        def note_trouble(message):
            if message.type in ("error", "warning"):
                troubles.append(message.text)

        def note_foreign(request):
            if not request.url.startswith((folder.as_uri(), address, "blob:")):
                foreign.append(request.url)

        def person(number, url, **context):
            page = new_page(chrome, **context)
            page.on("console", note_trouble)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("request", note_foreign)
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(url)
            scene = "still" if number % 2 else "ours"
            overall = "slower" if number == 3 else "ours"
            return Taker(page, key, dict(scene=scene, motion="ours", overall=overall))

        one = person(1, index.as_uri(), viewport=dict(width=1280, height=1000))
        first_person(one, output, findings)
        one.save(answers)
        one.page.reload()
        one.place_says()
        one.page.click("#forget")
        one.until('!document.querySelector("#start").hidden')
        assert one.page.locator("#agree").is_visible()

        two = person(2, f"{local}?participant=2", reduced_motion="reduce", viewport=dict(width=900, height=900))
        second_person(two)
        assert two.save(answers).name == "answers-2.csv"

        three = person(3, local, has_touch=True, is_mobile=True, viewport=dict(width=360, height=740))
        third_person(three, output, findings)
        careless = three.save(answers).stem.removeprefix("answers-")

        for number in range(4, 5 if short else 9):
            other = person(number, f"{local}?participant={number}")
            other.begin()
            for _ in range(SETS):
                other.answer()
            other.save(answers)
            orders += other.seen
            other.page.context.close()

        make_study(examples, folder / "tied", num_examples=len(MOVES), ties=True, seed=5)
        undecided = person(9, (folder / "tied" / "index.html").as_uri())
        undecided.key = json.loads((folder / "tied.key.json").read_text())
        tied = analyse(undecided_person(undecided, folder, findings), folder, "tied")["ties"]
        found = analyse(answers, folder)
        report = new_page(chrome, viewport=dict(width=1000, height=900))
        report.goto((folder / "report.html").as_uri())
        look(report, "report", findings)
        if output:
            screenshot(report, output / "report.jpg", full_page=True)
        version = chrome.version
        chrome.close()

    assert tied == dict(scene=3, motion=3, overall=0), tied
    assert found["excluded"] == [careless], found
    assert found["study"] == key["study"], found
    assert found["reading"] == dict(spellings={}, repeated=0, skipped=0, rejected=0, unnamed=0), found
    kept = 3 if short else 7  # All but the careless one
    assert (found["participants"], found["answers"], found["missing"]) == (kept, 9 * kept, []), found
    shares = {}
    for question, row in found["shares"].items():
        shares[question] = {method: round(share, 4) for method, share in row.items()}
    only_ours = dict(ours=1.0, slower=0.0, still=0.0)
    still = (1 if short else 3) / kept
    scene = dict(ours=round(1 - still, 4), slower=0.0, still=round(still, 4))
    assert shares == dict(scene=scene, motion=only_ours, overall=only_ours), shares
    assert not troubles and not foreign, (troubles, foreign)
    return dict(
        chromium=version,
        page_bytes=index.stat().st_size,
        participants=found["participants"],
        answers=found["answers"],
        excluded=len(found["excluded"]),
        shares=shares,
        axe_minor=none_serious(findings),
        axe_serious=0,
        first_shown={method: sum(order[0] == method for order in orders) for method in METHODS},
    )


if __name__ == "__main__":
    main(take, __doc__)
