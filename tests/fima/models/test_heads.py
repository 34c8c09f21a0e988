import math

import pytest
import torch
from torch import nn

from fima.errors import InputError
from fima.models.heads import CrossAttentionDecoder, MotionDecoder, Projector, sinusoidal_positions


def entries(module):
    return [(name, list(value.shape), str(value.dtype)) for name, value in module.state_dict().items()]


class TestPositions:
    def test_agree_with_the_reference(self, golden, rel_err):
        assert rel_err(sinusoidal_positions(16, 512), golden.tensor("posenc")) <= 1e-6

    def test_definition_beyond_a_hundred(self):
        positions = sinusoidal_positions(150, 6)
        for k in range(6):
            angle = 149 / 10000 ** (2 * (k // 2) / 6)
            assert positions[149, k].item() == pytest.approx((math.cos if k % 2 else math.sin)(angle), abs=1e-4)


class TestProjector:
    @pytest.fixture
    def projector(self):
        torch.manual_seed(0)
        return Projector(6, dim=4, hidden=5)

    def test_names_are_the_reference_s(self, golden):
        theirs = [tuple(entry) for entry in golden.names["fima_i3d"] if entry[0].startswith("projector_dense.")]
        assert [(f"projector_dense.{name}", *rest) for name, *rest in entries(Projector(1024))] == theirs

    def test_is_two_convolutions_over_the_mean_in_time(self, projector):
        feature_map = torch.randn(2, 6, 3, 4, 5)
        expected = projector.net(feature_map.mean(2))
        assert expected.shape == (2, 4, 4, 5)
        torch.testing.assert_close(projector(feature_map), expected)

    def test_rows_are_pixels(self, projector):
        feature_map = torch.randn(2, 6, 1, 4, 5)
        rows = projector.project(feature_map[:, :, 0].permute(0, 2, 3, 1))
        torch.testing.assert_close(rows.permute(0, 3, 1, 2), projector(feature_map))


class TestDecoder:
    @pytest.fixture
    def layers(self, golden):
        decoder = CrossAttentionDecoder(64, heads=4, feedforward=64, layers=2).eval()
        decoder.load_state_dict(golden.state("motion_decoder"))
        return decoder

    def test_entries_are_the_reference_s_in_order(self, golden, layers):
        assert entries(layers) == [tuple(entry) for entry in golden.names["motion_decoder"]]

    @pytest.mark.parametrize("attention", [False, True])
    def test_agrees_with_the_reference(self, golden, rel_err, layers, attention):
        target, memory = (golden.tensor(name).transpose(0, 1) for name in ("dec_tgt", "dec_mem"))
        decoded, _ = layers(target, memory, attention=attention)
        assert rel_err(decoded.transpose(0, 1).detach(), golden.tensor("dec_out")) <= 1e-5

    def test_agrees_with_pytorch_s_attention(self):
        torch.manual_seed(0)
        ours = CrossAttentionDecoder(8, heads=2, feedforward=8, layers=1).eval().layers[0].multihead_attn
        theirs = nn.MultiheadAttention(8, 2, batch_first=True).eval()
        state = {name: torch.randn_like(value) for name, value in theirs.state_dict().items()}
        for module in (ours, theirs):
            module.load_state_dict(state)
        target, memory = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
        mixed, weights = ours(target, memory, attention=True)
        expected = theirs(target, memory, memory, average_attn_weights=False)
        torch.testing.assert_close((mixed, weights), expected)

    @pytest.fixture
    def decoder(self):
        torch.manual_seed(0)
        decoder = MotionDecoder(6, width=8, heads=2, feedforward=10, dropout=0.5)
        nn.init.normal_(decoder.cls_token)
        return decoder

    def test_names_are_the_reference_s(self, golden):
        ours = {name: shape for name, shape, _ in entries(MotionDecoder(1024))}
        theirs = {name: shape for name, shape, _ in golden.names["fima_i3d"]}
        assert ours.items() <= theirs.items()
        left = [
            name for name in theirs.keys() - ours.keys() if not name.startswith(("encoder_", "projector_", "queue"))
        ]
        assert sorted(left) == ["motion_queue", "motion_queue_ptr"]

    def test_class_token_starts_at_zero(self):
        assert torch.equal(MotionDecoder(6, width=8).cls_token, torch.zeros(1, 1, 8))

    def test_shapes_and_attention(self, decoder):
        query, memory = (decoder.embed(torch.randn(3, count, 6)) for count in (5, 7))
        decoded = decoder.eval()(query, memory, attention=True)
        assert decoded.token.shape == (3, 6)
        assert decoded.positions.shape == (3, 5, 6)
        assert decoded.attention.shape == (3, 2, 2, 6, 7)
        torch.testing.assert_close(decoded.attention.sum(-1), torch.ones(3, 2, 2, 6))
        quiet = decoder(query, memory)
        assert quiet.attention is None
        torch.testing.assert_close(quiet[:2], decoded[:2])

    def test_queries_do_not_see_each_other(self, decoder):
        query, memory = (decoder.embed(torch.randn(3, 5, 6)) for _ in range(2))
        decoder.eval()
        whole, token = decoder(query, memory), decoder(query, memory, positions=False)
        torch.testing.assert_close(token.token, whole.token)
        assert token.positions.shape == (3, 0, 6)
        changed = query.clone()
        changed[:, 0] += 1
        torch.testing.assert_close(decoder(changed, memory).positions[:, 1:], whole.positions[:, 1:])

    def test_without_class_token(self, decoder):
        plain = MotionDecoder(6, width=8, heads=2, feedforward=10, class_token=False).eval()
        plain.load_state_dict({k: v for k, v in decoder.state_dict().items() if k != "cls_token"})
        query, memory = (decoder.embed(torch.randn(3, 5, 6)) for _ in range(2))
        assert plain(query, memory).token is None
        torch.testing.assert_close(plain(query, memory).positions, decoder.eval()(query, memory).positions)

    @pytest.mark.parametrize("attention", [False, True])
    def test_dropout_acts_in_training_alone(self, decoder, attention):
        query, memory = (decoder.embed(torch.randn(3, 5, 6)) for _ in range(2))
        first, second = (decoder(query, memory, attention=attention).positions for _ in range(2))
        assert not torch.equal(first, second)
        for module in decoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        torch.testing.assert_close(decoder(query, memory).positions, decoder.eval()(query, memory).positions)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [({"width": 9, "heads": 3}, "even"), ({"width": 8, "heads": 3}, "divisible"), ({"dropout": 1.0}, "dropout")],
        ids=["odd", "heads", "dropout"],
    )
    def test_refuses(self, settings, message):
        with pytest.raises(InputError, match=message):
            MotionDecoder(6, **settings)
