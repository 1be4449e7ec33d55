"""A study taken in a real browser, from the first click to the analysis: python tools/study_page.py [--output nbs/results/study]

Eight made-up people answer about three examples: with the mouse, with the keyboard, on a phone, with a reload in the middle,
one of them without reading. What the analysis says must be what they chose. axe-core looks at every screen.
"""
import argparse, functools, http.server, json, shutil, subprocess, sys, tempfile, threading, time
from pathlib import Path
from project import ROOT
sys.path.insert(0, str(ROOT))

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required']
HOSTILE = '<img src=x onerror="document.title=1">'
METHODS = dict(ours=1., slower=.4, still=0.)

def browser_path():
    "Where a Chromium is, or None."
    return next(filter(None, map(shutil.which, BROWSERS)), None)

def example_folder(folder):
    "Three examples whose methods copy the camera's motion wholly, in part and not at all."
    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_image, write_video
    photos = [read_image(path) for path in sorted((ROOT/'nbs/sources/large').glob('*.jpg'))[:4]]
    for number, (name, move) in enumerate({'castle': dict(yaw=14), 'beach & <b>sea': dict(pitch=7), 'garden': dict(roll=12)}.items()):
        place = folder/name
        def clip(photo, share): return render_photo(photo, CameraMove(**{axis: share*value for axis, value in move.items()}), num_frames=24, size=(320, 180), supersample=1)
        write_video(place/'reference.mp4', clip(photos[number], 1.), fps=12)
        write_image(place/'scene.jpg', clip(photos[number+1], 0.)[0])
        for method, share in METHODS.items(): write_video(place/f'{method}.mp4', clip(photos[number+1], share), fps=12)

def until(page, expression, seconds=20):
    "Wait until something is true of the page, whose policy forbids Playwright's own way of waiting."
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f'not so after {seconds} s: {expression}'
        page.wait_for_timeout(50)

class Taker:
    "One person before the page."
    def __init__(self, page, key, wanted): self.page, self.key, self.wanted, self.seen, self.axe = page, key, wanted, [], []
    def look(self, screen):
        "What axe-core finds, of serious or critical impact."
        from axe_playwright_python.sync_playwright import Axe
        found = Axe().run(self.page).response['violations']
        self.axe += [(screen, rule['id'], rule['impact'], rule['nodes'][0]['html'][:120]) for rule in found]
        wide = self.page.evaluate('document.documentElement.scrollWidth') - self.page.viewport_size['width']
        assert wide <= 0, f'{screen} scrolls sideways by {wide} px'
    def methods(self):
        "Methods in the order shown, by the key."
        sources = self.page.eval_on_selector_all('#videos video', 'films => films.map(film => film.src.split("/").pop().split(".")[0])')
        return [self.key['videos'][source][1] for source in sources]
    def loaded(self):
        until(self.page, '[...document.querySelectorAll("#trial video")].every(film => film.readyState >= 2 && film.videoWidth > 0)')
        assert self.page.evaluate('document.querySelector("#scene").naturalWidth') > 0
    def place(self, question, careless=False):
        "Which video this person chooses."
        check = self.page.locator('#check')
        if check.is_visible():
            told = 'ABC'.index(check.inner_text().split('please answer ')[1][0])
            return (told + 1) % 3 if careless else told
        return self.methods().index(self.wanted[question])
    def begin(self):
        self.page.click('#begin')
        assert 'tick the box' in self.page.inner_text('#start-wrong')
        self.page.check('#agree'); self.page.click('#begin')
    def answer(self, keyboard=False, careless=False):
        "Answer a set."
        self.loaded()
        for number, question in enumerate(('scene', 'motion', 'overall')):
            place = self.place(question, careless)
            if keyboard: self.page.keyboard.press('abc'[place])
            else: self.page.locator('#questions fieldset').nth(number).locator('label').nth(place).click()
        if not self.page.locator('#check').is_visible(): self.seen.append(self.methods())
        self.page.keyboard.press('Enter') if keyboard else self.page.click('#next')
    def save(self, folder):
        with self.page.expect_download() as waiting: self.page.click('#save')
        target = folder/waiting.value.suggested_filename
        waiting.value.save_as(target)
        assert self.page.input_value('#text').splitlines() == target.read_text().splitlines()
        return target

def serve(folder):
    "A web server for a folder, on a free port."
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def take(folder, output=None):
    "Make a study, let eight people take it, analyse what they saved; returns what was found."
    from playwright.sync_api import sync_playwright
    from cammimic.study.questionnaire import make_study, read_examples
    example_folder(folder/'examples')
    index = make_study(read_examples(folder/'examples'), folder/'study', num_examples=3, thanks=f'Send the file to us. {HOSTILE}', seed=5)
    key, answers, troubles, foreign, findings, orders = json.loads((folder/'study.key.json').read_text()), folder/'answers', [], [], [], []
    assert index.stat().st_size <= 200_000
    answers.mkdir()
    server = serve(folder/'study')
    local = f'http://127.0.0.1:{server.server_address[1]}/index.html'
    def person(chrome, number, url, **context):
        page = chrome.new_context(accept_downloads=True, **context).new_page()
        page.on('console', lambda message: troubles.append(message.text) if message.type in ('error', 'warning') else None)
        page.on('pageerror', lambda error: troubles.append(str(error)))
        page.on('request', lambda request: None if request.url.startswith((folder.as_uri(), local[:-10], 'blob:')) else foreign.append(request.url))
        page.on('dialog', lambda dialog: dialog.accept())
        page.goto(url)
        wanted = dict(scene='still' if number % 2 else 'ours', motion='ours', overall='slower' if number == 3 else 'ours')
        return Taker(page, key, wanted)
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        # The first: mouse, from disk, forgets an answer, reloads in the middle
        one = person(chrome, 1, index.as_uri(), viewport=dict(width=1280, height=1000))
        one.look('start'); one.begin(); one.loaded()
        until(one.page, 'document.querySelector("#videos video").currentTime > .2')
        one.look('set')
        one.page.click('#next'); assert 'Please answer' in one.page.inner_text('#trial-wrong')
        if output: one.page.screenshot(path=output/'page.jpg', type='jpeg', quality=70, full_page=True)
        one.answer()
        one.page.reload()
        assert one.page.inner_text('#place') == '1 of 4 sets done'
        one.page.click('#pause'); assert one.page.evaluate('[...document.querySelectorAll("video")].every(film => film.paused)')
        one.page.click('#play'); until(one.page, '[...document.querySelectorAll("video")].every(film => !film.paused)')
        one.answer(); one.page.click('#stop'); one.page.click('#resume')
        one.answer(); one.answer()
        assert one.page.inner_text('#thanks').endswith(HOSTILE) and one.page.locator('img[src=x]').count() == 0
        one.look('end'); one.save(answers); one.page.reload(); assert one.page.inner_text('#place') == '4 of 4 sets done'
        one.page.click('#forget'); assert one.page.locator('#agree').is_visible()
        # The second: keyboard alone, still videos, from a server, by a link with a number
        two = person(chrome, 2, local + '?participant=2', reduced_motion='reduce', viewport=dict(width=900, height=900))
        two.page.keyboard.press('Tab'); two.page.keyboard.press('Space'); two.page.keyboard.press('Tab'); two.page.keyboard.press('Enter')
        two.loaded(); assert two.page.evaluate('[...document.querySelectorAll("video")].every(film => film.paused)')
        two.page.keyboard.press('p'); until(two.page, 'document.querySelector("#videos video").currentTime > 0')
        for _ in range(4): two.answer(keyboard=True)
        assert two.save(answers).name == 'answers-2.csv'
        # The third: on a phone, without reading
        three = person(chrome, 3, local, has_touch=True, is_mobile=True, viewport=dict(width=360, height=740))
        three.look('start, phone'); three.begin(); three.loaded(); three.look('set, phone')
        if output: three.page.screenshot(path=output/'phone.jpg', type='jpeg', quality=70, full_page=True)
        for _ in range(4): three.answer(careless=True)
        three.look('end, phone'); careless = three.save(answers).stem.removeprefix('answers-')
        for number in range(4, 9):
            other = person(chrome, number, f'{local}?participant={number}')
            other.begin()
            for _ in range(4): other.answer()
            other.save(answers); orders += other.seen
        for taker in (one, two, three): findings += taker.axe
        analysed = subprocess.run([Path(sys.executable).with_name('cammimic'), 'study', 'analyse', answers, '--key', folder/'study.key.json', '--output', folder/'report.html', '--json'], cwd=ROOT, text=True, capture_output=True, check=True)
        report = chrome.new_page(viewport=dict(width=1000, height=900))
        report.goto((folder/'report.html').as_uri())
        reader = Taker(report, key, {})
        reader.look('report')
        findings += reader.axe
        if output: report.screenshot(path=output/'report.jpg', type='jpeg', quality=70, full_page=True)
        version = chrome.version
        chrome.close()
    server.shutdown()
    found = json.loads(analysed.stdout)
    shares = {question: {method: round(share, 4) for method, share in row.items()} for question, row in found['shares'].items()}
    assert found['excluded'] == [careless] and found['participants'] == 7 and found['answers'] == 63 and not found['missing'], found
    assert shares['motion'] == dict(ours=1., slower=0., still=0.) and shares['scene'] == dict(ours=round(4/7, 4), slower=0., still=round(3/7, 4)) and shares['overall'] == dict(ours=1., slower=0., still=0.), shares
    serious = [finding for finding in findings if finding[2] in ('serious', 'critical')]
    assert not serious and not troubles and not foreign, (serious, troubles, foreign)
    return dict(chromium=version, page_bytes=index.stat().st_size, participants=found['participants'], answers=found['answers'], excluded=len(found['excluded']), shares=shares, axe_serious=0, axe_minor=sorted({f"{screen}: {rule}" for screen, rule, _, _ in findings}), first_shown={method: sum(order[0] == method for order in orders) for method in METHODS})

def main(take, about):
    "Run `take` on a folder of its own; print what it found, and keep it with the pictures where --output is given."
    parser = argparse.ArgumentParser(description=about.split('\n')[0])
    parser.add_argument('--output')
    output = parser.parse_args().output
    if browser_path() is None: sys.exit('a Chromium is needed: apt-get install chromium')
    if output: Path(output).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder: found = take(Path(folder).resolve(), output and Path(output).resolve())
    if output: (Path(output)/'page.json').write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps(found))

if __name__ == '__main__': main(take, __doc__)
