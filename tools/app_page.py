"""The app in a real browser, from the first click to the download: python tools/app_page.py [--output nbs/results/app]

`cammimic app` is started, a clip and a picture are brought (by the chooser and by dropping), bad ones are refused,
every panel is compared with what it should show, remarks on files and words are read, a video is made, broken off,
made again and downloaded, and the server is ended by Ctrl-C. Other pages and names get nothing, the page asks no other
host for anything, and reloading it leaves one kernel (thirty times; once with --short). With --output the video is made
with --fast instead of a few steps, and pictures are kept."""

import base64
import contextlib
import http.server
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from project import ENV, ROOT, screenshot

sys.path.insert(0, str(ROOT))
from browser import HOSTILE, PAINTED, WAIT, launch, look, main, new_page, none_serious, resized, said, until

PARTS = ("reference", "image", "subject")  # In the order of the page
FRAMES = 24  # Of the clip, and so of the video
SIZE = (640, 384)
WIDE = (1440, 900)
PHONE = (390, 844)
CALL = "from cammimic.app.cli import main; main()"
MOVES = "document.getAnimations().filter(a => /-move$/.test(a.animationName))"
PANELS = "document.getAnimations().filter(a => /^cm\\d+-(move|\\d+)$/.test(a.animationName))"
IN_STEP = f"""(panels => panels.length > 1 && panels.every(a =>
  !a.pending && a.startTime === panels[0].startTime
  && a.effect.getTiming().duration === panels[0].effect.getTiming().duration
))({PANELS})"""
PAUSED = """([k, count]) => Promise.all(document.getAnimations().map(a => {
  a.pause();
  a.currentTime = (k + .5)/count*a.effect.getTiming().duration;
  return a.ready;
}))"""
FRAMES_SHOWN = """[...document.querySelectorAll('style')].map(s => /@keyframes cm\\d+-move\\{/.test(s.textContent) &&
  s.textContent.split('matrix3d').length - 2).find(n => n)"""
OUTSIDE = """[...document.querySelectorAll('.cm-app *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && !e.closest('.cm-window') && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 120))"""
INJECTED = "<img class=injected src=x onerror=\"document.title='injected'\">"
PRESS = """key => {
  const style = [...document.querySelectorAll('style')].find(s => /@keyframes cm\\d+-move/.test(s.textContent));
  const begin = performance.now();
  window.moved = null;
  new MutationObserver((_, it) => { it.disconnect(); window.moved = performance.now() - begin; })
    .observe(style.parentNode, {childList: true, subtree: true, characterData: true});
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, code: key, bubbles: true, cancelable: true}));
}"""
TO_DROP = """([name, data]) => {
  const all = new DataTransfer();
  all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name));
  return all;
}"""


@dataclass(frozen=True)
class Material:
    "What the visitor brings."

    clip: Path  # It pans right over one photograph
    picture: Path  # Another photograph
    letter: Path  # Neither
    mask: Path  # What stays in the picture
    fields: Path  # A clip of fields, unmarked
    two: Path  # A file of two pictures


def material(folder):
    "Write the files."
    import numpy as np
    from PIL import Image

    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_image, write_video

    found = Material(
        *(folder / n for n in ("my pan.mp4", "picture.jpg", "letter.jpg", "mask.png", "fields.mp4", "two.png"))
    )
    photos = [read_image(path, max_side=1600) for path in sorted((ROOT / "nbs/sources/large").glob("*.jpg"))[:2]]
    clip = render_photo(photos[0], CameraMove(yaw=9, pitch=3), num_frames=24, size=(640, 360), supersample=1)
    write_video(found.clip, clip, fps=12)
    still = render_photo(photos[1], CameraMove(), num_frames=2, size=(640, 400), supersample=1)[0]
    write_image(found.picture, still)
    found.letter.write_text("Dear Sir or Madam")
    mask = np.pad(np.ones((130, 130, 3), np.uint8), ((200, 70), (255, 255), (0, 0)))
    write_image(found.mask, 255 * mask)
    rocks = read_image(ROOT / "cammimic/assets/demo_image.jpg", max_side=960)
    moments = [rocks[100:340, 100 + 6 * k : 420 + 6 * k] for k in range(28)]
    woven = np.stack(moments[::2])
    woven[:, 1::2] = np.stack(moments[1::2])[:, 1::2]
    write_video(found.fields, woven, fps=25, crf=26, preset="superfast")
    small = Image.fromarray(still[::2, ::2])
    small.save(found.two, save_all=True, append_images=[small.rotate(90)])
    return found


@contextlib.contextmanager
def served(folder):
    "The app on a free port of this machine: its address, and its process. It must end by Ctrl-C, and leave nothing."
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", CALL, "app", "--no-browser", "--port", str(port), "--max-upload", "8"]
    env = dict(ENV, TMPDIR=str(folder))
    silent = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, cwd=folder, env=env, **silent) as server:
        try:
            lines = []
            for line in server.stderr:
                lines.append(line)
                if found := re.search("the app is at ([^ ]*) until", line):
                    break
            else:
                raise AssertionError(f"the server has ended: {''.join(lines)}")
            assert found[1].startswith(f"http://127.0.0.1:{port}/?token="), found[1]
            yield found[1], psutil.Process(server.pid)
            server.send_signal(signal.SIGINT)
            assert server.wait(WAIT) == 0, server.returncode
            left = [path.name for path in folder.glob("cammimic-*")]
            assert not left, f"the server has left {left}"
        finally:
            server.kill()


def kernels(server):
    "The processes of the pages."
    found = []
    for process in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in process.cmdline():
                found.append(process)
    return found


def megabytes(server):
    "Memory of all that the app has started."
    return sum(process.memory_info().rss for process in server.children(recursive=True)) / 1e6


STRANGER = """<!doctype html><title>elsewhere</title><img src="ADDRESS?1"><iframe src="ADDRESS?2"></iframe><script>
window.heard = Promise.all([
  new Promise(done => { document.images[0].onerror = () => done('refused'); document.images[0].onload = done; }),
  fetch('ADDRESS?3', {credentials: 'include', mode: 'no-cors'}).then(() => 'opaque', () => 'refused'),
  fetch('ADDRESS?4', {credentials: 'include'}).then(() => 'read', () => 'refused'),
  new Promise(done => {
    const socket = new WebSocket('ADDRESSapi/kernels/KERNEL/channels'.replace('http', 'ws'));
    socket.onopen = () => done('open');
    socket.onerror = () => done('refused');
  }),
])</script>"""


@contextlib.contextmanager
def elsewhere(text):
    "A page of another server on this machine: its address."

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def strangers(page, address, server, findings):
    "What other pages, other names and visitors without the token get, in the browser that has the app open: nothing."
    before = {process.pid for process in kernels(server)}
    home = address.partition("?")[0]
    kernel = json.loads(page.locator("#jupyter-config-data").text_content())["kernelId"]
    text = STRANGER.replace("ADDRESS", home).replace("KERNEL", kernel)
    with elsewhere(text) as other:
        for name in ("127.0.0.1", "localhost"):  # The same site, whose cookies the browser would send, and another
            second = page.context.new_page()
            second.goto(other.replace("127.0.0.1", name))
            heard = second.evaluate("heard")
            assert heard[0] == "refused" and heard[2:] == ["refused", "refused"], (name, heard)
            second.close()
    second = new_page(page.context.browser)
    for place, said_there in ((home, "The token is missing"), (address.replace("127.0.0.1", "evil.localhost"), "name")):
        answer = second.goto(place)
        assert answer.status == 403, (place, answer.status)
        said(second, said_there)
    second.set_viewport_size(dict(width=WIDE[0], height=WIDE[1]))
    look(second, "refused page", findings)
    second.context.close()
    assert {process.pid for process in kernels(server)} == before, "a stranger has started a kernel"


def reloads(page, server, times, hasty):
    "Reload the page, at the end before it is there (`hasty` times): one kernel is left each time. MB after each."
    memory = []
    for _ in range(times):
        before = kernels(server)
        page.reload()
        page.wait_for_selector(".cm-drop")
        _, alive = psutil.wait_procs(before, WAIT)
        assert not alive and len(kernels(server)) == 1, "a reload has left its kernel"
        memory.append(round(megabytes(server)))
    before = kernels(server)
    for _ in range(hasty):
        page.reload(wait_until="commit")
        before += [process for process in kernels(server) if process not in before]
    page.reload()
    page.wait_for_selector(".cm-drop")
    _, alive = psutil.wait_procs(before, WAIT)
    assert not alive and len(kernels(server)) == 1, "a hasty reload has left its kernel"
    memory.append(round(megabytes(server)))
    assert max(memory) < 1.15 * memory[0] + 50, f"memory grows with reloads: {memory} MB"
    return memory


class Visitor:
    "Someone before the page."

    def __init__(self, page, folder, output, findings):
        self.page = page
        self.folder = folder
        self.output = output
        self.findings = findings

    def until(self, expression, seconds=WAIT):
        until(self.page, expression, seconds)

    def said(self, text, seconds=WAIT):
        said(self.page, text, seconds)

    def zone(self, part):
        return self.page.locator(".cm-drop").nth(PARTS.index(part))

    def choose(self, part, path):
        "Bring a file by the chooser."
        with self.page.expect_file_chooser() as chooser:
            self.zone(part).click()
        chooser.value.set_files(path)

    def drop(self, part, name, content):
        "Drop a file on a zone, as a mouse does."
        held = self.page.evaluate_handle(TO_DROP, [name, base64.b64encode(content).decode()])
        self.zone(part).dispatch_event("drop", dict(dataTransfer=held))

    def shows(self, part, name):
        "Wait until a zone names its file, and the server, whose messages come in order, has said all about it."
        place = f'document.querySelectorAll(".cm-drop")[{PARTS.index(part)}]'
        self.until(f"{place}.textContent.includes({json.dumps(name)})")
        self.looked_at()

    def looked_at(self):
        "Wait until the server has looked at what was brought: this is the last thing that it says."
        self.until('!document.body.innerText.includes("Looking at")')

    def commands(self, text, there=True):
        "Wait until the command that the page shows has a text, or has not."
        found = f"document.querySelector('.cm-app pre').textContent.includes({json.dumps(text)})"
        self.until(found if there else f"!{found}")

    def in_step(self):
        "Wait until all panels are at the same time, and last as long as one another."
        self.until(IN_STEP)

    def shot(self, name, height=900):
        "Keep a picture of the page."
        if not self.output:
            return
        size = self.page.viewport_size
        resized(self.page, size["width"], height)
        screenshot(self.page, f"{self.output}/{name}.jpg")
        resized(self.page, **size)

    def look(self, screen):
        "Let axe-core look at the page, once every slider has its name."
        self.until('[...document.querySelectorAll("[role=slider]")].every(s => s.getAttribute("aria-label"))')
        look(self.page, screen, self.findings)
        wide = self.page.evaluate(OUTSIDE)
        assert not wide, f"{screen}: wider than the page: {wide}"

    def press(self, key):
        "Press a key on what has the focus; milliseconds until the preview has moved."
        self.page.evaluate(PRESS, key)
        self.until("window.moved !== null")
        return round(self.page.evaluate("window.moved"))

    def steps(self, training, sampling):
        "Set the numbers of steps."
        for name, value in dict(Training=training, Sampling=sampling).items():
            box = self.page.get_by_label(f"{name} steps")
            box.fill(str(value))
            box.press("Enter")
        self.commands(f"--train-steps {training} --steps {sampling}")

    def bring_files(self, clip, picture):
        "A clip by the chooser, and a picture with a hostile name by dropping it."
        self.choose("reference", clip)
        self.shows("reference", clip.name)
        self.said("measured: reliable")
        self.drop("image", HOSTILE + ".jpg", picture.read_bytes())
        self.shows("image", "onerror")
        assert self.page.title() != "1" and not self.page.query_selector("img[src=x]")
        self.in_step()

    def move_a_slider(self):
        "The preview follows every key, and does not begin anew; milliseconds of each."
        assert self.page.evaluate(f"(window.kept = {MOVES}).length")
        self.page.get_by_role("slider").first.focus()
        waits = []
        for place in [*range(1, 11), *range(9, -1, -1)]:
            waits.append(self.press("ArrowRight" if place > len(waits) else "ArrowLeft"))
            if place:
                self.commands(f"--amplitude {1 + place / 20:.5g} ")
        self.commands("--amplitude", False)
        kept = "kept.every(a => document.getAnimations().includes(a))"
        assert self.page.evaluate(kept), "a slider began the animation anew"
        return waits

    def exact(self, picture, clip):
        """Least PSNR, in dB, between the preview as the browser shows it, and the weak video where both show the
        picture while the rest is hatched; and what continues the picture elsewhere, once that is filled."""

        from cammimic.app.preview_panel import filmed, panel_matrices, seen_margins, surround
        from cammimic.geometry.composing import anchor_time, choose_framing
        from cammimic.geometry.measure import copied_path, measure_file
        from cammimic.geometry.video import read_image
        from cammimic.geometry.weak_video import weak_video

        count = self.page.evaluate(FRAMES_SHOWN)
        path = copied_path(measure_file(clip)).to_aspect(SIZE[0] / SIZE[1])
        assert count == path.num_frames, (count, path.num_frames)
        anchor = anchor_time(path, choose_framing(path, path.aspect).anchor)
        image = read_image(picture, max_side=1280)
        frames = (0, count // 2, count - 1)
        weak = weak_video(image, path, size=SIZE, supersample=2, anchor=anchor)
        matrices = panel_matrices(path, SIZE, anchor=anchor)
        beyond = filmed(surround(image, SIZE, seen_margins(matrices, SIZE)), matrices)
        window = ".cm-panel:nth-of-type(2) .cm-window{position:fixed!important;left:0;top:0;z-index:99}"
        style = self.page.add_style_tag(content=".cm-stage{--cm:1!important}" + window)  # At whole pixels
        switch = self.page.get_by_label("Fill what is hatched")
        worst = min(self.compared(weak.frames[k], weak.mask[k], k, count)[0] for k in frames)
        switch.evaluate("box => box.click()")  # The panel covers it
        self.said(": the continued part")
        filled = min(min(self.compared(weak.frames[k], weak.mask[k], k, count, beyond[k])) for k in frames)
        switch.evaluate("box => box.click()")
        self.said("the hatched part")
        style.evaluate("style => style.remove()")
        self.page.evaluate("document.getAnimations().forEach(a => a.play())")
        assert worst > 30 and filled > 28, f"preview and weak video differ: {worst:.1f} dB, filled {filled:.1f} dB"
        return round(float(worst), 1), round(float(filled), 1)

    def compared(self, known, mask, k, count, beyond=None):
        """PSNR of a frame, in dB, away from edges: of the picture, and of what is beyond it, which must be hatched
        where nothing is said to be there."""
        import cv2
        import numpy as np

        kernel = np.ones((9, 9))
        self.page.evaluate(f"([k, count]) => ({PAUSED})([k, count]).then(() => {PAINTED})", [k, count])
        png = self.page.screenshot(clip=dict(x=0, y=0, width=SIZE[0], height=SIZE[1]))
        shot = cv2.imdecode(np.frombuffer(png, np.uint8), 1)[..., ::-1]
        assert shot.shape == (SIZE[1], SIZE[0], 3), shot.shape
        inside = cv2.erode(mask.view(np.uint8), kernel, borderValue=0) > 0
        outside = cv2.erode((~mask).view(np.uint8), kernel, borderValue=1) > 0
        hatched = outside.sum() > 500 and len(np.unique(shot[outside].reshape(-1, 3) // 16, axis=0)) < 40
        assert outside.sum() <= 500 or hatched == (beyond is None), (
            "what is to be invented should be hatched, or filled"
        )

        def psnr(wanted, where):
            return 10 * np.log10(255**2 / ((shot.astype(float) - wanted)[where] ** 2).mean())

        beside = np.inf if beyond is None or not outside.any() else psnr(beyond, outside)
        return psnr(known, inside), beside

    def bring_bad_files(self, letter, clip):
        "What is no picture, and what is too large: both are refused, and everything stays as it was."
        self.choose("image", letter)
        self.said("letter.jpg is not a picture or a video")
        self.shot("refused")
        big = self.folder / "big.mp4"
        big.write_bytes(clip.read_bytes() + b"\0" * 8_500_000)
        self.choose("reference", big)
        self.said("at most 8.0 MB")
        assert clip.name in self.zone("reference").inner_text()

    def remarks(self, fields, two):
        "What is made of files that are not used as they stand."
        self.choose("reference", fields)
        self.said(f"{fields.name} is interlaced: whole frames are made of its fields")
        self.choose("image", two)
        self.said(f"{two.name} holds several pictures, of which the first is taken")
        self.looked_at()
        self.shot("remarks")

    def ready_motion(self, clip, picture):
        "A motion of the gallery, then the clip again."
        self.page.get_by_text("Or a ready motion").click()
        self.page.get_by_role("button", name="push in").click()
        self.said("zoom in in 2.0 s")
        self.shot("gallery", 1400)
        self.look("gallery")
        self.choose("reference", clip)
        self.said("measured: reliable")
        self.looked_at()
        self.choose("image", picture)
        self.shows("image", picture.name)

    def moving_scene(self, clip, picture):
        "A moving scene in place of the picture, held steady."
        self.choose("image", clip)
        self.shows("image", clip.name)
        self.in_step()
        self.page.get_by_label("Hold the moving scene steady").check()
        self.commands("--steady")
        self.in_step()
        self.shot("moving scene")
        self.choose("image", picture)
        self.shows("image", picture.name)
        self.commands("--steady", False)

    def subject(self, mask, picture):
        "A subject that stays, which another picture takes away."
        self.choose("subject", mask)
        self.shows("subject", mask.name)
        self.commands("--subject mask.png")
        self.in_step()
        self.shot("subject")
        self.choose("image", picture)
        self.commands("--subject", False)
        self.looked_at()
        self.in_step()

    def generate(self):
        "Make a video, cancel, and make it again with other steps."
        if self.output is None:
            self.steps(10_000, 1000)  # It cannot be done before it is cancelled
        self.page.get_by_role("button", name="Generate").click()
        self.said("Phase ")
        self.shot("working")
        self.page.get_by_role("button", name="Cancel").click()
        self.said("Cancelled. What was learned so far is kept")
        self.shot("cancelled")
        if self.output is None:
            self.steps(2, 4)
            self.page.get_by_label("Prompt").fill("a unicorn in snow")
            self.page.get_by_label("Prompt").press("Enter")
            self.commands("--prompt 'a unicorn in snow'")
        self.page.evaluate(
            "document.getAnimations().forEach(a => a.pause())"
        )  # Nobody looks; all begin anew at the end
        self.page.get_by_role("button", name="Generate").click()
        self.said("Done in", 900)
        if self.output is None:
            self.said('does not know "unicorn": it knows some hundred plain English words')
        self.until('document.querySelectorAll("a.cm-get").length === 4')  # What is said last
        self.in_step()
        self.shot("done", 1500)
        self.look("done")

    def download(self):
        "Take away every file; its name and size."
        from cammimic.geometry.video import probe_video
        from cammimic.model.motion import Motion

        got = {}
        target = self.folder / "got"
        for link in self.page.locator("a.cm-get").all():
            with self.page.expect_download() as waiting:
                link.click()
            name = waiting.value.suggested_filename
            waiting.value.save_as(target / name)
            got[name] = (target / name).stat().st_size
        assert probe_video(target / "transfer.mp4").num_frames == FRAMES
        assert Motion.load(target / "motion.safetensors").size == (80, 48)
        assert json.loads((target / "transfer.json").read_text())["reference"] == "my pan.mp4"
        return got

    def copy_command(self, *names):
        "The command, from the clipboard."
        start = f"cammimic transfer {shlex.join(names)}"
        self.page.get_by_role("button", name="copy").first.click()
        self.until(f"navigator.clipboard.readText().then(text => text.startsWith({json.dumps(start)}))")
        return self.page.evaluate("navigator.clipboard.readText()")


def walk(visitor, short):
    "Everything a visitor does; what was found. A short walk leaves out moving scenes and subjects that stay."
    brought = material(visitor.folder)
    clip, picture = brought.clip, brought.picture
    visitor.said("The model has to invent")
    visitor.in_step()
    visitor.shot("start")
    visitor.look("start")
    visitor.bring_files(clip, picture)
    waits = visitor.move_a_slider()
    visitor.shot("preview")
    psnr, filled = visitor.exact(picture, clip)
    visitor.bring_bad_files(brought.letter, clip)
    visitor.remarks(brought.fields, brought.two)
    visitor.ready_motion(clip, picture)
    visitor.page.get_by_text("More: what is copied").click()
    if not short:
        visitor.moving_scene(clip, picture)
        visitor.subject(brought.mask, picture)
    visitor.page.get_by_text("More: how the model works").click()
    visitor.said("How freely the model draws")
    visitor.generate()
    got = visitor.download()
    visitor.page.get_by_role("slider").first.focus()
    for key in ("ArrowRight", "ArrowLeft"):
        visitor.press(key)  # A download is no farewell: the kernel still answers
    command = visitor.copy_command(clip.name, picture.name)
    resized(visitor.page, *PHONE)
    visitor.page.evaluate('document.querySelector(".cm-app").scrollIntoView()')
    visitor.shot("phone", 1700)
    visitor.look("phone")
    return dict(milliseconds=sorted(waits), psnr=psnr, filled=filled, downloads=got, command=command)


def injected(page, forbidden):
    "A handler that is not the app's does not run, even where it has become part of the page."
    with page.expect_console_message(lambda line: "Security Policy" in line.text):
        page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", INJECTED)
        until(page, "document.querySelector('.injected').complete")
    assert page.title() != "injected"
    forbidden.clear()


def take(folder, output=None, short=False):
    "Start the app and walk through it; what was found."
    from playwright.sync_api import sync_playwright

    findings, errors, hosts, forbidden = [], [], set(), []
    with served(folder) as (address, server), sync_playwright() as playwright:
        chrome = launch(playwright)
        allowed = ["clipboard-read", "clipboard-write"]
        page = new_page(chrome, viewport=dict(width=WIDE[0], height=WIDE[1]), permissions=allowed)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: "Security Policy" in line.text and forbidden.append(line.text))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        begin = time.perf_counter()
        page.goto(address)
        page.wait_for_selector(".cm-drop")
        opened = time.perf_counter() - begin
        assert "token" not in page.url, page.url
        strangers(page, address, server, findings)
        found = walk(Visitor(page, folder, output, findings), short)
        assert not forbidden, f"the page does what its own policy forbids: {forbidden}"
        injected(page, forbidden)
        found["megabytes"] = reloads(page, server, 1 if short else 30, 1 if short else 3)
        version = chrome.version
        chrome.close()
    assert not errors, errors
    assert not forbidden, f"the page does what its own policy forbids: {forbidden}"
    assert hosts <= {urlsplit(address).netloc, ""}, f"the page has asked other hosts: {hosts}"
    none_serious(findings)
    axe = sorted({(screen, rule, impact) for screen, rule, impact, _ in findings})
    return dict(found, seconds_to_page=round(opened, 1), axe=axe, chromium=version)


if __name__ == "__main__":
    main(take, __doc__)
