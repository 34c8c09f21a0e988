import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from fima.checkpoints import untrained_backbone
from fima.data.datasets.layouts.ava import AvaDataset
from fima.data.datasets.layouts.ava_files import Keyframe
from fima.errors import InputError
from fima.input_spec import InputSpec
from fima.presets.detection import detection_preset
from fima.seeding import SampleKeys
from fima.tasks.detect.data import variations
from fima.tasks.detect.detector import ActionHead, Detector, action_loss, keep_last_stage_fine
from fima.tasks.detect.module import wanted_actions
from fima.tasks.detect.testing import Scored, measure, write_detections

SPEC = InputSpec((0.5,) * 3, (0.5,) * 3, num_frames=4, frame_stride=2, size=32)


def test_the_head_reads_what_is_in_the_box_and_nothing_else():
    head = ActionHead(3, 2, spatial_stride=8, resolution=3, dropout=0)
    features = torch.zeros(1, 3, 2, 4, 6)
    features[0, :, :, 1:3, 1:3] = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1, 1)
    features[0, :, 1] *= 3  # the mean over time is twice the first slice
    with torch.no_grad():
        logits = head(features, [torch.tensor([[12.0, 12.0, 20.0, 20.0], [40.0, 0.0, 48.0, 8.0]])])
        expected = head.classifier(torch.tensor([[2.0, 4.0, 6.0], [0.0, 0.0, 0.0]]))
    assert torch.allclose(logits, expected, atol=1e-5)


def test_loss_by_hand():
    logits, wanted = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    assert action_loss(logits, wanted).item() == pytest.approx((np.log(2) + np.log(1 + np.exp(2))) / 2, rel=1e-5)


def test_actions_as_ones():
    frames = [Keyframe("f", 902, np.zeros((2, 4)), ((3, 80), (1,))), Keyframe("g", 902, np.zeros((1, 4)), ((80,),))]
    assert wanted_actions(frames, [1, 3, 80]).tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1]]


def test_a_finer_map_has_twice_the_cells_and_the_same_weights():
    loaded = untrained_backbone("slow_r50", width=8)
    names = {name: value.shape for name, value in loaded.backbone.state_dict().items()}
    clip = torch.rand(1, 3, 4, 64, 96)
    with torch.inference_mode():
        coarse = loaded.backbone(clip)
        assert keep_last_stage_fine(loaded.backbone.s5) == 2
        fine = loaded.backbone(clip)
    assert coarse.shape[2:] == (4, 2, 3)
    assert fine.shape[2:] == (4, 4, 6)
    assert {name: value.shape for name, value in loaded.backbone.state_dict().items()} == names
    assert keep_last_stage_fine(loaded.backbone.s5) == 1
    with pytest.raises(InputError, match="stride"):
        keep_last_stage_fine(nn.Conv3d(1, 1, 3, stride=(1, 4, 4)))


def test_the_detector_knows_its_stride():
    loaded = untrained_backbone("slow_r50", width=8)
    assert Detector(loaded, 2, finer_map=True).head.spatial_stride == 16
    assert Detector(untrained_backbone("tiny"), 2, finer_map=True).head.spatial_stride == 8


def test_a_frozen_backbone_does_not_change():
    detector = Detector(untrained_backbone("tiny"), 2, freeze=True).train()
    before = {name: value.clone() for name, value in detector.backbone.state_dict().items()}
    clips, boxes = torch.rand(2, 3, 8, 24, 40), [torch.tensor([[0.0, 0.0, 20.0, 20.0]])] * 2
    action_loss(detector(clips, boxes), torch.ones(2, 2)).backward()
    assert all(torch.equal(value, before[name]) for name, value in detector.backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in detector.backbone.parameters())
    assert all(parameter.grad is not None for parameter in detector.head.parameters())


def test_another_clip_beside_it_changes_no_score():
    detector = Detector(untrained_backbone("tiny"), 3).eval()
    clips, boxes = (
        torch.rand(2, 3, 8, 32, 40),
        [torch.rand(2, 2).mul(10).repeat(1, 2) + torch.tensor([0, 0, 9, 9.0])] * 2,
    )
    with torch.inference_mode():
        assert torch.allclose(detector(clips, boxes)[:2], detector(clips[:1], boxes[:1]), atol=1e-5)


def test_published_numbers_and_rates():
    severe, maclr = detection_preset("severe"), detection_preset("maclr")
    assert (severe.num_frames, severe.frame_stride, severe.train_crop, severe.test_side) == (32, 2, 112, 112)
    assert (maclr.train_crop, maclr.test_side, maclr.finer_map) == (224, 256, True)
    for preset in (severe, maclr):
        assert (preset.lr, preset.epochs, preset.batch_size, preset.weight_decay) == (0.1, 20, 64, 1e-7)
        assert (preset.warmup_epochs, preset.warmup_start, preset.milestones, preset.gamma) == (
            5,
            0.000125,
            (10, 15),
            0.1,
        )
    assert severe.changed(lr=0.2, epochs=None).lr == 0.2
    for bad in ({"lr": -1.0}, {"epochs": 0}, {"train_crop": 300}):
        with pytest.raises(InputError):
            severe.changed(**bad)
    with pytest.raises(InputError, match="maclr, severe, small"):
        detection_preset("ava")


def test_variations_depend_on_the_seed_and_the_epoch_alone():
    keys = SampleKeys(1, 2, np.arange(500))
    drawn = variations(keys, detection_preset("small"), SPEC)
    assert drawn[7:9] == variations(SampleKeys(1, 2, np.array([7, 8])), detection_preset("small"), SPEC)
    assert {v.short_side for v in drawn} == set(range(32, 41))
    assert 200 < sum(v.flip for v in drawn) < 300
    assert {v.crop for v in drawn} == {None}


def dataset(truth, test, *, evaluated=(1, 2), missing=()):
    classes = tuple(sorted({1, 2, 3, *evaluated}))
    return AvaDataset(
        None, "2.2", (), tuple(test), tuple(truth), classes, {i: f"class {i}" for i in classes}, tuple(evaluated),
        {}, tuple(missing), {}, "gt", (0, 0), (),
    )  # fmt: skip


BOX = np.array([[0.1, 0.1, 0.5, 0.5]])


def test_films_that_cannot_be_read_are_left_out_and_counted(tmp_path):
    truth = [Keyframe(f, 902, BOX, ((1,),)) for f in "abc"] + [Keyframe("a", 903, BOX, ((1,),))]
    data = dataset(truth, [f._replace(actions=()) for f in truth], missing=("c",))
    scored = [Scored(data.test[0], np.array([[0.9, 0.1, 0.5]]))]
    result = measure(data, scored, ["a,903", "b,902"])
    assert (result["mAP"], result["mAP_counting_unread"]) == (1.0, 0.25)
    assert result["per_class"]["2"] == {"name": "class 2", "AP": None, "truth": 0, "detections": 1}
    assert set(result["per_class"]) == {"1", "2"}
    assert measure(data, [], [])["mAP"] == 0
    write_detections(tmp_path / "d.csv", scored, data.class_ids, data.evaluated)
    assert (tmp_path / "d.csv").read_text().splitlines() == [
        "a,0902,0.100000,0.100000,0.500000,0.500000,1,0.900000",
        "a,0902,0.100000,0.100000,0.500000,0.500000,2,0.100000",
    ]


def test_a_keyframe_without_person_boxes_counts_as_not_found():
    truth = [Keyframe("a", second, BOX, ((1,),)) for second in (902, 903)]
    data = dataset(truth, truth[:1])
    assert measure(data, [Scored(truth[0], np.array([[0.9, 0.1, 0.5]]))], [])["mAP"] == 0.5


def test_a_head_learns_separable_features():
    """Maps whose cells say what the box in them does: the metric goes from chance to (nearly) perfect."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(8, 16, generator=generator)
    frames, maps = [], []
    for second in range(90):
        features = 0.3 * torch.randn(16, 2, 6, 6, generator=generator)
        actions = []
        for side in range(2):
            action = int(torch.randint(8, (1,), generator=generator))
            features[:, :, 1:4, 3 * side : 3 * side + 2] += codes[action].view(16, 1, 1, 1)
            actions.append((action + 1,))
        boxes = np.array([[0, 1, 2, 4], [3, 1, 5, 4]]) / 6
        frames.append(Keyframe("f", second, boxes, tuple(actions)))
        maps.append(features)
    boxes = [torch.from_numpy(frame.boxes * 48).float() for frame in frames]
    maps, train = torch.stack(maps), 60
    torch.manual_seed(0)
    head = ActionHead(16, 8, spatial_stride=8, dropout=0.2)
    optimizer = torch.optim.AdamW(head.parameters(), 0.02)
    test = dataset(frames[train:], frames[train:], evaluated=range(1, 9))

    def mean_precision():
        with torch.no_grad():
            scores = head.eval()(maps[train:], boxes[train:]).sigmoid().double().numpy().reshape(-1, 2, 8)
        return measure(test, [Scored(f, s) for f, s in zip(frames[train:], scores, strict=True)], [])["mAP"]

    chance = mean_precision()
    wanted = torch.from_numpy(wanted_actions(frames[:train], range(1, 9)))
    for _ in range(60):
        loss = action_loss(head.train()(maps[:train], boxes[:train]), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert chance < 0.5
    assert mean_precision() > 0.95


def test_presets_can_be_stored():
    assert dataclasses.replace(detection_preset("maclr")).settings()["train_sides"] == [256, 320]
