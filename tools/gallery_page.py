"""The gallery of a small benchmark in a real browser: python tools/gallery_page.py [--output nbs/results/gallery]

A made-up benchmark, whose methods copy the camera's motion wholly, in part and not at all, is opened from disk in Chromium.
With --output the gallery of nbs/results/bench is looked at, too, and pictures are kept.
"""
import sys
from pathlib import Path
from project import NBS, ROOT
sys.path.insert(0, str(ROOT))
from study_page import FLAGS, HOSTILE, browser_path, main, until

METHODS = dict(ours=1., slower=.4, still=0., odd=.8)
MOVES = {'pan right': dict(yaw=14), 'tilt up': dict(pitch=7), 'roll right': dict(roll=12)}

def benchmark(folder):
    "A folder as cammimic bench leaves it: three clips, five scenes, four methods; the videos of one method are missing on one clip."
    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.benchmark.runner import COLUMNS, write_table
    from cammimic.geometry.video import read_image, write_image, write_video
    photos, rows = [read_image(path) for path in sorted((ROOT/'nbs/sources/large').glob('*.jpg'))[:5]], []
    def clip(photo, move, share): return render_photo(photo, CameraMove(**{axis: share*value for axis, value in move.items()}), num_frames=16, size=(160, 96), supersample=1)
    for c, (motion, move) in enumerate(MOVES.items()):
        write_video(folder/f'references/{motion[:4]}{c}.mp4', clip(photos[0], move, 1.), fps=8)
        for s, photo in enumerate(photos):
            write_image(folder/f'scenes/scene{s}.jpg', clip(photo, move, 0.)[0])
            for m, (method, share) in enumerate(METHODS.items()):
                if not (method == 'odd' and c == 1): write_video(folder/f'{method}/{motion[:4]}{c}+scene{s}-0.mp4', clip(photo, move, share), fps=8)
                rows.append(dict.fromkeys(COLUMNS) | dict(method=method, clip=f'{motion[:4]}{c}', scene=f'scene{s}', motion=motion, speed='slow' if c else 'fast', seed=0, ratio=None if method == 'still' and s == 4 else round(1 - share + .01*(4*(5*c + s) % 15), 3), still_score=9., camera_score=round(9*(1 - share) + .1*s, 3), ssim=.9 - .1*m - .01*s, features=.8))
    write_table(rows, str(folder))
    return rows

def look(page, screen, findings):
    "What axe-core finds, and whether the page scrolls sideways."
    from axe_playwright_python.sync_playwright import Axe
    for rule in Axe().run(page).response['violations']: findings.append((screen, rule['id'], rule['impact'], rule['nodes'][0]['html'][:160]))
    wide = page.evaluate('document.documentElement.scrollWidth') - page.viewport_size['width']
    assert wide <= 0, f'{screen} scrolls sideways by {wide} px'

def names(page): return page.eval_on_selector_all('#groups h2', 'heads => heads.map(head => head.textContent)')

def ready(page, place=0): until(page, f'[...document.querySelectorAll(".group")[{place}].querySelectorAll("video")].every(film => film.readyState >= 2 && film.videoWidth > 0)')

def apart(page, place=0):
    "Most seconds by which the videos of a row are apart."
    return page.evaluate(f'(times => Math.max(...times) - Math.min(...times))([...document.querySelectorAll(".group")[{place}].querySelectorAll("video")].map(film => film.currentTime))')

def try_gallery(page, rows):
    "Everything a reader can do, against what the table says."
    assert names(page) == [f'{clip} + scene{s}' for clip in ('pan 0', 'roll2', 'tilt1') for s in range(5)][:len(names(page))]
    page.keyboard.press('End'); until(page, 'document.querySelectorAll("#groups .group").length === 15'); page.keyboard.press('Home')
    ready(page)
    assert page.evaluate('!document.querySelectorAll(".group")[14].querySelector("video").src || scrollY > 0'), 'a video far below is loaded'
    page.click('.group button'); until(page, 'document.querySelector(".group video").currentTime > .6')
    found = max(apart(page) for _ in range(20))
    page.wait_for_timeout(2200)  # beyond the end: it begins again
    assert page.evaluate('[...document.querySelector(".group").querySelectorAll("video")].every(film => !film.paused)') and apart(page) < .15
    page.click('.group button'); assert page.evaluate('[...document.querySelector(".group").querySelectorAll("video")].every(film => film.paused)')
    page.evaluate('(scrub => { scrub.value = .5; scrub.dispatchEvent(new Event("input")); })(document.querySelector(".group input[type=range]"))')
    until(page, '[...document.querySelector(".group").querySelectorAll("video")].every(film => Math.abs(film.currentTime - film.duration/2) < .02)')
    # Sorting, filters, methods
    ordered = sorted((row for row in rows if row['method'] == 'ours'), key=lambda row: row['ratio'])
    page.select_option('#measure', 'ratio'); page.select_option('#of', 'ours'); page.keyboard.press('End')
    assert names(page)[0] == f'{ordered[0]["clip"]} + {ordered[0]["scene"]}'
    page.select_option('#order', '-1'); assert names(page)[0] == f'{ordered[-1]["clip"]} + {ordered[-1]["scene"]}'
    page.select_option('#measure', 'ssim'); page.select_option('#order', '1'); assert names(page)[0].endswith('scene0')
    page.select_option('#motion', 'tilt up'); assert names(page) == [f'tilt1 + scene{s}' for s in range(5)]
    assert page.locator('.group').first.locator('figcaption').all_inner_texts() == ['reference: tilt up, slow', 'scene', 'ours', 'slower', 'still']
    page.select_option('#speed', 'fast'); assert names(page) == [] and 'choose another motion' in page.inner_text('#count')
    page.select_option('#motion', ''); assert len(names(page)) == 5
    page.uncheck('#methods input[value=slower]'); assert page.locator('.group').first.locator('figcaption').all_inner_texts()[2:] == ['ours', 'still', 'odd']
    page.select_option('#view', 'single'); page.select_option('#measure', 'ratio'); page.select_option('#speed', '')
    best = min((row for row in rows if row['method'] in ('ours', 'odd') and row['ratio'] is not None and not (row['method'] == 'odd' and row['motion'] == 'tilt up')), key=lambda row: row['ratio'])
    assert page.locator('.group').first.locator('figcaption').all_inner_texts()[2] == best['method'] and names(page)[0] == f'{best["clip"]} + {best["scene"]}' and page.inner_text('#count') == '40 videos'
    assert page.locator('.group').first.locator('dl .sorted dd').inner_text() == f'{best["ratio"]:.3f}'
    page.select_option('#view', 'groups')
    # The table of means, by its heads
    page.click('#heads button[data-id=ratio]'); assert page.eval_on_selector_all('#means td:first-child', 'cells => cells.map(cell => cell.textContent)') == ['ours', 'odd', 'slower', 'still']
    page.click('#heads button[data-id=ratio]'); assert page.locator('#means td').first.inner_text() == 'still' and page.get_attribute('#heads th[aria-sort]', 'aria-sort') == 'descending'
    # Keys
    page.evaluate('document.activeElement.blur()'); page.keyboard.press('j'); page.keyboard.press('j')
    assert page.evaluate('[...document.querySelectorAll(".group")].indexOf(document.activeElement)') == 1
    ready(page, 1); page.keyboard.press('p'); until(page, 'document.activeElement.querySelector("video").currentTime > .1'); page.keyboard.press('p')
    before = page.evaluate('document.activeElement.querySelector("video").currentTime')
    page.keyboard.press('.'); until(page, f'document.activeElement.querySelector("video").currentTime > {before}'); page.keyboard.press(',')
    page.keyboard.press('k'); assert page.evaluate('[...document.querySelectorAll(".group")].indexOf(document.activeElement)') == 0
    return found

def take(folder, output=None):
    "Open the gallery; returns what was found."
    from playwright.sync_api import sync_playwright
    from cammimic.benchmark.gallery import write_gallery
    rows, troubles, foreign, findings = benchmark(folder), [], [], []
    written = write_gallery(str(folder), title=f'Moves {HOSTILE}', first=('ours', 'slower', 'still', 'odd'))
    def opened(chrome, url, **context):
        page = chrome.new_context(**context).new_page()
        page.on('console', lambda message: troubles.append(message.text) if message.type in ('error', 'warning') else None)
        page.on('pageerror', lambda error: troubles.append(str(error)))
        page.on('request', lambda request: None if request.url.startswith(('file:', 'data:')) else foreign.append(request.url))
        page.goto(url)
        return page
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        page = opened(chrome, Path(written['page']).as_uri(), viewport=dict(width=1280, height=900))
        assert page.inner_text('h1') == f'Moves {HOSTILE}' and page.locator('img[src=x]').count() == 0
        ready(page); look(page, 'gallery', findings)
        found = try_gallery(page, rows)
        look(page, 'sorted', findings)
        phone = opened(chrome, Path(written['page']).as_uri(), has_touch=True, is_mobile=True, viewport=dict(width=360, height=740))
        ready(phone); look(phone, 'phone', findings)
        if output:
            real = write_gallery(str(NBS/'results/bench'), first=('cammimic', 'motiondirector', 'tune_a_video', 'naive_black', 'cammimic@noise', 'cammimic@weak'))
            for name, context in dict(page=dict(viewport=dict(width=1280, height=1100)), phone=dict(viewport=dict(width=360, height=900), has_touch=True, is_mobile=True)).items():
                page = opened(chrome, Path(real['page']).as_uri(), **context)
                if name == 'phone': page.evaluate('document.querySelector(".group").scrollIntoView()')
                ready(page); look(page, f'bench, {name}', findings)
                page.evaluate('(scrub => { scrub.value = .95; scrub.dispatchEvent(new Event("input")); })(document.querySelector(".group input[type=range]"))')
                page.wait_for_timeout(700)
                page.screenshot(path=output/f'{name}.jpg', type='jpeg', quality=70)
        version = chrome.version
        chrome.close()
    serious = [finding for finding in findings if finding[2] in ('serious', 'critical')]
    assert not serious and not troubles and not foreign, (serious, troubles, foreign)
    return dict(chromium=version, page_bytes=Path(written['page']).stat().st_size, videos=written['videos'], apart_ms=round(1000*found), axe_serious=len(serious), foreign=len(foreign), troubles=len(troubles), axe_minor=sorted({f'{screen}: {rule}' for screen, rule, *_ in findings}))

if __name__ == '__main__': main(take, __doc__)
