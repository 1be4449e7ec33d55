"""The app in a real browser, from the first click to the download: python tools/app_page.py [--output nbs/results/app]

`cammimic app` is started, a clip and a picture are brought (by the chooser and by dropping), bad ones are refused, every panel is
compared with what it should show, a video is made, broken off, made again and downloaded, and the server is ended by Ctrl-C.
With --output the video is made with --fast instead of a few steps, and pictures are kept.
"""
import base64, json, signal, socket, subprocess, sys, time
from project import ENV, ROOT
sys.path.insert(0, str(ROOT))
from gallery_page import look
from study_page import FLAGS, HOSTILE, browser_path, main, until

PAUSE = 'k => document.getAnimations().forEach(a => { a.pause(); a.currentTime = (k + .5)/16*a.effect.getTiming().duration; })'
TIMES = 'document.getAnimations().filter(a => /^cm\\d+-(move|16)$/.test(a.animationName)).map(a => a.startTime !== null && `${Math.round(a.startTime)} ${Math.round(a.effect.getTiming().duration)}`)'
KEEP = '(window.kept = document.getAnimations().filter(a => /-move$/.test(a.animationName))).length'
LATENCY = '''async key => {
  const styles = [...document.querySelectorAll("style")].find(s => /@keyframes cm\\d+-move/.test(s.textContent)).parentNode, handle = document.activeElement;
  const begin = performance.now();
  const changed = new Promise(done => new MutationObserver((_, it) => { it.disconnect(); done(performance.now() - begin); }).observe(styles, {childList: true, subtree: true, characterData: true}));
  handle.dispatchEvent(new KeyboardEvent("keydown", {key, code: key, bubbles: true, cancelable: true}));
  return await Promise.race([changed, new Promise(done => setTimeout(() => done(-1), 5000))]);
}'''

def material(folder):
    "A clip that pans right over one photograph, another photograph, what is neither, and a mask of what stays in the photograph."
    import numpy as np
    from cammimic.geometry.render import CameraMove, render_photo
    from cammimic.geometry.video import read_image, write_image, write_video
    photos = [read_image(path) for path in sorted((ROOT/'nbs/sources/large').glob('*.jpg'))[:2]]
    write_video(folder/'my pan.mp4', render_photo(photos[0], CameraMove(yaw=9, pitch=3), num_frames=24, size=(640, 360), supersample=1), fps=12)
    write_image(folder/'picture.jpg', render_photo(photos[1], CameraMove(), num_frames=2, size=(960, 600), supersample=1)[0])
    (folder/'letter.jpg').write_text('Dear Sir or Madam')
    write_image(folder/'mask.png', 255*np.pad(np.ones((200, 200, 3), np.uint8), ((300, 100), (380, 380), (0, 0))))
    return folder/'my pan.mp4', folder/'picture.jpg', folder/'letter.jpg', folder/'mask.png'

def serve(folder):
    "The server, and where it is."
    with socket.create_server(('127.0.0.1', 0)) as free: port = free.getsockname()[1]
    env = dict(ENV, OMP_NUM_THREADS='1', TMPDIR=str(folder))
    server = subprocess.Popen([sys.executable, '-c', 'from cammimic.app.cli import main; main()', 'app', '--no-browser', '--port', str(port), '--max-upload', '8'], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = []
    while 'the app is at' not in ''.join(lines[-1:]):
        lines.append(server.stderr.readline())
        if not lines[-1]: server.kill(); raise AssertionError(f'the server has ended: {"".join(lines)}')
    return server, f'http://127.0.0.1:{port}/'

def zone(page, part): return page.locator('.cm-drop').nth(('reference', 'image', 'subject').index(part))

def choose(page, part, path):
    with page.expect_file_chooser() as chooser: zone(page, part).click()
    chooser.value.set_files(path)

def drop(page, part, name, content):
    "Drop a file on a zone, as a mouse does."
    held = page.evaluate_handle('([name, data]) => { const all = new DataTransfer(); all.items.add(new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name)); return all; }', [name, base64.b64encode(content).decode()])
    zone(page, part).dispatch_event('drop', dict(dataTransfer=held))

def said(page, text, seconds=60): until(page, f'document.body.innerText.includes({json.dumps(text)})', seconds)

def exact(page, picture, path, frames=(0, 7, 15)):
    "Least PSNR, in dB, between panels as the browser shows them and the weak video, where both show the picture."
    import cv2
    import numpy as np
    from cammimic.geometry.weak_video import weak_video
    from cammimic.geometry.video import read_image
    weak, worst = weak_video(read_image(picture, max_side=1280), path, size=(640, 384), supersample=2), 99.
    style = page.add_style_tag(content='.cm-stage{--cm:1!important}.cm-panel:nth-of-type(2) .cm-window{position:fixed!important;left:0;top:0;z-index:99}')  # at whole pixels
    for k in frames:
        page.evaluate(PAUSE, k)
        shot = cv2.imdecode(np.frombuffer(page.screenshot(clip=dict(x=0, y=0, width=640, height=384)), np.uint8), 1)[..., ::-1]
        assert shot.shape == (384, 640, 3), shot.shape
        inside = cv2.erode(weak.mask[k].view(np.uint8), np.ones((9, 9)), borderValue=0) > 0
        error = ((shot.astype(float) - weak.frames[k])[inside]**2).mean()
        worst = min(worst, 10*np.log10(255**2/error))
        outside = cv2.erode((~weak.mask[k]).view(np.uint8), np.ones((9, 9)), borderValue=1) > 0
        if outside.sum() > 500: assert len(np.unique(shot[outside].reshape(-1, 3)//16, axis=0)) < 40, 'what is to be invented should be hatched'
    style.evaluate('style => style.remove()')
    page.evaluate('document.getAnimations().forEach(a => a.play())')
    return round(float(worst), 1)

def settled(page, quiet=700):
    "Wait until the server has looked at what was brought and the page has not changed for so many milliseconds: a new picture comes in several messages."
    until(page, '!document.body.innerText.includes("Looking at")', 60)
    page.evaluate('''quiet => new Promise(done => {
      let last; const it = new MutationObserver(() => again()), end = () => { it.disconnect(); done(); }, again = () => { clearTimeout(last); last = setTimeout(end, quiet); };
      it.observe(document.body, {childList: true, subtree: true, characterData: true}); again(); setTimeout(end, 20000);
    })''', quiet)

def in_step(page):
    "Wait until all panels are at the same time and last as long as one another."
    settled(page)
    until(page, f'(times => times.length > 1 && times.every(t => t && t == times[0]))({TIMES})', 10)

def walk(page, folder, output, findings):
    "Everything a visitor does; what was found."
    from cammimic.model.motion import Motion, read_reference
    from cammimic.geometry.video import probe_video
    clip, picture, letter, mask = material(folder)
    def shot(name, height=900):
        if not output: return
        size = page.viewport_size
        page.set_viewport_size(dict(width=size['width'], height=height)); page.wait_for_timeout(200)
        page.screenshot(path=f'{output}/{name}.jpg', type='jpeg', quality=78)
        page.set_viewport_size(size)
    said(page, 'The model has to invent', 120)
    in_step(page); shot('start'); look(page, 'start', findings)
    choose(page, 'reference', clip); until(page, 'document.querySelectorAll(".cm-drop")[0].textContent.includes("my pan.mp4")'); settled(page); said(page, 'measured: reliable')
    drop(page, 'image', HOSTILE + '.jpg', picture.read_bytes()); until(page, 'document.querySelectorAll(".cm-drop")[1].textContent.includes("onerror")')
    assert page.title() != '1' and not page.query_selector('img[src=x]')
    in_step(page)
    assert page.evaluate(KEEP)
    page.get_by_role('slider').first.focus()
    waits = [page.evaluate(LATENCY, key) for key in ['ArrowRight']*10 + ['ArrowLeft']*10]
    assert min(waits) > 0, ('a slider changed nothing', waits)
    settled(page)
    assert page.evaluate('kept.every(a => document.getAnimations().includes(a))'), 'a slider began the animation anew'
    shot('preview')
    path = read_reference(clip, size=(80, 48), num_frames=16)[1]
    psnr = exact(page, picture, path); assert psnr > 30, psnr
    choose(page, 'image', letter); said(page, 'letter.jpg is not a picture or a video'); shot('refused')
    big = folder/'big.mp4'; big.write_bytes(clip.read_bytes() + b'\0'*8_500_000)
    choose(page, 'reference', big); said(page, 'at most 8.0 MB'); assert 'my pan.mp4' in zone(page, 'reference').inner_text()
    page.get_by_text('Or a ready motion').click(); page.get_by_role('button', name='push in').click(); said(page, 'zoom in in 2.0 s'); shot('gallery', 1400); look(page, 'gallery', findings)
    choose(page, 'reference', clip); said(page, 'measured: reliable')
    choose(page, 'image', picture); until(page, 'document.querySelectorAll(".cm-drop")[1].textContent.includes("picture.jpg")')
    page.get_by_text('More: guidance').click()
    choose(page, 'image', clip); until(page, 'document.querySelectorAll(".cm-drop")[1].textContent.includes("my pan.mp4")'); in_step(page)
    page.get_by_label('Hold the moving scene steady').check(); said(page, '--steady'); shot('moving scene')
    choose(page, 'image', picture); until(page, '!document.body.innerText.includes("--steady")')
    choose(page, 'subject', mask); said(page, '--subject mask.png'); in_step(page); shot('subject')
    choose(page, 'image', picture); until(page, '!document.body.innerText.includes("--subject")'); in_step(page)
    def steps(**numbers):
        if output is not None: return
        for name, value in numbers.items(): page.get_by_label(f'{name} steps').fill(str(value)); page.get_by_label(f'{name} steps').press('Enter')
        said(page, ' '.join(f'--{dict(Training="train-steps", Sampling="steps")[name]} {value}' for name, value in numbers.items()))
    steps(Training=2, Sampling=300)
    page.get_by_role('button', name='Generate').click(); said(page, 'Phase ', 120); shot('working')
    page.get_by_role('button', name='Cancel').click(); said(page, 'Cancelled. What was learned so far is kept'); shot('cancelled')
    steps(Training=2, Sampling=4)
    page.get_by_role('button', name='Generate').click(); said(page, 'Done in', 600); in_step(page)
    shot('done', 1500); look(page, 'done', findings)
    got = {}
    for link in page.locator('a.cm-get').all():
        with page.expect_download() as waiting: link.click()
        waiting.value.save_as(folder/'got'/waiting.value.suggested_filename); got[waiting.value.suggested_filename] = (folder/'got'/waiting.value.suggested_filename).stat().st_size
    assert probe_video(folder/'got/transfer.mp4').num_frames == 16 and Motion.load(folder/'got/motion.safetensors').size == (80, 48)
    assert json.loads((folder/'got/transfer.json').read_text())['reference'] == 'my pan.mp4'
    page.get_by_role('button', name='copy').first.click()
    command = page.evaluate('navigator.clipboard.readText()'); assert command.startswith("cammimic transfer 'my pan.mp4' picture.jpg"), command
    page.set_viewport_size(dict(width=390, height=844)); page.wait_for_timeout(300); page.evaluate('document.querySelector(".cm-app").scrollIntoView()'); shot('phone', 1700); look(page, 'phone', findings)
    return dict(milliseconds=sorted(round(wait) for wait in waits), psnr=psnr, downloads=got, command=command)

def take(folder, output):
    from playwright.sync_api import sync_playwright
    server, address = serve(folder)
    findings, errors = [], []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
            context = browser.new_context(viewport=dict(width=1440, height=900), permissions=['clipboard-read', 'clipboard-write'], accept_downloads=True)
            page = context.new_page()
            page.on('pageerror', lambda error: errors.append(str(error)))
            begin = time.perf_counter(); page.goto(address); page.wait_for_selector('.cm-drop', timeout=120_000); opened = time.perf_counter() - begin
            found = walk(page, folder, output, findings)
            chromium = browser.version
            browser.close()
    finally:
        server.send_signal(signal.SIGINT)
        try: server.wait(30)
        except subprocess.TimeoutExpired: server.kill(); raise
    assert server.returncode == 0 and not errors, (server.returncode, errors)
    serious = [finding for finding in findings if finding[2] in ('serious', 'critical')]
    assert not serious, serious
    return dict(found, seconds_to_page=round(opened, 1), axe=sorted({(screen, rule, impact) for screen, rule, impact, _ in findings}), chromium=chromium)

if __name__ == '__main__': main(take, __doc__)
