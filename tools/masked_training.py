"""Does keeping a moving object out of stage 1 help? The embedded backbone learns rendered clips whose camera path is known, with and without the mask.

A large object crosses each clip on a way of its own. Three motions are learned from it: `plain` (all cells count), `masked` (the cells of the
measured mask do not), and `clean` (the same clip without the object, which nobody has). All get the camera path measured on the clip with the
object, so they differ in stage 1 alone. Each is judged by
- `held_out`: loss of the temporal adapter alone on another scene filmed with the true path, as a share of the loss without adapters,
- `gain`: its motion in a video made from a still picture without guidance, as a share of the true motion,
- `ratio`: the displacement ratio of a whole transfer against the true path.

    python tools/masked_training.py --output nbs/results/masked_training    # three quarters of an hour on one core
"""
import argparse, datetime, json, tempfile, time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
import numpy as np
import torch
from cammimic.camerascore import measure_path, score_paths
from cammimic.embedded import load_backbone
from cammimic.lora import install_lora, scale_adapters
from cammimic.path import CameraPath
from cammimic.render import CameraMove, MovingObject, paste_objects, render_panorama
from cammimic.robust import measure_clip
from cammimic.training import TrainingSettings, denoising_loss
from cammimic.transfer import GuidanceSettings, NEUTRAL_SCENE, apply_motion, default_sampling, learn_motion, motion_prompt
from cammimic.video import Video, contact_strip, read_image, show, to_canvas, write_video

SOURCES, FRAMES, FPS, LARGE, SMALL = Path(__file__).resolve().parent.parent/'nbs'/'sources', 16, 8, (576, 346), (80, 48)
CASES = {'pan, object up and down': (CameraMove(yaw=26, fov=65), 'bl_city', dict(heading=90., turn=24.), 90),
         'zoom in, object to the right': (CameraMove(zoom=1.7, fov=70), 'esplanade', dict(heading=0., turn=0.), 40)}
ARMS = ('plain', 'masked', 'clean')

def picture(name): return read_image(SOURCES/f'{name}.jpg')

def make_clips(case, folder):
    "Files of the clip with and without its object, its true path, its frames, and how well the measured mask fits."
    move, scene, way, heading = CASES[case]
    clean = render_panorama(picture(scene), move, num_frames=FRAMES, size=LARGE, heading=heading)
    moving, mask = paste_objects(clean, [MovingObject(picture('Picture_1A_by_freespace'), .3, speed=.04, **way)])
    files = {name: write_video(folder/f'{name}.mp4', frames, fps=FPS, crf=8) for name, frames in (('object', moving), ('clean', clean))}
    truth, found = CameraPath(move.homographies(FRAMES), np.arange(FRAMES)/FPS, LARGE[0]/LARGE[1]), measure_clip(moving)
    masks = as_picture(found.masks)
    measured = to_canvas(masks, LARGE)[..., 0] > 127
    return files, truth, {'reference': moving, 'measured mask': masks}, dict(object_share=float(mask.mean()), moving_share=found.moving, verdict=str(found.verdict),
        missed=float((mask & ~measured).sum()/mask.sum()), wrong=float((measured & ~mask).sum()/measured.sum()))

def as_picture(masks): return masks[..., None].repeat(3, -1)*np.uint8(255)

def held_out(backbone, motion, case, *, temporal=1.):
    "Loss of the temporal adapter alone on another scene with the true path, forwards and backwards in time."
    install_lora(backbone, motion.tensors, motion.header)
    scale_adapters(backbone, spatial=0., temporal=temporal)
    frames = render_panorama(picture('sunset'), CASES[case][0], num_frames=FRAMES, size=SMALL, heading=200)
    text, losses = backbone.encode_prompt(motion_prompt(NEUTRAL_SCENE, motion.token)), {}
    for name, clip in (('forwards', frames), ('backwards', frames[::-1])):
        latents = backbone.encode_video(clip)
        noises = [torch.randn(latents.shape, generator=torch.Generator().manual_seed(t)) for t in range(8)]
        with torch.no_grad(): losses[name] = float(np.mean([denoising_loss(backbone, latents, text, noise=n, timestep=torch.tensor([60 + 120*t])).item() for t, n in enumerate(noises)]))
    return losses

def judge(backbone, motion, case, truth, seed):
    "All three measures of a motion, and the two videos."
    with_adapter, without = (held_out(backbone, motion, case, temporal=t) for t in (1., 0.))
    def measured(frames): return measure_path(Video(frames, truth.times, FPS), aspect=truth.aspect)[0]
    image, none = picture('life_by_Aitzol_Berasategi'), TrainingSettings(steps=0)
    still = replace(motion, path=CameraPath.identity(FRAMES, aspect=truth.aspect, duration=truth.duration))
    free = apply_motion(still, image, backbone, settings=none, guidance=GuidanceSettings(scale=0.), lora_scales=(0., 1.), seed=seed, sampling=default_sampling(backbone, steps=25, strength=.7))
    whole = apply_motion(motion, image, backbone, settings=TrainingSettings(), seed=seed)
    scores = {name: score_paths(truth, measured(result.frames)) for name, result in (('free', free), ('whole', whole))}
    name = 'pan' if 'pan' in case else 'zoom'
    return dict(held_out=with_adapter['forwards']/without['forwards'], held_out_backwards=with_adapter['backwards']/without['backwards'],
                gain=scores['free'].gains[name], free_ratio=scores['free'].ratio, ratio=scores['whole'].ratio, last_loss=motion.history[-1]['loss_temporal']), free.frames, whole.frames

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--output', type=Path, required=True, help='folder')
    parser.add_argument('--steps', type=int, default=150, help='of stage 1')
    parser.add_argument('--seeds', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    backbone, rows, facts, file = load_backbone(), [], {}, args.output/'masked_training.json'
    for seed in range(args.seeds):
        for case in CASES:
            with tempfile.TemporaryDirectory() as folder:
                files, truth, videos, facts[case] = make_clips(case, Path(folder))
                for arm in ARMS:
                    begin = time.perf_counter()
                    motion = learn_motion(files['clean' if arm == 'clean' else 'object'], backbone, mask_objects=arm == 'masked',
                                          settings=TrainingSettings(steps=args.steps), size=SMALL, seed=seed)
                    if arm == ARMS[0]: path = motion.path
                    values, free, whole = judge(backbone, replace(motion, path=path), case, truth, seed)
                    rows.append(dict(case=case, seed=seed, arm=arm, seconds=round(time.perf_counter()-begin), **values))
                    videos.update({f'{arm}: temporal adapter alone, from a still picture': free})
                    print(rows[-1], flush=True)
                    write_json(file, args, rows, facts)
                if seed == 0: show(contact_strip(videos, num_columns=6, height=72)).save(args.output/f'{case.split()[0].strip(",")}.png')

def write_json(file, args, rows, facts):
    "Store what has come out so far."
    command = f'python tools/masked_training.py --output nbs/results/masked_training --steps {args.steps} --seeds {args.seeds}'
    versions = {package: version(package) for package in ('cammimic', 'torch', 'diffusers')}
    file.write_text(json.dumps(dict(command=command, date=datetime.date.today().isoformat(), device='one core', versions=versions, clips=facts, rows=rows), indent=1))

if __name__ == '__main__': main()
